"""The artifact store of a pipeline run, where its containers leave notes.

The active stack may be another one by now, or in another shell.
"""

from typing import TYPE_CHECKING, cast
from uuid import UUID

from zenml.client import Client
from zenml.enums import StackComponentType
from zenml.stack import StackComponent

from zenml_vertex.container.finish_note import OutOfReach

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore


def find_artifact_store(run_id: str) -> "BaseArtifactStore":
    """The artifact store of the stack that a pipeline run is on.

    Args:
        run_id: The pipeline run.

    Raises:
        OutOfReach: If the stack was deleted.
        Exception: If the ZenML server does not say, or the store's integration is not installed.
    """
    client = Client()
    stack = client.get_pipeline_run(UUID(run_id)).stack
    if stack is None:
        raise OutOfReach
    if stack.id == client.active_stack_model.id:
        # With the credentials that ZenML has fetched for it.
        return client.active_stack.artifact_store
    (component,) = stack.components[StackComponentType.ARTIFACT_STORE]
    return cast("BaseArtifactStore", StackComponent.from_model(component))
