"""Following one job: what is its step's status now, and when is it over.

The ZenML server says "done": a step that finished has reported it. Vertex AI
says "failed": a step that could not report is Vertex AI's to explain.
"""

import logging
from dataclasses import dataclass, field

from zenml_vertex.errors import (
    CredentialsError,
    JobNotFound,
    PermissionDenied,
    VertexApiError,
    VertexStepOperatorError,
)
from zenml_vertex.following.protocols import Clock, Jobs, StepRuns
from zenml_vertex.following.reporting import ProgressLog
from zenml_vertex.job.diagnosis import Diagnosis, diagnose, gone, never_reported, out_of_sight
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.request import JobJson
from zenml_vertex.job.states import interpret

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one kind of failure is borne: until both budgets are spent.

    Args:
        seconds: Time since the first failure in a row.
        tries: Failures in a row.
    """

    seconds: float
    tries: int


# A job that was just created may not be found for a moment: whether a read
# follows a create at once is not documented.
_PATIENCE_NOT_FOUND = Patience(seconds=60, tries=5)
# Permissions take minutes to spread, and are given back when someone notices; so
# is a login that has expired.
_PATIENCE_PERMISSION = Patience(seconds=15 * 60, tries=10)
_PATIENCE_ANYTHING_ELSE = Patience(seconds=2 * 60 * 60, tries=60)

# Seconds since the last change of state -> seconds between two looks. Vertex AI
# allows 600 reads per minute, project and region
# (https://cloud.google.com/vertex-ai/docs/quotas).
_CADENCE = ((60, 1.0), (600, 5.0))
_SLOWEST_CADENCE = 15.0

# Statuses that the ZenML server has for a step run that is over for it -> what
# they mean for the step.
_REPORTED = {
    "completed": "completed",
    "cached": "completed",
    "skipped": "completed",
    "failed": "failed",
    "retrying": "failed",
    "stopped": "stopped",
    "cancelled": "stopped",
    "cancelling": "stopped",
}
_FINISHED = ("completed", "failed", "stopped")


@dataclass(slots=True)
class JobWatcher:
    """Follows the job of one step run.

    Args:
        jobs: Vertex AI.
        step_runs: The ZenML server.
        clock: Where time comes from.
        name: The job.
        step_run_id: The step run that it belongs to.
        reports_itself: Whether ZenML's code runs in the container and reports
            the step's result; a command step does not.
    """

    jobs: Jobs
    step_runs: StepRuns
    clock: Clock
    name: JobName
    step_run_id: str
    reports_itself: bool
    is_over: bool = field(default=False, init=False)
    _progress: ProgressLog = field(init=False)
    _failures: int = field(default=0, init=False)
    _failing_since: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._progress = ProgressLog(self.name, self.clock)

    def look(self) -> str:
        """Look once.

        Returns:
            The step's status: `provisioning`, `running`, `completed`, `failed`
            or `stopped`. The last three are final, and the step run on the ZenML
            server says the same, with the reason.

        Raises:
            VertexStepOperatorError: If the status cannot be told now, but may be later.
        """
        try:
            job = self.jobs.get(str(self.name))
        except (VertexApiError, CredentialsError) as error:
            return self._bear(error)
        self._failures = 0
        self._progress.see(job["state"])
        meaning = interpret(job["state"])
        if not meaning.is_terminal:
            return meaning.status
        self.is_over = True
        return self._settle(job)

    def follow(self) -> str:
        """Look until the step is over; its final status.

        Raises:
            VertexStepOperatorError: If the ZenML server refuses what has to be written.
        """
        trouble = ""
        last_change = self.clock.monotonic()
        state = self._progress.state
        while True:
            try:
                status = self.look()
            except VertexStepOperatorError as error:
                if not (error.retryable or isinstance(error, (VertexApiError, CredentialsError))):
                    raise
                if type(error).__name__ != trouble:
                    trouble = type(error).__name__
                    logger.warning("%s Trying again.", error)
            else:
                if status in _FINISHED:
                    return status
                if trouble:
                    trouble = ""
                    logger.info("Vertex AI job %s can be read again.", self.name.job_id)
            now = self.clock.monotonic()
            if self._progress.state != state:
                state, last_change = self._progress.state, now
            self.clock.sleep(_choose_interval(now - last_change))

    def _bear(self, error: VertexApiError | CredentialsError) -> str:
        """Pass the failure on while there is patience for it; then end the step."""
        now = self.clock.monotonic()
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        patience = _choose_patience(error)
        spent = now - self._failing_since
        if self._failures < patience.tries or spent < patience.seconds:
            raise error
        is_gone = isinstance(error, JobNotFound)
        self.is_over = is_gone
        return self._fail(gone(str(error)) if is_gone else out_of_sight(str(error)))

    def _settle(self, job: JobJson) -> str:
        reported = self.step_runs.status(self.step_run_id)
        if reported in _REPORTED:
            return _REPORTED[reported]
        status = interpret(job["state"]).status
        if status == "completed":
            return self._fail(never_reported(job["state"])) if self.reports_itself else status
        if status == "stopped":
            self.step_runs.stop(self.step_run_id, diagnose(job).describe(self.name))
            return status
        return self._fail(diagnose(job))

    def _fail(self, diagnosis: Diagnosis) -> str:
        text = diagnosis.describe(self.name)
        logger.error("%s", text)
        self.step_runs.fail(self.step_run_id, text)
        return "failed"


def _choose_patience(error: VertexApiError | CredentialsError) -> Patience:
    if isinstance(error, JobNotFound):
        return _PATIENCE_NOT_FOUND
    if isinstance(error, (PermissionDenied, CredentialsError)):
        return _PATIENCE_PERMISSION
    return _PATIENCE_ANYTHING_ELSE


def _choose_interval(seconds_since_change: float) -> float:
    """Look often while something is about to change, seldom later."""
    for until, interval in _CADENCE:
        if seconds_since_change < until:
            return interval
    return _SLOWEST_CADENCE
