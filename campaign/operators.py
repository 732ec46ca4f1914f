"""What a step operator is to a campaign, and how ZenML makes and calls one."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol
from uuid import UUID

from zenml.config.step_run_info import StepRunInfo
from zenml.enums import StackComponentType
from zenml.models import StepRunResponse

from campaign.process import Process
from campaign.trial import Trial
from campaign.world import World
from campaign.zenml_server import RUN_ID, STEP_RUN_ID

PROJECT = "my-project"
REGION = "europe-west4"
_COMPONENT_ID = UUID(int=6)
_COMMAND = ["python", "-m", "zenml.entrypoints.entrypoint"]


class Subject(Protocol):
    """A kind of step operator that is tried.

    Args:
        most_seconds: How long a process of its may go on before it counts as one that
            never ends.
    """

    most_seconds: float

    def build(self, process: Process, trial: Trial, world: World, key_file: Path) -> Any:
        """A step operator in a process of its own."""
        ...

    def sweep(self, operator: Any, process: Process, world: World) -> None:
        """What it offers to end the jobs that clients have left behind."""
        ...


def build_component(config: Any) -> dict[str, Any]:
    """The arguments that every stack component takes."""
    return {
        "name": "vertex",
        "id": _COMPONENT_ID,
        "config": config,
        "flavor": "vertex",
        "type": StackComponentType.STEP_OPERATOR,
        "user": None,
        "created": datetime(2026, 1, 1),  # noqa: DTZ001 - ZenML's are without a zone
        "updated": datetime(2026, 1, 1),  # noqa: DTZ001
    }


def build_submit(operator: Any) -> Callable[[StepRunResponse], None]:
    """What submits a step run with an operator, as ZenML's launcher does."""

    def submit(step_run: StepRunResponse) -> None:
        info = StepRunInfo.model_construct(
            step_run_id=STEP_RUN_ID,
            run_id=RUN_ID,
            run_name="training",
            pipeline_step_name="train",
            config=step_run.config,
            spec=step_run.spec,
            pipeline=SimpleNamespace(name="training"),
            snapshot=SimpleNamespace(
                is_dynamic=False, build=SimpleNamespace(get_image=lambda **_: "registry/image:1")
            ),
            step_run=step_run,
            force_write_logs=lambda: None,
        )
        operator.submit(info, _COMMAND, {"PYTHONUNBUFFERED": "1"})

    return submit
