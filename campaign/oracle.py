"""Judges a trial by what Vertex AI and the ZenML server have recorded of it. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from campaign.trial import ServerOutage, Trial
from zenml_vertex.following.patience import SERVER_RESTART

_CLIENT = frozenset({"operator", "zenml"})
_FINISHED = frozenset({"completed", "failed", "stopped"})
_ENDED_BADLY = frozenset({"JOB_STATE_FAILED", "JOB_STATE_EXPIRED", "JOB_STATE_PARTIALLY_SUCCEEDED"})
# Hazards that may end a job, or what runs in it, before its step is done.
_ENDS_OF_JOBS = (
    "Stockout",
    "Preemption",
    "InternalErrors",
    "OutOfMemory",
    "Expired",
    "PartiallySucceeded",
    "Deleted",
    "Paused",
    "crash of Vertex AI",
)


@dataclass(frozen=True, slots=True)
class JobRecord:
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
class EndRecord:
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
class TrialRecord:
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
    jobs: tuple[JobRecord, ...] = ()
    leaked: tuple[str, ...] = ()
    status: str = "running"
    ended: EndRecord | None = None
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a trial.

    Args:
        jobs: Jobs that were created.
        duplicates: Those beyond the first.
        leaked: Those that go on although nobody will end them.
        wrong: Why the final status is wrong; empty if it is right.
        endless: Whether a wait had no end.
    """

    jobs: int
    duplicates: int
    leaked: int
    wrong: str
    endless: bool

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.duplicates or self.leaked or self.wrong or self.endless)


def judge(record: TrialRecord) -> Verdict:
    """Judge a trial."""
    return Verdict(
        jobs=len(record.jobs),
        duplicates=max(0, len(record.jobs) - 1),
        leaked=len(record.leaked),
        wrong="" if record.is_endless else find_wrong(record),
        endless=record.is_endless,
    )


def find_wrong(record: TrialRecord) -> str:
    """Why the final status of the step run, or what the operator told, is wrong; or nothing."""
    if record.status not in _FINISHED:
        return "" if _may_be_open(record) else f"the step run is still {record.status}"
    expected = expect(record)
    if expected not in {None, record.status}:
        return f"the step run is {record.status}, and should be {expected}"
    if record.ended is None:
        return f"the step run is {record.status}, and nobody has ended it"
    return _find_contradiction(record, record.ended)


def _find_contradiction(record: TrialRecord, ended: EndRecord) -> str:
    if ended.writer in _CLIENT and not _is_justified(record, ended):
        return f"the step run is {ended.status} without a reason"
    # What ZenML makes of a status is ZenML's: a run that is being stopped stops a step
    # whose command has succeeded.
    if ended.writer == "zenml":
        return ""
    if record.returned not in {None, record.status} and not record.unheard_writes:
        return f"the operator said {record.returned}, and the step run is {record.status}"
    has_failed = record.error and not record.was_interrupted and not record.met_harsh
    if has_failed and record.status == "completed":
        return f"the step is completed, and the client ended with {record.error}"
    return ""


def expect(record: TrialRecord) -> str | None:
    """The final status by the trial's own script; None where it depends on what came first."""
    was_disturbed = (
        record.was_killed
        or record.was_interrupted
        or record.was_cancelled
        or record.was_stopped
        or record.met_harsh
        or _was_cut_off(record)
    )
    if was_disturbed or any(kind.startswith(_ENDS_OF_JOBS) for kind in record.hits):
        return None
    step = record.trial.step
    return step.report or ("completed" if step.kind == "command" else "failed")


def _was_cut_off(record: TrialRecord) -> bool:
    """Whether the ZenML server was down for longer than a submission waits for it."""
    return record.error == "ServerUnreachable" and any(
        isinstance(hazard, ServerOutage) and hazard.seconds > SERVER_RESTART.seconds
        for hazard in record.trial.hazards
    )


def _may_be_open(record: TrialRecord) -> bool:
    """Whether there is nobody who could have ended the step run."""
    never_reports = record.trial.step.report is None or any(
        job.is_deleted or job.state in _ENDED_BADLY for job in record.jobs
    )
    return (
        (record.was_detached and never_reports)
        or (record.was_killed and record.trial.sequel == "sweep run")
        or record.unheard_writes > 0
    )


def _is_justified(record: TrialRecord, ended: EndRecord) -> bool:
    """Whether what has happened is a reason for the client to end the step run so."""
    if ended.status == "stopped":
        return record.was_interrupted or record.was_cancelled or record.was_stopped
    if ended.status == "completed":
        return record.trial.step.kind == "command" and any(
            job.state == "JOB_STATE_SUCCEEDED" for job in record.jobs
        )
    # ZenML takes an interruption that an operator lets pass for a failure.
    was_interrupted = record.was_interrupted and ended.writer == "zenml"
    had_no_job = record.was_killed and not record.jobs
    if record.met_harsh or _was_cut_off(record) or was_interrupted or had_no_job:
        return True
    return any(_has_ended_badly(record, ended, job.job_id) for job in record.jobs)


def _has_ended_badly(record: TrialRecord, ended: EndRecord, job_id: str) -> bool:
    """Whether a job had ended by then without the step's success."""
    job = next(one for one in record.jobs if one.job_id == job_id)
    if job.is_deleted:
        return True
    reports = record.trial.step.report or record.trial.step.kind == "command"
    reasons = _ENDED_BADLY if reports else {*_ENDED_BADLY, "JOB_STATE_SUCCEEDED"}
    return any(state in reasons and moment <= ended.moment for state, moment in job.states)
