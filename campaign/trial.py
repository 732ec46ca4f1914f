"""What happens in one trial: the step, and everything that goes wrong around it. Pure data."""

from dataclasses import dataclass
from typing import Literal

from vertex_emulator.faults import Fault, JobFault, RequestFault

Mode = Literal["static", "dynamic"]

StepKind = Literal["reports", "hangs", "stuck", "fails", "dies", "silent", "command", "bad command"]
"""What the step's program does.

`reports`: it reports that it is completed, and exits. `hangs`: it does not exit after
that, until its container's entrypoint ends it, if there is one that does. `stuck`: only
Vertex AI can end it. `fails`: it reports that it failed. `dies`: it exits with status 1
without a report. `silent`: with status 0 without a report. `command`, `bad command`:
ZenML's code does not run, so nothing is reported.
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A step's program."""

    kind: StepKind
    # From the start of its container to its report, or to its exit without one.
    seconds: float
    # From its report to its exit.
    ending: float = 2.0

    @property
    def is_command(self) -> bool:
        """Whether it runs without ZenML's code."""
        return self.kind in {"command", "bad command"}

    @property
    def report(self) -> str | None:
        """The status that it reports to the ZenML server; None for none."""
        if self.kind in {"reports", "hangs", "stuck"}:
            return "completed"
        return "failed" if self.kind == "fails" else None


@dataclass(frozen=True, slots=True)
class VertexHazard:
    """Faults of Vertex AI that come together."""

    faults: tuple[Fault, ...]
    # Whether they last longer than the operator promises to wait, so that the step can fail.
    exceeds_patience: bool = False

    @property
    def kind(self) -> str:
        """Its name in the tally."""
        fault = self.faults[0]
        if isinstance(fault, JobFault):
            return type(fault).__name__
        names = "+".join(type(one).__name__ for one in self.faults)
        methods = dict.fromkeys(one.method for one in self.faults if isinstance(one, RequestFault))
        return f"{names} {'+'.join(methods)}"


OutageForm = Literal["refused", "proxy"]


@dataclass(frozen=True, slots=True)
class ServerOutage:
    """The ZenML server cannot be reached for a while."""

    # From the beginning of the trial.
    start: float
    # How long.
    seconds: float
    # Connections are `refused`, or a `proxy` answers 502.
    form: OutageForm = "refused"

    @property
    def kind(self) -> str:
        """Its name in the tally."""
        return f"ZenML server: {self.form}"


@dataclass(frozen=True, slots=True)
class ServerHazard:
    """One call to the ZenML server fails."""

    # Method of ZenML's client or store.
    call: Literal["create_run_metadata", "list_run_steps", "update_run_step", "get_run_step"]
    # Which call of the method, from 1.
    nth: int
    # `request lost`: it has no effect. `answer lost`: it takes effect, but no answer comes.
    # `repeated`: the same, and ZenML's client retries by itself.
    form: Literal["request lost", "answer lost", "repeated"]

    @property
    def kind(self) -> str:
        """Its name in the tally."""
        return f"ZenML server: {self.call} {self.form}"


CutKind = Literal["SIGKILL", "Ctrl-C", "SIGTERM", "stop"]
"""How a process is cut off; ZenML's signal handler raises an error for the last two."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The client's process is cut off at a boundary."""

    how: CutKind
    # `phase: call before` or `phase: call after`.
    boundary: str
    # At which crossing, from 1.
    nth: int = 1
    # Which of the processes that follow each other, from 1.
    process: int = 1

    @property
    def kind(self) -> str:
        """Its name in the tally."""
        return self.how


JobMethod = Literal["create", "get", "list", "cancel"]


@dataclass(frozen=True, slots=True)
class EmulatorCrash:
    """Vertex AI itself crashes in the middle of a call, and comes back."""

    method: JobMethod
    # Which call of the method, from 1.
    nth: int
    # Until it is back.
    seconds: float
    # Whether the call took effect before the crash.
    after_effect: bool = False

    @property
    def kind(self) -> str:
        """Its name in the tally."""
        return f"crash of Vertex AI in {self.method}"


@dataclass(frozen=True, slots=True)
class SiblingFails:
    """Another step of a dynamic run fails, and ZenML cancels this one."""

    # From the first `get_status` of the step.
    seconds: float

    @property
    def kind(self) -> str:
        """Its name in the tally."""
        return "a sibling fails"


@dataclass(frozen=True, slots=True)
class RunStops:
    """Somebody stops the run on the ZenML server."""

    # From the beginning of the trial.
    seconds: float
    # Whether the step's heartbeat notices, so that the step ends.
    ends_step: bool

    @property
    def kind(self) -> str:
        """Its name in the tally."""
        return "the run is stopped"


Hazard = VertexHazard | ServerOutage | ServerHazard | Cut | EmulatorCrash | SiblingFails | RunStops

Sequel = Literal["resume", "submit", "attach", "settle", "sweep step", "sweep run"]
"""What comes after a SIGKILL.

`resume`: another process continues to monitor the step run, as the dynamic runner does.
`submit`: another process submits it again. `attach`: somebody runs `zenml-vertex jobs attach`
as soon as that takes the client for dead. `settle`: the same with `zenml-vertex jobs settle`,
until the job is over. `sweep step`: the step run is ended on the
ZenML server, and `zenml-vertex jobs cancel --orphans` is run. `sweep run`: the same, but
only the pipeline run is ended.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial."""

    # Its number in the campaign.
    index: int
    # Of what the emulator draws in it.
    seed: str
    # How ZenML runs the pipeline.
    mode: Mode
    step: Step
    # What goes wrong.
    hazards: tuple[Hazard, ...] = ()
    # Whether `on_client_exit` is `detach`.
    detaches: bool = False
    # Whether the client has a key file; otherwise it is anonymous.
    has_key: bool = False
    # What comes after a SIGKILL.
    sequel: Sequel = "resume"
    # Seconds from the SIGKILL to the sequel.
    delay: float = 30.0
