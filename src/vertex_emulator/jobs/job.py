"""A job, and where in its life it is. Pure data.

Vertex API reference, `CustomJob`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import format_timestamp
from vertex_emulator.jobs.events import (
    Act,
    Eviction,
    HideExit,
    Later,
    ReplicaEnded,
    Stage,
    StartAgain,
)
from vertex_emulator.jobs.states import TERMINAL_STATES, JobState
from vertex_emulator.jobs.web_access import build_web_access_uris
from vertex_emulator.runtimes.contract import PRIMARY

# From `createTime` to the `startTime` of a job that was cancelled before it ran: 0.10 to 0.13 s
# in six recorded ones.
_NEVER_RAN = timedelta(milliseconds=115)
# Stages in which a container runs, and so has a shell.
_WITH_CONTAINER: frozenset[Stage] = frozenset({"running", "evicting", "stopping"})


@dataclass(frozen=True, slots=True)
class Job:
    """A job, at one moment of its life."""

    # Project as its creator wrote it, mostly an ID.
    project: str
    # Number of the project.
    number: str
    # Region.
    location: str
    # Numeric ID.
    job_id: str
    # What the creator set: `displayName`, `jobSpec`, `labels`, `encryptionSpec`. Not in reprs:
    # it holds environment variables.
    request: Json = field(repr=False)
    # When it was created.
    create_time: datetime
    # When it last changed.
    update_time: datetime
    # The state that clients see.
    state: JobState = JobState.QUEUED
    # Finer than the state.
    stage: Stage = "queued"
    # When the stage began.
    stage_time: datetime | None = None
    # When the stage ends by itself; None where it waits for something else.
    due: datetime | None = None
    # First entry into RUNNING; clients see it in whole seconds.
    start_time: datetime | None = None
    # When its container had exited, or its entry into CANCELLED; None before a terminal state.
    end_time: datetime | None = None
    # `google.rpc.Status`; only of a FAILED or CANCELLED job.
    error: Json | None = None
    # Number of the containers' start, from 1; 0 before the first.
    attempt: int = 0
    # Whether its stage lasts until the images are there.
    is_image_awaited: bool = False
    # Whether it waits for machines of its persistent resource.
    is_machine_awaited: bool = False
    # Worker pool -> its image, once all were pulled.
    images: Mapping[str, str] = field(default_factory=dict)
    # What has decided how this attempt ends, where other containers had still to be ended.
    decided: ReplicaEnded | None = None
    # Whether the containers of this attempt have exited, unnoticed so far.
    is_exit_hidden: bool = False
    # Whether the failed container of this attempt has been started again, and runs.
    is_running_again: bool = False
    # Cause of restarts -> how many there have been.
    restarts: Mapping[str, int] = field(default_factory=dict)
    # The terminal state that the job will have once it is torn down.
    ending: JobState | None = None
    # Why the container is being stopped; decides what follows.
    eviction: Eviction | None = None
    # Number that clients see in place of the state.
    shown_number: int | None = None
    # Acts still to be done to it, each in a stage.
    script: tuple[Act, ...] = ()
    # Events still to come, each at a time.
    later: tuple[Later, ...] = ()
    # Every state with the time of its entry.
    history: tuple[tuple[JobState, datetime], ...] = ()

    @property
    def parent(self) -> str:
        """Resource name of its project and region."""
        return f"projects/{self.number}/locations/{self.location}"

    @property
    def name(self) -> str:
        """Its resource name."""
        return f"{self.parent}/customJobs/{self.job_id}"

    @property
    def resource(self) -> str | None:
        """Name of the persistent resource that it runs on; None for machines of its own."""
        resource_id = self.request["jobSpec"].get("persistentResourceId")
        return f"{self.parent}/persistentResources/{resource_id}" if resource_id else None

    @property
    def holds_machines(self) -> bool:
        """Whether it has machines of its persistent resource."""
        return bool(self.resource) and not self.is_machine_awaited and not self.is_terminal

    @property
    def is_terminal(self) -> bool:
        """Whether it can no longer change."""
        return self.state in TERMINAL_STATES

    @property
    def shown_state(self) -> str | int:
        """The state as the API's JSON has it: a name, or the number of one without a name.

        proto3 enums are open; https://protobuf.dev/programming-guides/json/
        """
        return self.state.value if self.shown_number is None else self.shown_number

    @property
    def failed_replica(self) -> str:
        """The replica that has failed, of a job whose attempt has failed."""
        return self.decided.replica if self.decided else PRIMARY

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        labels: dict[str, str] = self.request.get("labels", {})
        return labels

    @property
    def next_time(self) -> datetime | None:
        """When the next thing is due that happens by itself; None for never."""
        is_waiting = self.is_image_awaited or (
            self.is_machine_awaited and self.stage in {"queued", "paused"}
        )
        due = None if is_waiting else self.due
        moments = [due, *(item.moment for item in self.later)]
        moments += [act_time for _, act_time in self.pending_acts()]
        return min((moment for moment in moments if moment is not None), default=None)

    def pending_acts(self) -> list[tuple[Act, datetime]]:
        """The acts of its script in this stage, with their times."""
        begun = self.stage_time
        if begun is None:
            return []
        return [
            (act, begun + timedelta(seconds=act.after))
            for act in self.script
            if act.stage == self.stage and not isinstance(act.incident, (HideExit, StartAgain))
        ]

    def to_json(self) -> Json:
        """The CustomJob that clients see."""
        message: Json = {"name": self.name, **self.request, "state": self.shown_state}
        message |= {key: format_timestamp(moment) for key, moment in self._shown_times().items()}
        if self.error is not None and self.is_terminal:
            message["error"] = self.error
        if self.stage in _WITH_CONTAINER:
            spec = self.request["jobSpec"]
            if uris := build_web_access_uris(self.job_id, self.location, spec):
                message["webAccessUris"] = uris
        return message

    def _shown_times(self) -> dict[str, datetime]:
        """Its times by their names, each no earlier than the one before.

        As recorded: `startTime` and `endTime` are whole seconds, but the `endTime` of a job
        that was cancelled is its `updateTime`, and one that was cancelled before it ran has a
        `startTime` a moment after its `createTime`.
        """
        shown = {"createTime": self.create_time}
        is_cancelled = self.state is JobState.CANCELLED
        if self.start_time is not None:
            shown["startTime"] = _whole_second(self.start_time, self.create_time)
        elif is_cancelled and self.end_time is not None:
            shown["startTime"] = min(self.create_time + _NEVER_RAN, self.end_time)
        if self.end_time is not None:
            earlier = shown.get("startTime", self.create_time)
            end = self.end_time
            shown["endTime"] = end if is_cancelled else _whole_second(end, earlier)
        shown["updateTime"] = self.update_time
        return shown


def _whole_second(moment: datetime, earlier: datetime) -> datetime:
    """A time in whole seconds; as it is where that would put it before an earlier one."""
    whole = moment.replace(microsecond=0)
    return whole if whole >= earlier else moment
