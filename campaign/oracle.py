"""Judges a trial by what Vertex AI and the ZenML server have recorded of it. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from campaign.trial import ServerOutage, Trial
from zenml_vertex.following.patience import SERVER_RESTART

_CLIENT = frozenset({"operator", "zenml"})
_FINISHED = frozenset({"completed", "failed", "stopped"})
_ENDED_BADLY = frozenset({"JOB_STATE_FAILED", "JOB_STATE_EXPIRED", "JOB_STATE_PARTIALLY_SUCCEEDED"})
_OVER = _ENDED_BADLY | {"JOB_STATE_SUCCEEDED", "JOB_STATE_CANCELLED"}
# Hazards that can end a job, or what runs in it, before its step has finished.
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
    """A job that was created for the step run."""

    job_id: str
    # Every state, with the time at which it began.
    states: tuple[tuple[str, datetime], ...]
    is_deleted: bool = False

    @property
    def state(self) -> str:
        """Its last state."""
        return self.states[-1][0]


@dataclass(frozen=True, slots=True)
class EndRecord:
    """The change of status that ended the step run."""

    moment: datetime
    # Who made it: `step`, `operator`, `zenml` or `user`.
    writer: str
    # The status afterwards.
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """What happened in a trial, as Vertex AI and the ZenML server recorded it."""

    trial: Trial
    # Every job that was created for the step run.
    jobs: tuple[JobRecord, ...] = ()
    # IDs of jobs that run on although nobody will cancel them.
    leaked: tuple[str, ...] = ()
    # The step run's status at the end.
    status: str = "running"
    # None if nothing ended the step run.
    ended: EndRecord | None = None
    # The last status that the operator returned; None if it returned none.
    returned: str | None = None
    # When it did; None if it did not.
    returned_at: datetime | None = None
    # When something began to be possible that had not been: the last process began, a server
    # came back.
    recoveries: tuple[datetime, ...] = ()
    # The error that ended the last process; None if there was none.
    error: str | None = None
    # Whether a process was interrupted by something that it could notice.
    was_interrupted: bool = False
    # Whether a process was killed.
    was_killed: bool = False
    # Whether the job was detached on purpose.
    was_detached: bool = False
    # Whether ZenML called `cancel`.
    was_cancelled: bool = False
    # Whether the run was stopped on the ZenML server.
    was_stopped: bool = False
    # Whether a hazard lasted longer than the operator promises to wait it out.
    exceeded_patience: bool = False
    # How often the update that ends the step run did not reach the ZenML server.
    lost_updates: int = 0
    # Whether a process never ended.
    is_endless: bool = False
    # Kind of a hazard -> how often it happened.
    hits: Counter[str] = field(default_factory=Counter)
    # Every boundary that was crossed.
    crossed: frozenset[str] = frozenset()
    # The boundaries at which a process was killed.
    killed_at: tuple[str, ...] = ()


MOST_LATENESS_SECONDS = 180.0
"""A step that is noticed later than that has a verdict of its own."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a trial."""

    # Jobs that were created.
    jobs: int
    # Those beyond the first.
    duplicates: int
    # Those that run on although nobody will cancel them.
    leaked: int
    # Why the final status is wrong; empty if it is right.
    wrong: str
    # Whether a wait never ended.
    endless: bool
    # Seconds from the end of the step to the moment at which ZenML knew it; None where that
    # says nothing.
    lateness: float | None = None

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.duplicates or self.leaked or self.wrong or self.endless or self.is_late)

    @property
    def is_late(self) -> bool:
        """Whether the end of the step was noticed much too late."""
        return self.lateness is not None and self.lateness > MOST_LATENESS_SECONDS


def judge(record: TrialRecord) -> Verdict:
    """Judge a trial."""
    return Verdict(
        jobs=len(record.jobs),
        duplicates=max(0, len(record.jobs) - 1 - _count_replaced(record)),
        leaked=len(record.leaked),
        wrong="" if record.is_endless else explain_wrong_status(record),
        endless=record.is_endless,
        lateness=measure_lateness(record),
    )


def _count_replaced(record: TrialRecord) -> int:
    """How many jobs somebody deleted before the step run was submitted once more."""
    if not record.was_killed or record.trial.sequel != "submit":
        return 0
    return sum(job.is_deleted for job in record.jobs)


