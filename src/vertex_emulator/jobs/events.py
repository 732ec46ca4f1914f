"""What happens to a job, and what it then asks for. Pure data.

Incidents are the fixed vocabulary of what a script can do to a job; numbers and texts
are data, so that a new fault needs no new incident.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import format_time, parse_time
from vertex_emulator.jobs.states import JobState
from vertex_emulator.runtimes.contract import PRIMARY, Exit

Stage = Literal[
    "queued", "provisioning", "running", "evicting", "paused", "stopping", "tearing_down", "over"
]


@dataclass(frozen=True, slots=True)
class Due:
    """A stage, an act of the script or a later event may be due."""


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """A client called `customJobs.cancel`."""


@dataclass(frozen=True, slots=True)
class ReplicaEnded:
    """A container of an attempt has exited, and every process that it had started.

    Args:
        attempt: Number of the attempt.
        end: How.
        start: Which start on the same machine; only the first decides how the job goes on.
        replica: Which of the job's replicas it was.
        is_last: Whether no other container of the attempt runs.
    """

    attempt: int
    end: Exit
    start: int = 1
    replica: str = PRIMARY
    is_last: bool = True

    @property
    def is_decisive(self) -> bool:
        """Whether the job ends with it: the primary replica does, and any other that fails."""
        return self.replica == PRIMARY or self.end.status != 0


@dataclass(frozen=True, slots=True)
class InternalError:
    """The platform has lost the job; its containers are gone."""


@dataclass(frozen=True, slots=True)
class MachinesFree:
    """The persistent resource of a job that waits for machines has some for it."""


@dataclass(frozen=True, slots=True)
class ImageAwaited:
    """The images are being pulled; the machines are not ready before they are there."""


@dataclass(frozen=True, slots=True)
class ImageReady:
    """The images are there, under names that cannot change; each by its worker pool."""

    images: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ImageUnavailable:
    """An image cannot be pulled; the reason is a text for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Restart:
    """The job loses its machine, or cannot get one: it is restarted, or FAILED.

    Only while it is provisioned or runs; a running container is stopped first.

    Args:
        cause: Restarts of a job are counted for each cause.
        limit: How many restarts the service makes for this cause; at least 0.
        error: The `google.rpc.Status` of a job that is not restarted; its message is
            logged each time.
        despite_disable_retries: Whether the job is restarted even with
            `disableRetries`.
        at_once: Whether the container gets no grace period.
        last_line: Also logged if the job is not restarted.
    """

    cause: str
    limit: int
    error: Json
    despite_disable_retries: bool = False
    at_once: bool = False
    last_line: str | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The job ends in a terminal state.

    Args:
        state: The state; nothing happens where it cannot follow the job's own.
        error: The `google.rpc.Status`, for FAILED; its message is logged.
        at_once: Whether the container gets no grace period.
        instead_of: Replaces this ending of a job that is being torn down; None ends a
            job that is queued, provisioned or running.
        of_container: Whether it is the container that fails, so that its machine may start it
            again.
    """

    state: JobState
    error: Json | None = None
    at_once: bool = False
    instead_of: JobState | None = None
    of_container: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """The job is PAUSED, without a container; forever if `seconds` is None."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """The job is UPDATING while its container runs on; until that exits if None."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ShowNumber:
    """Clients see a number in place of the state; forever if `seconds` is None."""

    number: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """The job is deleted."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The stage ends so much later, counted from now; never if `seconds` is None."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class HideExit:
    """The container's exit is noticed so much later; never if `seconds` is None."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StartAgain:
    """A container that fails is started a second time on its machine.

    Args:
        after: Seconds from its end to its second start.
        seconds: Seconds until the service ends it then.
    """

    after: float
    seconds: float


@dataclass(frozen=True, slots=True)
class UpdateOver:
    """The end of the update that began at a time."""

    begun: str


@dataclass(frozen=True, slots=True)
class ShowState:
    """Clients see the state again."""


