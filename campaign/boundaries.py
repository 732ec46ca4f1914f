"""The boundaries between a client's process and the world, at which it can be cut off.

A boundary is named `phase: call before` or `phase: call after`. A phase is one of ZenML's
verbs; `tidy` is the operator's background work, and `runner` and `launcher` are ZenML
itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from campaign.trial import (
    Cut,
    Hazard,
    Mode,
    RunStops,
    ServerHazard,
    ServerOutage,
    SiblingFails,
    StepKind,
    VertexHazard,
)
from vertex_emulator.faults import AnswerLost, ErrorAnswer, RequestLost


def _name(phase: str, calls: Iterable[str]) -> list[str]:
    names = [f"{phase}: {call} {when}" for call in calls for when in ("before", "after")]
    # Reading a clock has no effect, so it cannot be cut off from its result.
    return [name for name in names if name != f"{phase}: clock.monotonic after"]


_READING = (
    "clock.monotonic",
    "jobs.list",
    "jobs.get",
    "logs.list",
    "token",
    "get_run_step",
    "update_run_step",
)
_SUBMIT = _name(
    "submit",
    (
        "clock.monotonic",
        "clock.sleep",
        "get_store_info",
        "create_run_metadata",
        "list_run_steps",
        "jobs.create",
        "jobs.list",
        "jobs.cancel",
        "jobs.get",
        "get_run_step",
        "update_run_step",
    ),
)
_WAIT = _name("wait", (*_READING, "clock.sleep", "jobs.cancel", "create_run_metadata"))
_CLEANUP = _name(
    "cleanup",
    (
        "clock.monotonic",
        "clock.sleep",
        "jobs.cancel",
        "jobs.get",
        "get_run_step",
        "update_run_step",
    ),
)
_TIDY = _name("tidy", ("clock.monotonic", "clock.sleep", "jobs.list", "jobs.get", "jobs.cancel"))
_GET_STATUS = _name(
    "get_status",
    (*_READING, "clock.sleep", "jobs.cancel", "get_store_info", "create_run_metadata"),
)
_CANCEL = _name("cancel", ("clock.monotonic", "clock.sleep", "jobs.cancel", "jobs.get"))
_LAUNCHER = _name("launcher", ("clock.sleep", "get_run_step", "update_run_step"))

KILLABLE: Mapping[Mode, Sequence[str]] = {
    "static": (
        *_SUBMIT,
        *_WAIT,
        *_CLEANUP,
        *_TIDY,
        *_LAUNCHER,
    ),
    "dynamic": (
        *_SUBMIT,
        *_GET_STATUS,
        *_CANCEL,
        *_CLEANUP,
        *_TIDY,
        *_LAUNCHER,
        *_name("runner", ("clock.sleep", "get_run_step", "update_run_step")),
    ),
}
"""Where a process can be killed."""

INTERRUPTIBLE: Sequence[str] = (*_SUBMIT, *_WAIT, *_CLEANUP)
"""Where the operator can be interrupted, in a static pipeline."""


@dataclass(frozen=True, slots=True)
class BoundarySetup:
    """What it takes for a process to reach a boundary that most never reach."""

    # None for any kind.
    step: StepKind | None = None
    # What has to happen before.
    hazards: tuple[Hazard, ...] = ()
    # How long the step's program runs; None for any time.
    seconds: float | None = None
    # Which of the processes that follow each other reaches it, from 1.
    process: int = 1
    # Whether the client needs a key file.
    has_key: bool = False


_UNANSWERED = VertexHazard((AnswerLost("create"),))
_BAD_GATEWAY = VertexHazard((ErrorAnswer("cancel", 502, body="html"),))
# Google's client retries this one by itself.
_UNAVAILABLE = VertexHazard((ErrorAnswer("cancel", 503),))
_NOT_CANCELLED = VertexHazard((ErrorAnswer("cancel", 400),), exceeds_patience=True)
_REFUSED = VertexHazard((ErrorAnswer("create", 400),), exceeds_patience=True)
# A step that was stopped reports it, but its container does not exit soon after.
_STOPPED = RunStops(1.0, ends_step=True)
_AFTER_RECORD = Cut("Ctrl-C", "submit: create_run_metadata after", 2)
_BEFORE_CREATE = Cut("Ctrl-C", "submit: jobs.create before")
_SIBLING = SiblingFails(1.0)
_NEXT = BoundarySetup(
    "reports", (Cut("SIGKILL", "submit: jobs.create after"),), seconds=1500.0, process=2
)
_SETUPS: Mapping[str, BoundarySetup] = {
    "submit: clock.sleep": BoundarySetup(hazards=(VertexHazard((RequestLost("create"),)),)),
    "submit: clock.monotonic": BoundarySetup(hazards=(_UNANSWERED,)),
    "submit: jobs.list": BoundarySetup(hazards=(_UNANSWERED,)),
    "submit: jobs.cancel": BoundarySetup(hazards=(_AFTER_RECORD,)),
    "submit: jobs.get": BoundarySetup(hazards=(_AFTER_RECORD, _NOT_CANCELLED)),
    "submit: get_run_step": BoundarySetup(
        hazards=(
            _BEFORE_CREATE,
            ServerHazard("update_run_step", 1, "repeated"),
        )
    ),
    "submit: update_run_step": BoundarySetup(hazards=(_BEFORE_CREATE,)),
    "wait: jobs.cancel": BoundarySetup(
        "reports", (Cut("Ctrl-C", "wait: clock.sleep before", 2),), seconds=600.0
    ),
    # A client that follows a job for minutes says that it is still there.
    "wait: create_run_metadata": BoundarySetup("reports", seconds=1500.0),
    "wait: jobs.get": BoundarySetup("dies"),
    "wait: logs.list": BoundarySetup("dies"),
    # Google's client signs its own tokens; a token is requested for logs only.
    "wait: token": BoundarySetup("dies", has_key=True),
    "get_status: token": BoundarySetup("dies", has_key=True),
    "wait: update_run_step": BoundarySetup("dies"),
    "get_status: jobs.cancel": BoundarySetup(
        "reports", (RunStops(1.0, ends_step=False),), seconds=1200.0
    ),
    "get_status: jobs.get": BoundarySetup("dies"),
    "get_status: logs.list": BoundarySetup("dies"),
    "get_status: update_run_step": BoundarySetup("dies"),
    "cleanup: jobs.cancel": BoundarySetup("reports", (_STOPPED,), seconds=600.0),
    "cleanup: clock.sleep": BoundarySetup("reports", (_STOPPED, _BAD_GATEWAY), seconds=600.0),
    "cleanup: jobs.get": BoundarySetup("reports", (_STOPPED, _NOT_CANCELLED), seconds=600.0),
    "cleanup: get_run_step": BoundarySetup(
        "reports",
        (
            _STOPPED,
            Cut("Ctrl-C", "cleanup: jobs.cancel before"),
            ServerHazard("update_run_step", 1, "repeated"),
        ),
        seconds=600.0,
    ),
    "cleanup: update_run_step": BoundarySetup(
        "reports", (_STOPPED, Cut("Ctrl-C", "cleanup: jobs.cancel before")), seconds=600.0
    ),
    "cleanup: clock.monotonic": BoundarySetup("reports"),
    "cancel: clock.sleep": BoundarySetup("reports", (_SIBLING, _UNAVAILABLE), seconds=600.0),
    "cancel: jobs.get": BoundarySetup("reports", (_SIBLING, _NOT_CANCELLED), seconds=600.0),
    "cancel: ": BoundarySetup("reports", (_SIBLING,), seconds=600.0),
    # Another process looks for a job whose name the first one did not record.
    "get_status: clock.sleep": _NEXT,
    "get_status: get_store_info": _NEXT,
    "get_status: create_run_metadata": _NEXT,
    "tidy: clock": BoundarySetup("reports"),
    "tidy: jobs.list": BoundarySetup("reports"),
    "tidy: jobs.get": BoundarySetup("reports"),
    "tidy: jobs.cancel": BoundarySetup("stuck"),
    "launcher: clock.sleep": BoundarySetup(hazards=(ServerOutage(0.0, 300.0),)),
    "launcher: ": BoundarySetup(hazards=(_REFUSED,)),
    "runner: update_run_step": BoundarySetup("command"),
}


def find_setup(boundary: str) -> BoundarySetup | None:
    """What it takes for a process to reach a boundary; None for nothing in particular."""
    return next((setup for start, setup in _SETUPS.items() if boundary.startswith(start)), None)