def measure_lateness(record: TrialRecord) -> float | None:
    """Seconds from the end of the step to the moment at which the operator returned its status.

    A step ends with its own report, or with its job. Time in which a server was down, or nobody
    was there to look, does not count. None if the client was interrupted, or told to stop.
    """
    known = record.returned_at
    was_disturbed = record.was_interrupted or record.was_cancelled or record.exceeded_patience
    # Vertex AI does not say then that the job has ended.
    is_hidden = "UnknownState" in record.hits
    if known is None or record.ended is None or was_disturbed or record.lost_updates or is_hidden:
        return None
    ends = [record.ended.moment] if record.ended.writer == "step" else []
    ends += [
        moment
        for job in record.jobs
        for state, moment in job.states
        if state in _OVER and moment <= known
    ]
    if not ends:
        return None
    possible = [moment for moment in record.recoveries if moment <= known]
    return max(0.0, (known - max([min(ends), *possible])).total_seconds())


def explain_wrong_status(record: TrialRecord) -> str:
    """Why the step run's final status, or what the operator returned, is wrong; empty if right."""
    if record.status not in _FINISHED:
        return "" if _can_stay_unfinished(record) else f"the step run is still {record.status}"
    expected = expect_status(record)
    if expected not in {None, record.status}:
        return f"the step run is {record.status}, expected {expected}"
    if record.ended is None:
        return f"the step run is {record.status}, and nobody ended it"
    return _find_contradiction(record, record.ended)


def _find_contradiction(record: TrialRecord, ended: EndRecord) -> str:
    if ended.writer in _CLIENT and not _is_justified(record, ended):
        return f"the step run is {ended.status} without a reason"
    # What ZenML makes of a status is its own affair: a run that is being stopped stops a
    # step whose command succeeded.
    if ended.writer == "zenml":
        return ""
    if record.returned not in {None, record.status} and not record.lost_updates:
        return f"the operator returned {record.returned}, but the step run is {record.status}"
    has_failed = record.error and not record.was_interrupted and not record.exceeded_patience
    if has_failed and record.status == "completed":
        return f"the step run is completed, but the client ended with {record.error}"
    return ""


def expect_status(record: TrialRecord) -> str | None:
    """The final status by the trial's script; None where it depends on what happened first."""
    was_disturbed = (
        record.was_killed
        or record.was_interrupted
        or record.was_cancelled
        or record.was_stopped
        or record.exceeded_patience
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


def _can_stay_unfinished(record: TrialRecord) -> bool:
    """Whether nobody was able to end the step run."""
    never_reports = record.trial.step.report is None or any(
        job.is_deleted or job.state in _ENDED_BADLY for job in record.jobs
    )
    return (
        (record.was_detached and never_reports)
        or (record.was_killed and record.trial.sequel == "sweep run")
        or record.lost_updates > 0
    )


def _is_justified(record: TrialRecord, ended: EndRecord) -> bool:
    """Whether the client had a reason to end the step run with that status."""
    if ended.status == "stopped":
        return record.was_interrupted or record.was_cancelled or record.was_stopped
    if ended.status == "completed":
        return record.trial.step.kind == "command" and any(
            job.state == "JOB_STATE_SUCCEEDED" for job in record.jobs
        )
    # ZenML treats an interruption that the operator lets through as a failure.
    was_interrupted = record.was_interrupted and ended.writer == "zenml"
    had_no_job = record.was_killed and not record.jobs
    if record.exceeded_patience or _was_cut_off(record) or was_interrupted or had_no_job:
        return True
    return any(_has_ended_badly(record, ended, job.job_id) for job in record.jobs)


def _has_ended_badly(record: TrialRecord, ended: EndRecord, job_id: str) -> bool:
    """Whether a job had ended by then without success of the step."""
    job = next(one for one in record.jobs if one.job_id == job_id)
    if job.is_deleted:
        return True
    reports = record.trial.step.report or record.trial.step.kind == "command"
    reasons = _ENDED_BADLY if reports else {*_ENDED_BADLY, "JOB_STATE_SUCCEEDED"}
    return any(state in reasons and moment <= ended.moment for state, moment in job.states)
