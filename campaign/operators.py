"""The step operators under test, and how ZenML creates and calls one."""

from collections.abc import Callable, Iterator
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
from zenml_vertex.clock import read_time
from zenml_vertex.config import VertexStepOperatorConfig
from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.following.clients import find_following
from zenml_vertex.following.ending import cancel_and_verify
from zenml_vertex.following.orphans import find_orphans, list_live_jobs
from zenml_vertex.following.progress import StepLog
from zenml_vertex.steps.attaching import Attachment
from zenml_vertex.steps.connections import ConnectionPool
from zenml_vertex.steps.open_steps import OpenStep
from zenml_vertex.steps.operator import VertexStepOperator
from zenml_vertex.steps.server import server_errors
from zenml_vertex.steps.settling import settle

PROJECT = "my-project"
REGION = "europe-west4"
_COMPONENT_ID = UUID(int=6)
# Tells a container whose it is.
STEP_RUN_VARIABLE = "STEP_RUN"
_COMMAND = ["python", "-m", "zenml.entrypoints.entrypoint"]


class Subject(Protocol):
    """A kind of step operator under test.

    Args:
        max_seconds: How long one of its processes can run before it counts as never
            ending.
    """

    max_seconds: float

    def build(self, process: Process, trial: Trial, world: World, key_file: Path) -> Any:
        """A step operator in a process of its own."""
        ...

    def attach(self, operator: Any, process: Process, client: Any, *, waits: bool) -> str | None:
        """End the step run of a client that was killed, by the means that the operator offers.

        Args:
            operator: The step operator in a process of its own.
            process: The process.
            client: ZenML's client in it.
            waits: Whether to follow the job until it has ended, or to look once.

        Returns:
            The step's status; None if it has not ended.
        """
        ...

    def sweep(self, operator: Any, process: Process, world: World) -> None:
        """Cancel the jobs that clients left behind, by the means that the operator offers."""
        ...


class PluginSubject:
    """The step operator of this package."""

    # It waits six hours for the end of a state that it does not know.
    max_seconds = 9 * 60 * 60.0

    def build(
        self, process: Process, trial: Trial, world: World, key_file: Path
    ) -> VertexStepOperator:
        """A step operator in a process of its own."""
        config = VertexStepOperatorConfig(
            region=REGION,
            project=PROJECT,
            on_client_exit="detach" if trial.detaches else "cancel",
            service_account_path=str(key_file) if trial.has_key else None,
            # An emulator that the variable names gets no credentials.
            api_endpoint=world.url if trial.has_key else None,
        )
        pool = ConnectionPool(
            process,
            run_in_background=process.background.append,
            # The end of a simulated process is not that of this one.
            run_at_exit=lambda _: None,
        )
        return VertexStepOperator(**build_component(config), clock=process, pool=pool)

    def attach(
        self, operator: VertexStepOperator, process: Process, client: Any, *, waits: bool
    ) -> str | None:
        """What `zenml-vertex jobs attach` or `settle` does."""
        process.phase = "attach"
        step = _find_open(client)
        if step.is_awaited:
            return None
        results: Iterator[tuple[OpenStep, str | VertexStepOperatorError | None]]
        if waits:
            attachment = Attachment(operator, process)
            attachment.claim([step])
            results = attachment.follow([step])
        else:
            results = settle(operator, process, [step])
        # The job is looked after in the background.
        _, result = next(results)
        if isinstance(result, VertexStepOperatorError):
            raise result
        return result

    def sweep(self, operator: VertexStepOperator, process: Process, world: World) -> None:
        """What `zenml-vertex jobs cancel --orphans --yes` does."""
        process.phase = "sweep"
        connection = operator.connect()
        step_runs = operator.step_runs
        live = list_live_jobs(connection.jobs, connection.parent, step_runs.server_id)
        for orphan in list(find_orphans(live, step_runs, world.now())):
            cancel_and_verify(connection.jobs, StepLog(orphan.step).of(orphan.name), process)


def _find_open(client: Any) -> OpenStep:
    with server_errors():
        step_run, run = client.get_run_step(STEP_RUN_ID), client.get_pipeline_run(RUN_ID)
    following = find_following(step_run.run_metadata, run.run_metadata, read_time())
    return OpenStep(step_run, run, following)


def build_component(config: Any) -> dict[str, Any]:
    """The arguments of every stack component."""
    return {
        "name": "vertex",
        "id": _COMPONENT_ID,
        "config": config,
        "flavor": "vertex",
        "type": StackComponentType.STEP_OPERATOR,
        "user": None,
        "created": datetime(2026, 1, 1),  # noqa: DTZ001 - ZenML's have no time zone
        "updated": datetime(2026, 1, 1),  # noqa: DTZ001
    }


def build_submit(operator: Any) -> Callable[[StepRunResponse], None]:
    """A function that submits a step run with an operator, as ZenML's launcher does."""

    def submit(step_run: StepRunResponse) -> None:
        info = StepRunInfo.model_construct(
            step_run_id=step_run.id,
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
        operator.submit(info, _COMMAND, {STEP_RUN_VARIABLE: str(step_run.id)})

    return submit