@dataclass(frozen=True, slots=True)
class LineDue:
    """A line of the service is due."""

    text: str
    severity: str = "INFO"


@dataclass(frozen=True, slots=True)
class RunningSeen:
    """The service sees that the container of an attempt runs."""

    attempt: int


@dataclass(frozen=True, slots=True)
class SecondStartDue:
    """The container of an attempt, which has failed, is started again."""

    attempt: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SecondEndDue:
    """The service ends the second start of a container."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Scripted:
    """More acts for the script of an existing job."""

    acts: "tuple[Act, ...]"


Incident = Restart | End | Pause | Update | ShowNumber | Delete | Hold | HideExit | StartAgain
"""What a script can do to a job. A fault is one of these, with numbers and texts of its own."""

Eviction = Restart | End | Pause
"""Those that stop a running container first."""

ImageEvent = ImageAwaited | ImageReady | ImageUnavailable
LaterEvent = UpdateOver | ShowState | LineDue | RunningSeen | SecondStartDue | SecondEndDue
Event = (
    Due
    | CancelRequested
    | ReplicaEnded
    | InternalError
    | MachinesFree
    | ImageEvent
    | Scripted
    | LaterEvent
    | Incident
)


@dataclass(frozen=True, slots=True)
class Act:
    """What a script does to a job.

    Args:
        stage: In which stage.
        after: Seconds of the emulator's clock from the stage's beginning; at least 0.
        incident: What happens.
        times: In how many such stages; at least 1.
        fault: ID of the planned fault that it comes from.
    """

    stage: Stage
    after: float
    incident: Incident
    times: int = 1
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """An event that comes by itself at a given time."""

    moment: datetime
    event: Event


@dataclass(frozen=True, slots=True)
class PullImage:
    """Pull the images, while the machines are provisioned."""


@dataclass(frozen=True, slots=True)
class StartReplicas:
    """Start the containers.

    Args:
        attempt: Number of the attempt.
        start: Which start on the same machines; from the second on, of what has failed.
    """

    attempt: int
    start: int = 1


@dataclass(frozen=True, slots=True)
class EndReplicas:
    """Stop the containers and everything that they have started.

    Args:
        at_once: Whether they get no grace period.
    """

    at_once: bool = False


@dataclass(frozen=True, slots=True)
class WriteLine:
    """Write a log line of the service."""

    text: str
    severity: str = "INFO"


@dataclass(frozen=True, slots=True)
class ForgetJob:
    """Delete the job."""


@dataclass(frozen=True, slots=True)
class FaultHappened:
    """An act of the script has changed the job."""

    fault: str


Effect = PullImage | StartReplicas | EndReplicas | WriteLine | ForgetJob | FaultHappened

# Fields of events that are not plain JSON, and how they are read again.
_READERS: dict[str, Callable[[Any], Any]] = {
    "end": lambda kept: Exit(**kept),
    "state": JobState,
    "instead_of": JobState,
}
_EVENTS: dict[str, Any] = {kind.__name__: kind for kind in get_args(Event)}


def event_to_json(event: Event) -> Json:
    """An event as it is kept."""
    return {"event": type(event).__name__, **asdict(event)}


def event_from_json(kept: Json) -> Any:
    """The event that was kept."""
    fields = {
        key: _READERS[key](value) if key in _READERS and value is not None else value
        for key, value in kept.items()
        if key != "event"
    }
    return _EVENTS[kept["event"]](**fields)


def act_to_json(act: Act) -> Json:
    """An act as it is kept."""
    return {**asdict(act), "incident": event_to_json(act.incident)}


def act_from_json(kept: Json) -> Act:
    """The act that was kept."""
    return Act(**{**kept, "incident": event_from_json(kept["incident"])})


def later_to_json(item: Later) -> Json:
    """A later event as it is kept."""
    return {"moment": format_time(item.moment), "event": event_to_json(item.event)}


def later_from_json(kept: Json) -> Later:
    """The later event that was kept."""
    return Later(parse_time(kept["moment"]), event_from_json(kept["event"]))
