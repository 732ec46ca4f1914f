"""The floor: a step operator that does what ZenML asks of each, and nothing else.

It names an image, posts a job and asks how it is. It has no settings, no checks, no
credentials, no retries and no claim; what a step takes with it is ZenML's own.
"""

import json
import os
import urllib.request
from typing import TYPE_CHECKING, Any

from zenml.config.build_configuration import BuildConfiguration
from zenml.enums import ExecutionStatus
from zenml.step_operators import BaseStepOperator, BaseStepOperatorConfig, BaseStepOperatorFlavor

if TYPE_CHECKING:
    from uuid import UUID

    from zenml.config.step_run_info import StepRunInfo
    from zenml.models import PipelineSnapshotBase, StepRunResponse

NAME = "floor"
PARENT = "projects/floor/locations/us-central1"
_SECONDS = 30.0
_ENDS = {
    "JOB_STATE_SUCCEEDED": ExecutionStatus.COMPLETED,
    "JOB_STATE_FAILED": ExecutionStatus.FAILED,
    "JOB_STATE_CANCELLED": ExecutionStatus.STOPPED,
}


class FloorConfig(BaseStepOperatorConfig):
    """Without settings."""

    @property
    def is_remote(self) -> bool:
        """Its jobs run elsewhere, as Vertex AI's."""
        return True


class FloorStepOperator(BaseStepOperator):
    """Runs each step as a job of the Vertex AI that `AIPLATFORM_EMULATOR_HOST` names."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._jobs: dict[UUID, str] = {}

    @property
    def config(self) -> FloorConfig:
        """The configuration."""
        config: Any = self._config
        return config  # type: ignore[no-any-return]

    def get_docker_builds(self, snapshot: "PipelineSnapshotBase") -> list[BuildConfiguration]:
        """One image for each step."""
        return [
            BuildConfiguration(key=NAME, settings=step.config.docker_settings, step_name=name)
            for name, step in snapshot.step_configurations.items()
            if step.config.uses_step_operator(self.name)
        ]

    def submit(
        self, info: "StepRunInfo", entrypoint_command: list[str], environment: dict[str, str]
    ) -> None:
        """Create a job."""
        container = {
            "imageUri": info.get_image(key=NAME),
            "command": entrypoint_command,
            "env": [{"name": name, "value": value} for name, value in environment.items()],
        }
        pool = {
            "machineSpec": {"machineType": "n1-standard-4"},
            "replicaCount": 1,
            "containerSpec": container,
        }
        job = {"displayName": NAME, "jobSpec": {"workerPoolSpecs": [pool]}}
        self._jobs[info.step_run_id] = _send(f"{PARENT}/customJobs", job)["name"]

    def get_status(self, step_run: "StepRunResponse") -> ExecutionStatus:
        """Ask how a job is."""
        state = _send(self._jobs[step_run.id]).get("state")
        return _ENDS.get(str(state), ExecutionStatus.RUNNING)


class FloorStepOperatorFlavor(BaseStepOperatorFlavor):
    """What ZenML reads to load the operator."""

    @property
    def name(self) -> str:
        """The flavor's name."""
        return NAME

    @property
    def config_class(self) -> type[FloorConfig]:
        """The configuration's class."""
        return FloorConfig

    @property
    def implementation_class(self) -> type[FloorStepOperator]:
        """The operator's class."""
        return FloorStepOperator


def _send(path: str, body: Any = None) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://{os.environ['AIPLATFORM_EMULATOR_HOST']}/v1/{path}",
        data=json.dumps(body).encode() if body else None,
        headers={"Authorization": "Bearer floor", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
        content: dict[str, Any] = json.load(answer)
        return content
