"""What happens to a job, and what it then asks for. Pure data.

What a script does to a job is said in a few incidents, with numbers and texts as data:
a fault needs none of its own here.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import format_time, parse_time
from vertex_emulator.jobs.states import JobState
from vertex_emulator.runtimes.contract import Exit

Stage = Literal[
    "queued", "provisioning", "running", "evicting", "paused", "stopping", "tearing_down", "over"
]


@dataclass(frozen=True, slots=True)
class Due:
    """The time of a stage, or of something that a script does, may have come."""


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody called `customJobs.cancel`."""


@dataclass(frozen=True, slots=True)
class ReplicaEnded:
    """The container of an attempt has ended, with everything that it had started."""

    attempt: int
    end: Exit


@dataclass(frozen=True, slots=True)
class InternalError:
    """The platform has lost the job; its container is gone."""


@dataclass(frozen=True, slots=True)
class ImageAwaited:
    """The image is being pulled; the machine is not ready before it is there."""


@dataclass(frozen=True, slots=True)
class ImageReady:
    """The image is there, under a name that cannot change."""

    image: str


@dataclass(frozen=True, slots=True)
class ImageUnavailable:
    """The image cannot be had; the reason is a text for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Restart:
    """The job loses its machine, or gets none: it is started again, or FAILED.

    While it is provisioned or runs; a container that runs is ended first.

    Args:
        cause: What the restarts of a job are counted by.
        limit: How many restarts of this cause the service makes; at least 0.
        error: The `google.rpc.Status` of a job that is not started again; its message
            is a log line each time.
        despite_disable_retries: Whether `disableRetries` does not stop the restart.
        at_once: Whether the container gets no time to end by itself.
        last_line: A further log line of a job that is not started again.
    """

    cause: str
    limit: int
    error: Json
    despite_disable_retries: bool = False
    at_once: bool = False
    last_line: str | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The job ends: before its start, out of its run, or otherwise than it was about to.

    Args:
        state: The terminal state; nothing happens if it cannot follow the job's own.
        error: The `google.rpc.Status`, for FAILED; its message is a log line.
        at_once: Whether the container gets no time to end by itself.
        instead_of: Only a job that is torn down and was about to take this state.
    """

    state: JobState
    error: Json | None = None
    at_once: bool = False
    instead_of: JobState | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """The job is PAUSED, without a container; for ever without `seconds`."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """The job is UPDATING while its container runs on; until it ends without `seconds`."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ShowNumber:
    """Clients see a number in place of the state; for ever without `seconds`."""

    number: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Somebody deletes the job."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The stage lasts so long from now; for ever without `seconds`."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class HideExit:
    """The container's end is noticed so much later; never without `seconds`."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class UpdateOver:
    """The update that began at a time is over."""

    begun: str


@dataclass(frozen=True, slots=True)
class ShowState:
    """Clients see the state again."""


@dataclass(frozen=True, slots=True)
class Scripted:
    """More acts for a job that exists."""

    acts: "tuple[Act, ...]"


Incident = Restart | End | Pause | Update | ShowNumber | Delete | Hold | HideExit
"""What can be done to a job. A fault is one of these, with its own numbers and texts."""

Eviction = Restart | End | Pause
"""Those for which a container that runs is ended first."""

ImageEvent = ImageAwaited | ImageReady | ImageUnavailable
LaterEvent = UpdateOver | ShowState
Event = (
    Due
    | CancelRequested
    | ReplicaEnded
    | InternalError
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
    """An event that comes at a time by itself."""

    moment: datetime
    event: Event


@dataclass(frozen=True, slots=True)
class PullImage:
    """Pull the image, while the machine is provisioned."""


@dataclass(frozen=True, slots=True)
class StartReplica:
    """Start the container."""

    attempt: int


@dataclass(frozen=True, slots=True)
class EndReplica:
    """End the container with everything that it has started.

    Args:
        at_once: Whether it gets no time to end by itself.
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
    """An act has been done to the job."""

    fault: str


Effect = PullImage | StartReplica | EndReplica | WriteLine | ForgetJob | FaultHappened

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
