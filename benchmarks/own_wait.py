"""When ZenML's own operator reads the job that a step waits for.

As a program: lets the unmodified operator wait for one job on a manual clock, and
prints the moments of its reads.
"""

import json
import sys
from datetime import datetime, timezone
from types import SimpleNamespace
from uuid import uuid4

from benchmarks.simulated_vertex import MINUTE, REGION, Ground, open_ground


class _TimeIsUpError(Exception):
    """The operator would wait on."""


class _Time:
    """Stands for the module `time` where ZenML's base class waits."""

    def __init__(self, ground: Ground, end: float) -> None:
        self._ground = ground
        self._end = end

    def sleep(self, seconds: float) -> None:
        if self._ground.monotonic() + seconds >= self._end:
            raise _TimeIsUpError
        self._ground.sleep(seconds)
        self._ground.be_on_time()


def list_own_reads(minutes: int) -> list[float]:
    """Moments of the reads, in seconds from the job's creation.

    Args:
        minutes: How long the step waits.
    """
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.aiplatform_v1 import JobServiceClient
    from zenml.enums import StackComponentType
    from zenml.integrations.gcp.flavors.vertex_step_operator_flavor import (
        VertexStepOperatorConfig,
    )
    from zenml.integrations.gcp.step_operators.vertex_step_operator import VertexStepOperator
    from zenml.step_operators import base_step_operator

    now = datetime.now(tz=timezone.utc)
    with open_ground() as ground:
        name = str(ground.submit(0).name)
        operator = VertexStepOperator(
            name="vertex",
            id=uuid4(),
            config=VertexStepOperatorConfig(region=REGION),
            flavor="vertex",
            type=StackComponentType.STEP_OPERATOR,
            user=None,
            created=now,
            updated=now,
        )
        operator._job_service_client = JobServiceClient(
            credentials=AnonymousCredentials(),
            transport="rest",
            client_options={"api_endpoint": ground.emulator.url},
        )
        base_step_operator.time = _Time(ground, minutes * MINUTE)
        try:
            operator.wait(SimpleNamespace(id=uuid4(), run_metadata={"job_name": name}))
        except _TimeIsUpError:
            return ground.list_reads()
        raise RuntimeError("ZenML's own operator did not wait.")


if __name__ == "__main__":
    print(json.dumps(list_own_reads(int(sys.argv[1]))))
