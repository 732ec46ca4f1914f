"""What happens to a job, and what it then asks for. Pure data.

The first seven happen by themselves; the others are what a script does to a job.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import format_time, parse_time
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
class PlatformFailed:
    """The platform fails under a running container, and ends it."""


@dataclass(frozen=True, slots=True)
class MachinesOut:
    """No machine is to be had while the job is provisioned.

    Args:
        is_stubborn: Whether `disableRetries` does not stop the restart.
    """

    is_stubborn: bool = False


@dataclass(frozen=True, slots=True)
class Preempted:
    """The machine is taken away.

    Args:
        is_stubborn: Whether `disableRetries` does not stop the restart.
    """

    is_stubborn: bool = False


@dataclass(frozen=True, slots=True)
class MemoryExhausted:
    """The container has used up the memory.

    Args:
        is_container_named: Whether the error is that of a killed container; else it is
            that of replicas low on memory.
    """

    is_container_named: bool = True


@dataclass(frozen=True, slots=True)
class Expire:
    """The job expires."""


@dataclass(frozen=True, slots=True)
class SucceedPartially:
    """A job that was about to succeed does so in part only."""


@dataclass(frozen=True, slots=True)
class Pause:
    """The job is paused; for ever without `seconds`."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """The job is updated; until its container ends without `seconds`."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class UpdateOver:
    """The update that began at a time is over."""

    begun: str


@dataclass(frozen=True, slots=True)
class ShowNumber:
    """Clients see a number in place of the state; for ever without `seconds`."""

    number: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ShowState:
    """Clients see the state again."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Somebody deletes the job."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The stage lasts so long from now; for ever without `seconds`."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class EndUnnoticed:
    """The container's end is noticed so much later; never without `seconds`."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Scripted:
    """More acts for a job that exists."""

    acts: "tuple[Act, ...]"


ScriptEvent = (
    PlatformFailed
    | MachinesOut
    | Preempted
    | MemoryExhausted
    | Expire
    | SucceedPartially
    | Pause
    | Update
    | UpdateOver
    | ShowNumber
    | ShowState
    | Delete
    | Hold
    | EndUnnoticed
)
ImageEvent = ImageAwaited | ImageReady | ImageUnavailable
Event = Due | CancelRequested | ReplicaEnded | InternalError | ImageEvent | Scripted | ScriptEvent


@dataclass(frozen=True, slots=True)
class Act:
    """What a script does to a job.

    Args:
        stage: In which stage.
        after: Seconds of the emulator's clock from the stage's beginning; at least 0.
        event: What happens.
        times: In how many such stages; at least 1.
        fault: ID of the planned fault that it comes from.
    """

    stage: Stage
    after: float
    event: ScriptEvent
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

_EVENTS: dict[str, Any] = {kind.__name__: kind for kind in get_args(Event)}


def event_to_json(event: Event) -> Json:
    """An event as it is kept."""
    return {"event": type(event).__name__, **asdict(event)}


def event_from_json(kept: Json) -> Any:
    """The event that was kept."""
    fields = {key: value for key, value in kept.items() if key != "event"}
    if "end" in fields:
        fields["end"] = Exit(**fields["end"])
    return _EVENTS[kept["event"]](**fields)


def act_to_json(act: Act) -> Json:
    """An act as it is kept."""
    return {**asdict(act), "event": event_to_json(act.event)}


def act_from_json(kept: Json) -> Act:
    """The act that was kept."""
    return Act(**{**kept, "event": event_from_json(kept["event"])})


def later_to_json(item: Later) -> Json:
    """A later event as it is kept."""
    return {"moment": format_time(item.moment), "event": event_to_json(item.event)}


def later_from_json(kept: Json) -> Later:
    """The later event that was kept."""
    return Later(parse_time(kept["moment"]), event_from_json(kept["event"]))
