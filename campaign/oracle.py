"""Was it right? Judges a trial by what Vertex AI and the ZenML server have seen. Pure."""

from dataclasses import dataclass

from campaign.facts import Facts, WriteFacts
from campaign.trial import ServerOutage
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


def judge(facts: Facts) -> Verdict:
    """Judge a trial."""
    return Verdict(
        jobs=len(facts.jobs),
        duplicates=max(0, len(facts.jobs) - 1),
        leaked=len(facts.leaked),
        wrong="" if facts.is_endless else find_wrong(facts),
        endless=facts.is_endless,
    )


def find_wrong(facts: Facts) -> str:
    """Why the final status of the step run, or what the operator told, is wrong; or nothing."""
    if facts.status not in _FINISHED:
        return "" if _may_be_open(facts) else f"the step run is still {facts.status}"
    expected = expect(facts)
    if expected not in {None, facts.status}:
        return f"the step run is {facts.status}, and should be {expected}"
    if facts.ended is None:
        return f"the step run is {facts.status}, and nobody has ended it"
    return _find_contradiction(facts, facts.ended)


def _find_contradiction(facts: Facts, ended: WriteFacts) -> str:
    if ended.writer in _CLIENT and not _is_justified(facts, ended):
        return f"the step run is {ended.status} without a reason"
    # What ZenML makes of a status is ZenML's: a run that is being stopped stops a step
    # whose command has succeeded.
    if ended.writer == "zenml":
        return ""
    if facts.returned not in {None, facts.status} and not facts.unheard_writes:
        return f"the operator said {facts.returned}, and the step run is {facts.status}"
    has_failed = facts.error and not facts.was_interrupted and not facts.met_harsh
    if has_failed and facts.status == "completed":
        return f"the step is completed, and the client ended with {facts.error}"
    return ""


def expect(facts: Facts) -> str | None:
    """The final status by the trial's own script; None where it depends on what came first."""
    was_disturbed = (
        facts.was_killed
        or facts.was_interrupted
        or facts.was_cancelled
        or facts.was_stopped
        or facts.met_harsh
        or _was_cut_off(facts)
    )
    if was_disturbed or any(kind.startswith(_ENDS_OF_JOBS) for kind in facts.hits):
        return None
    step = facts.trial.step
    return step.report or ("completed" if step.kind == "command" else "failed")


def _was_cut_off(facts: Facts) -> bool:
    """Whether the ZenML server was down for longer than a submission waits for it."""
    return facts.error == "ServerUnreachable" and any(
        isinstance(hazard, ServerOutage) and hazard.seconds > SERVER_RESTART.seconds
        for hazard in facts.trial.hazards
    )


def _may_be_open(facts: Facts) -> bool:
    """Whether there is nobody who could have ended the step run."""
    never_reports = facts.trial.step.report is None or any(
        job.is_deleted or job.state in _ENDED_BADLY for job in facts.jobs
    )
    return (
        (facts.was_detached and never_reports)
        or (facts.was_killed and facts.trial.sequel == "sweep run")
        or facts.unheard_writes > 0
    )


def _is_justified(facts: Facts, ended: WriteFacts) -> bool:
    """Whether what has happened is a reason for the client to end the step run so."""
    if ended.status == "stopped":
        return facts.was_interrupted or facts.was_cancelled or facts.was_stopped
    if ended.status == "completed":
        return facts.trial.step.kind == "command" and any(
            job.state == "JOB_STATE_SUCCEEDED" for job in facts.jobs
        )
    # ZenML takes an interruption that an operator lets pass for a failure.
    was_interrupted = facts.was_interrupted and ended.writer == "zenml"
    had_no_job = facts.was_killed and not facts.jobs
    if facts.met_harsh or _was_cut_off(facts) or was_interrupted or had_no_job:
        return True
    return any(_has_ended_badly(facts, ended, job.job_id) for job in facts.jobs)


def _has_ended_badly(facts: Facts, ended: WriteFacts, job_id: str) -> bool:
    """Whether a job had ended by then without the step's success."""
    job = next(one for one in facts.jobs if one.job_id == job_id)
    if job.is_deleted:
        return True
    reports = facts.trial.step.report or facts.trial.step.kind == "command"
    reasons = _ENDED_BADLY if reports else {*_ENDED_BADLY, "JOB_STATE_SUCCEEDED"}
    return any(state in reasons and moment <= ended.moment for state, moment in job.states)
