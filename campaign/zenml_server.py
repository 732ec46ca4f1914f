"""A ZenML server in memory, with the rules of ZenML's own for the status of a step run.

https://github.com/zenml-io/zenml/blob/0.98.0/src/zenml/zen_stores/sql_zen_store.py:
`update_run_step` and `_verify_step_status_transition`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from requests.exceptions import ConnectionError as NoConnection
from zenml.config.step_configurations import StepConfiguration, StepSpec
from zenml.enums import ExecutionStatus, MetadataResourceTypes
from zenml.exceptions import IllegalOperationError
from zenml.models import StepRunResponse, StepRunResponseBody, StepRunResponseMetadata

from campaign.process import Process
from campaign.trial import ServerHazard, ServerOutage

SERVER_ID = UUID(int=1)
RUN_ID = UUID(int=2)
STEP_RUN_ID = UUID(int=3)
_SNAPSHOT_ID = UUID(int=4)
_PROJECT_ID = UUID(int=5)

# Phases of a process in which ZenML's own code runs.
_ZENML_PHASES = frozenset({"launcher", "runner"})

Cross = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Write:
    """An attempt to change the status of the step run."""

    moment: datetime
    # Who made it: `step`, `operator`, `zenml` or `user`.
    writer: str
    # The status that was asked for.
    status: str
    # The status afterwards; None if the server refused.
    result: str | None


@dataclass(slots=True)
class ZenMLServer:
    """The server's record of one step run."""

    # The time, with a time zone.
    now: Callable[[], datetime]
    # When the trial began.
    begin: datetime
    # Whether the step is a command step.
    is_command: bool = False
    step_run_id: UUID = STEP_RUN_ID
    # Of the step run, and of its pipeline run.
    status: ExecutionStatus = ExecutionStatus.RUNNING
    run_status: ExecutionStatus = ExecutionStatus.RUNNING
    # When the server cannot be reached.
    outages: Sequence[ServerOutage] = ()
    # Which calls fail.
    hazards: Sequence[ServerHazard] = ()
    # Of the step run, in UTC without a time zone.
    end_time: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    # Key -> every value that was written, as JSON: the server keeps them all.
    written: dict[str, list[str]] = field(default_factory=dict)
    # Of the pipeline run.
    run_metadata: dict[str, Any] = field(default_factory=dict)
    # Every attempt to change the step run's status.
    writes: list[Write] = field(default_factory=list)
    # How often an update of the step run did not arrive.
    lost_updates: int = 0
    # `id` of an outage or a hazard -> how often it happened.
    hits: dict[int, int] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _config: StepConfiguration = field(init=False)
    _spec: StepSpec = field(init=False)

    def __post_init__(self) -> None:
        command = ["true"] if self.is_command else None
        self._config = StepConfiguration(name="train", command=command)
        self._spec = StepSpec.model_validate(
            {"source": "module.train", "upstream_steps": [], "invocation_id": "train"}
        )

    def find_outage(self, moment: datetime) -> ServerOutage | None:
        """The outage at a moment; None if the server can be reached."""
        seconds = (moment - self.begin).total_seconds()
        return next((o for o in self.outages if o.start <= seconds < o.start + o.seconds), None)

    def read(self) -> StepRunResponse:
        """The step run as it is now."""
        now = self.now().replace(tzinfo=None)
        return StepRunResponse(
            id=self.step_run_id,
            name="train",
            body=StepRunResponseBody(
                status=self.status,
                version=1,
                is_retriable=False,
                created=self.begin.replace(tzinfo=None),
                updated=now,
                end_time=self.end_time,
                project_id=_PROJECT_ID,
                user_id=None,
            ),
            metadata=StepRunResponseMetadata(
                config=self._config,
                spec=self._spec,
                snapshot_id=_SNAPSHOT_ID,
                pipeline_run_id=RUN_ID,
                run_metadata=dict(self.metadata),
            ),
        )

    def write(self, writer: str, status: ExecutionStatus) -> None:
        """Change the status of the step run.

        Raises:
            IllegalOperationError: If ZenML's rules forbid it.
        """
        try:
            self._verify(status)
        except IllegalOperationError:
            self.writes.append(Write(self.now(), writer, status.value, None))
            raise
        if self.status == ExecutionStatus.STOPPING and status == ExecutionStatus.FAILED:
            status = ExecutionStatus.STOPPED
        self.status = status
        if status.is_finished:
            # The server keeps UTC without a time zone.
            self.end_time = self.now().replace(tzinfo=None)
        self.writes.append(Write(self.now(), writer, status.value, status.value))

    def _verify(self, status: ExecutionStatus) -> None:
        if self.status.is_finished:
            raise IllegalOperationError("The status of finished steps can not be updated.")
        may_follow = {ExecutionStatus.STOPPED, ExecutionStatus.FAILED}
        if self.status == ExecutionStatus.STOPPING and status not in may_follow:
            raise IllegalOperationError(
                f"Stopping steps can not be transitioned to status `{status}`."
            )

    def serve(self, cross: Cross, call: str, effect: Callable[[], Any]) -> Any:
        """Answer a client's call, unless a hazard prevents it.

        Raises:
            ConnectionError: If no answer comes.
            RuntimeError: If a proxy answers, as ZenML's client raises it.
        """
        cross(call, "before")
        try:
            return self._serve(call, effect)
        finally:
            cross(call, "after")

    def _serve(self, call: str, effect: Callable[[], Any]) -> Any:
        outage = self.find_outage(self.now())
        if outage:
            self._hit(outage)
            self.lost_updates += call == "update_run_step"
            if outage.form == "proxy":
                raise RuntimeError("502 Bad Gateway")
            raise NoConnection("connection refused")
        self._counts[call] = self._counts.get(call, 0) + 1
        hazard = next(
            (h for h in self.hazards if (h.call, h.nth) == (call, self._counts[call])), None
        )
        if hazard is None:
            return effect()
        self._hit(hazard)
        if hazard.form == "request lost":
            self.lost_updates += call == "update_run_step"
        else:
            effect()
        if hazard.form == "repeated":
            return effect()
        raise NoConnection("connection reset by peer")

    def _hit(self, hazard: ServerOutage | ServerHazard) -> None:
        self.hits[id(hazard)] = self.hits.get(id(hazard), 0) + 1


