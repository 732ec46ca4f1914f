"""What happens in one trial: the step, and everything that goes wrong around it. Pure data."""

from dataclasses import dataclass
from typing import Literal

from vertex_emulator.faults import Fault, JobFault, RequestFault

Mode = Literal["static", "dynamic"]

StepKind = Literal["reports", "hangs", "stuck", "fails", "dies", "silent", "command", "bad command"]
"""What the step's program does.

`reports`: it reports that it is completed, and ends. `hangs`: it does not end by itself
after that, and is ended as its container's entrypoint does it, where there is one that
does. `stuck`: nothing ends it but Vertex AI. `fails`: it reports that it failed. `dies`:
it ends with status 1 without a report. `silent`: with status 0 without a report.
`command`, `bad command`: no code of ZenML's runs, so that nothing reports.
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A step's program.

    Args:
        kind: What it does.
        seconds: After how long, from its container's start.
        ending: Seconds from its report to its end.
    """

    kind: StepKind
    seconds: float
    ending: float = 2.0

    @property
    def is_command(self) -> bool:
        """Whether no code of ZenML's runs."""
        return self.kind in {"command", "bad command"}

    @property
    def report(self) -> str | None:
        """What it tells the ZenML server; None for nothing."""
        if self.kind in {"reports", "hangs", "stuck"}:
            return "completed"
        return "failed" if self.kind == "fails" else None


@dataclass(frozen=True, slots=True)
class VertexHazard:
    """Faults of Vertex AI that come together.

    Args:
        faults: They.
        is_harsh: Whether they last longer than the operator promises to bear, so that
            the step may fail for them.
    """

    faults: tuple[Fault, ...]
    is_harsh: bool = False

    @property
    def kind(self) -> str:
        """What it is called in the tally."""
        fault = self.faults[0]
        if isinstance(fault, JobFault):
            return type(fault).__name__
        names = "+".join(type(one).__name__ for one in self.faults)
        methods = dict.fromkeys(one.method for one in self.faults if isinstance(one, RequestFault))
        return f"{names} {'+'.join(methods)}"


OutageForm = Literal["refused", "proxy"]


@dataclass(frozen=True, slots=True)
class ServerOutage:
    """The ZenML server cannot be reached for a while.

    Args:
        start: Seconds from the trial's beginning.
        seconds: How long.
        form: Whether connections are `refused`, or a `proxy` answers 502.
    """

    start: float
    seconds: float
    form: OutageForm = "refused"

    @property
    def kind(self) -> str:
        """What it is called in the tally."""
        return f"ZenML server: {self.form}"


@dataclass(frozen=True, slots=True)
class ServerHazard:
    """One call to the ZenML server goes wrong.

    Args:
        call: Method of ZenML's client or store.
        nth: Which call of it, from 1.
        form: `lost`: nothing happens. `unheard`: it has its effect, and no answer comes.
            `repeated`: the same, and ZenML's client asks a second time by itself.
    """

    call: Literal["create_run_metadata", "update_run_step", "get_run_step"]
    nth: int
    form: Literal["lost", "unheard", "repeated"]

    @property
    def kind(self) -> str:
        """What it is called in the tally."""
        return f"ZenML server: {self.call} {self.form}"


CutKind = Literal["SIGKILL", "Ctrl-C", "SIGTERM", "stop"]
"""How a process is cut off; the last two are what ZenML's handler of signals raises."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The client's process is cut off at a boundary.

    Args:
        how: By what.
        place: Name of the boundary: `phase: call before` or `phase: call after`.
        nth: Which time it is crossed, from 1.
        process: Which of the processes that come one after the other, from 1.
    """

    how: CutKind
    place: str
    nth: int = 1
    process: int = 1

    @property
    def kind(self) -> str:
        """What it is called in the tally."""
        return self.how


JobMethod = Literal["create", "get", "list", "cancel"]


@dataclass(frozen=True, slots=True)
class EmulatorCrash:
    """Vertex AI itself dies in the middle of a call, and comes back.

    Args:
        method: The call, as faults name it.
        nth: Which one, from 1.
        seconds: Until it is back.
        after_effect: Whether the call has had its effect.
    """

    method: JobMethod
    nth: int
    seconds: float
    after_effect: bool = False

    @property
    def kind(self) -> str:
        """What it is called in the tally."""
        return f"crash of Vertex AI in {self.method}"


@dataclass(frozen=True, slots=True)
class SiblingFails:
    """Another step of a dynamic run fails, and ZenML cancels this one.

    Args:
        seconds: From the first question about the step's status.
    """

    seconds: float

    @property
    def kind(self) -> str:
        """What it is called in the tally."""
        return "a sibling fails"


@dataclass(frozen=True, slots=True)
class RunStops:
    """Somebody stops the run on the ZenML server.

    Args:
        seconds: From the trial's beginning.
        is_heeded: Whether the step's heartbeat sees it, so that the step ends.
    """

    seconds: float
    is_heeded: bool

    @property
    def kind(self) -> str:
        """What it is called in the tally."""
        return "the run is stopped"


Hazard = VertexHazard | ServerOutage | ServerHazard | Cut | EmulatorCrash | SiblingFails | RunStops

Sequel = Literal["resume", "submit", "sweep step", "sweep run"]
"""What comes after a SIGKILL.

`resume`: another process goes on watching the step run, as the dynamic runner does.
`submit`: another process submits it again. `sweep step`: the step run is ended on the
ZenML server, and `zenml-vertex jobs cancel --orphans` is run. `sweep run`: the same, with
the pipeline run alone ended.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial.

    Args:
        index: Its number in the campaign.
        seed: Of what the world draws in it.
        mode: How ZenML runs the pipeline.
        step: The step.
        hazards: What goes wrong.
        detaches: Whether `on_client_exit` is `detach`.
        has_key: Whether the client has a key file; else it is anonymous.
        sequel: What comes after a SIGKILL.
        delay: Seconds from the SIGKILL to the sequel.
    """

    index: int
    seed: str
    mode: Mode
    step: Step
    hazards: tuple[Hazard, ...] = ()
    detaches: bool = False
    has_key: bool = False
    sequel: Sequel = "resume"
    delay: float = 30.0
