"""Step operators that are registered on no server."""

from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

from zenml.enums import StackComponentType

from zenml_vertex import VertexStepOperatorConfig
from zenml_vertex.steps.connections import SHARED
from zenml_vertex.steps.operator import VertexStepOperator


def make_operator(*, pool: Any = SHARED, **config: Any) -> VertexStepOperator:
    """A component in `europe-west4`.

    Args:
        pool: Its `ConnectionPool`; those of the process by default.
        config: Further fields of its config.
    """
    now = datetime.now(timezone.utc)
    return VertexStepOperator(
        pool=pool,
        name="vertex",
        id=uuid4(),
        config=VertexStepOperatorConfig(**{"region": "europe-west4", **config}),
        flavor="vertex",
        type=StackComponentType.STEP_OPERATOR,
        user=None,
        created=now,
        updated=now,
    )
