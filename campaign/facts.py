"""What came of a trial, as its witnesses have it: Vertex AI and the ZenML server. Pure data."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from campaign.trial import Trial


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job that was created for the step run.

    Args:
        job_id: Its ID.
        states: Every state with the time of its entry.
        is_deleted: Whether somebody has deleted it.
    """

    job_id: str
    states: tuple[tuple[str, datetime], ...]
    is_deleted: bool = False

    @property
    def state(self) -> str:
        """Its last state."""
        return self.states[-1][0]


@dataclass(frozen=True, slots=True)
class WriteFacts:
    """An attempt to end the step run.

    Args:
        moment: When.
        writer: Who: `step`, `operator`, `zenml` or `user`.
        status: What it is afterwards.
    """

    moment: datetime
    writer: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What came of a trial.

    Args:
        trial: The trial.
        jobs: Every job that was created for the step run.
        leaked: IDs of the jobs that go on although nobody will end them.
        status: The step run's status at the end.
        ended: The change of status that ended the step run; None if nothing did.
        returned: What the operator told last; None if nothing.
        error: What ended the last process; None if nothing did.
        was_interrupted: Whether the last process was cut off by something that it
            could notice.
        was_killed: Whether the first process was killed.
        was_detached: Whether the job was left to itself on purpose.
        was_cancelled: Whether ZenML has asked for the job's cancellation.
        was_stopped: Whether the run was stopped on the ZenML server.
        met_harsh: Whether something has lasted longer than is promised to be borne.
        unheard_writes: How often the ZenML server could not be told the step's end.
        is_endless: Whether a process went on without end.
        hits: Kind of a hazard -> how often it has happened.
        seen: Every boundary that was crossed.
        cut: The boundaries at which a process was killed.
    """

    trial: Trial
    jobs: tuple[JobFacts, ...] = ()
    leaked: tuple[str, ...] = ()
    status: str = "running"
    ended: WriteFacts | None = None
    returned: str | None = None
    error: str | None = None
    was_interrupted: bool = False
    was_killed: bool = False
    was_detached: bool = False
    was_cancelled: bool = False
    was_stopped: bool = False
    met_harsh: bool = False
    unheard_writes: int = 0
    is_endless: bool = False
    hits: Counter[str] = field(default_factory=Counter)
    seen: frozenset[str] = frozenset()
    cut: tuple[str, ...] = ()