class ZenMLClient:
    """What `Client()` returns in a process: as much of ZenML's client as the operators call.

    Args:
        server: The server.
        process: The process.
    """

    def __init__(self, server: ZenMLServer, process: Process) -> None:
        self._server = server
        self._process = process

    @property
    def zen_store(self) -> "ZenMLClient":
        """The store, whose methods are here as well."""
        return self

    def _serve(self, call: str, effect: Callable[[], Any]) -> Any:
        return self._server.serve(self._process.cross, call, effect)

    def get_store_info(self) -> Any:
        """The server's ID."""
        return self._serve("get_store_info", lambda: SimpleNamespace(id=SERVER_ID))

    def get_run_step(self, step_run_id: UUID, hydrate: bool = True) -> StepRunResponse:
        """The step run."""
        del step_run_id, hydrate
        step_run: StepRunResponse = self._serve("get_run_step", self._server.read)
        return step_run

    def get_pipeline_run(self, run_id: UUID, hydrate: bool = True) -> Any:
        """The pipeline run's status."""
        del run_id, hydrate
        return self._serve(
            "get_pipeline_run",
            lambda: SimpleNamespace(
                id=RUN_ID,
                status=self._server.run_status,
                run_metadata=dict(self._server.run_metadata),
            ),
        )

    def list_pipeline_runs(self, **_: Any) -> Any:
        """The pipeline run."""
        return SimpleNamespace(items=[self.get_pipeline_run(RUN_ID)], total_pages=1)

    def create_run_metadata(
        self, metadata: Mapping[str, Any], resources: Sequence[Any], **_: Any
    ) -> None:
        """Add metadata to the step run, or to its pipeline run."""
        (resource,) = resources
        is_of_step = resource.type == MetadataResourceTypes.STEP_RUN
        kept = self._server.metadata if is_of_step else self._server.run_metadata
        joined = {
            key: {**kept[key], **value}
            if isinstance(kept.get(key), dict) and isinstance(value, dict)
            else value
            for key, value in metadata.items()
        }

        def write() -> None:
            kept.update(joined)
            if is_of_step:
                for key, value in metadata.items():
                    self._server.written.setdefault(key, []).append(json.dumps(value))

        self._serve("create_run_metadata", write)

    def list_run_steps(self, *, run_metadata: Sequence[str] = (), **_: Any) -> Any:
        """The step run, if a value lacks the text of each `KEY:notcontains:TEXT`."""

        def lacks(condition: str) -> bool:
            key, _operation, text = condition.split(":", 2)
            return any(text not in value for value in self._server.written.get(key, ()))

        def find() -> Any:
            is_found = all(map(lacks, run_metadata))
            return SimpleNamespace(items=[self._server.read()] if is_found else [], total_pages=1)

        return self._serve("list_run_steps", find)

    def update_run_step(self, step_run_id: UUID, step_run_update: Any) -> StepRunResponse:
        """Change the step run's status."""
        del step_run_id

        def update() -> StepRunResponse:
            if step_run_update.status:
                writer = "zenml" if self._process.phase in _ZENML_PHASES else "operator"
                self._server.write(writer, step_run_update.status)
            return self._server.read()

        step_run: StepRunResponse = self._serve("update_run_step", update)
        return step_run
