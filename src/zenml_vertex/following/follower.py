"""One step's job: what is the step's status, as far as is known, and when is it over.

The ZenML server says "done": a step that finished has reported it. Vertex AI says
"failed": a step that could not report is Vertex AI's to explain.
"""

import logging
from dataclasses import dataclass, field

from zenml_vertex.clock import Clock
from zenml_vertex.errors import (
    CredentialsError,
    JobNotFound,
    PermissionDenied,
    ServerUnreachable,
    StepRunNotFound,
    VertexStepOperatorError,
)
from zenml_vertex.following.progress import ProgressLog
from zenml_vertex.following.protocols import Logs, StepRuns
from zenml_vertex.job.diagnosis import (
    Diagnosis,
    diagnose,
    gone,
    never_reported,
    not_understood,
    out_of_sight,
)
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.request import JobJson
from zenml_vertex.job.states import interpret, is_known

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
# A server that has lost sight of a step run for a moment, as it restarts.
_PATIENCE_STEP_RUN = Patience(seconds=15, tries=5)
_PATIENCE_ANYTHING_ELSE = Patience(seconds=2 * 60 * 60, tries=60)
# A state that Google has added since may be one in which the step works; if it does,
# it reports its result meanwhile.
_PATIENCE_UNKNOWN_STATE = Patience(seconds=6 * 60 * 60, tries=60)

# Statuses that the ZenML server has for a step run that is over for it -> what
# they mean for the step.
REPORTED = {
    "completed": "completed",
    "cached": "completed",
    "skipped": "completed",
    "failed": "failed",
    "retrying": "failed",
    "retried": "failed",
    "stopped": "stopped",
    "cancelled": "stopped",
}
FINISHED = ("completed", "failed", "stopped")
# Those of a step run that is to end. Its container sees that with its next heartbeat,
# if ZenML's code runs in it and is not stuck.
ENDING = ("stopping", "cancelling")
ENDING_PATIENCE_SECONDS = 5 * 60.0


@dataclass(slots=True)
class JobFollower:
    """What is known of the job of one step run.

    Args:
        name: The job.
        step_run_id: The step run that it belongs to.
        run_id: The pipeline run of that.
        reports_itself: Whether ZenML's code runs in the container and reports
            the step's result; a command step does not.
        step_runs: The ZenML server.
        clock: Where time comes from.
        logs: What jobs have written; None where it cannot be read.
        status: The step's status: `provisioning`, `running`, `completed`, `failed`
            or `stopped`. The last three are final, and the step run on the ZenML
            server says the same, with the reason.
        is_terminal: Whether the job is over, too.
        has_reported: Whether the step has told its result itself, so that its
            container is about to end.
        changed_at: When the job was last seen to change, by the clock.
        end_due: When the job is to be cancelled, by the clock, unless the step is over
            by then; None for a step that is not to end.
        uncancelled_since: Since when its cancels have failed; None if the last has not.
    """

    name: JobName
    step_run_id: str
    run_id: str
    reports_itself: bool
    step_runs: StepRuns
    clock: Clock
    logs: Logs | None = None
    status: str = field(default="provisioning", init=False)
    is_terminal: bool = field(default=False, init=False)
    has_reported: bool = field(default=False, init=False)
    changed_at: float = field(init=False)
    end_due: float | None = field(default=None, init=False)
    uncancelled_since: float | None = field(default=None, init=False)
    _progress: ProgressLog = field(init=False)
    # Since when, and how often, for each patience: the failures of one kind use up none
    # of the patience with another.
    _failures: dict[Patience, tuple[float, int]] = field(default_factory=dict, init=False)
    _polls_in_unknown_state: int = field(default=0, init=False)
    _unknown_since: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.changed_at = self.clock.monotonic()
        self._progress = ProgressLog(self.name, self.clock)

    @property
    def is_finished(self) -> bool:
        """Whether the step's status is final."""
        return self.status in FINISHED

    @property
    def is_starting(self) -> bool:
        """Whether the job is queued, or its machine is on its way."""
        return self.status == "provisioning"

    def see_job(self, job: JobJson) -> None:
        """Take note of the job as Vertex AI has it now.

        Raises:
            ServerUnreachable: If the job is over, and the ZenML server cannot be
                asked, or told, what that means for the step.
            StepRunNotFound: If the job is over, and the step run is not there.
        """
        if job["state"] != self._progress.state:
            self.changed_at = self.clock.monotonic()
        self._progress.see(job["state"])
        meaning = interpret(job["state"])
        if meaning.is_terminal:
            self.status = self._settle(job)
            self.is_terminal = True
        elif not self.is_finished:
            self.status = meaning.status
            if is_known(job["state"]):
                self._polls_in_unknown_state = 0
            else:
                self._note_unknown_state(job["state"])
        self._failures = {
            patience: failures
            for patience, failures in self._failures.items()
            if patience is _PATIENCE_STEP_RUN
        }

    def see_reported(self, reported: str) -> None:
        """Take note of what the ZenML server says of the step run."""
        self._failures.pop(_PATIENCE_STEP_RUN, None)
        if reported in ENDING and self.end_due is None:
            self.end_due = self.clock.monotonic() + ENDING_PATIENCE_SECONDS
            logger.info("The step is %s; its container gets some time for that.", reported)
        if not self.is_finished and reported in REPORTED:
            self.status = REPORTED[reported]
            self.has_reported = self.reports_itself and self.status != "stopped"
            logger.info(
                "The step has reported that it is %s; Vertex AI job %s is not waited for.",
                self.status,
                self.name.job_id,
            )

    def note_failure(self, error: VertexStepOperatorError) -> None:
        """Take note that the job, or the step run, cannot be read; the step ends in the end.

        It ends once the patience with this kind of error is spent, and then also
        where the ZenML server cannot be told: nothing waits for ever.
        """
        patience = _choose_patience(error)
        since, tries = self._failures.get(patience, (self.clock.monotonic(), 0))
        tries += 1
        self._failures[patience] = since, tries
        spent = self.clock.monotonic() - since
        if tries < patience.tries or spent < patience.seconds:
            return
        if isinstance(error, StepRunNotFound):
            logger.warning("%s Nobody needs Vertex AI job %s any more.", error, self.name.job_id)
            # There is nobody to tell, and ZenML does not retry what was stopped.
            self.status = "stopped"
            return
        is_gone = isinstance(error, JobNotFound)
        self._give_up(gone(str(error)) if is_gone else out_of_sight(str(error)))
        self.is_terminal = is_gone

    def _note_unknown_state(self, state: str) -> None:
        """Take note of a state that this version does not know; the step ends in the end."""
        now = self.clock.monotonic()
        if not self._polls_in_unknown_state:
            self._unknown_since = now
        self._polls_in_unknown_state += 1
        spent = now - self._unknown_since
        patience = _PATIENCE_UNKNOWN_STATE
        if self._polls_in_unknown_state >= patience.tries and spent >= patience.seconds:
            self._give_up(not_understood(state))

    def _give_up(self, diagnosis: Diagnosis) -> None:
        """Fail the step, also where the ZenML server cannot be told."""
        try:
            self.status = self._fail(diagnosis)
        except (ServerUnreachable, StepRunNotFound) as untold:
            logger.error("%s", untold)  # noqa: TRY400 - the message is written for people
            self.status = "failed"

    def _settle(self, job: JobJson) -> str:
        reported = self.step_runs.status(self.step_run_id)
        if reported in REPORTED:
            return REPORTED[reported]
        status = interpret(job["state"]).status
        if status == "completed":
            return self._fail(never_reported(job["state"])) if self.reports_itself else status
        if status == "stopped":
            text = diagnose(job).describe(self.name)
            return REPORTED.get(self.step_runs.stop(self.step_run_id, text), status)
        return self._fail(diagnose(job, self._fetch_tail()))

    def _fetch_tail(self) -> list[str]:
        """The end of the job's log; nothing where it cannot be read, which is no failure."""
        try:
            return self.logs.fetch_tail(str(self.name)) if self.logs else []
        except VertexStepOperatorError as error:
            logger.info("The log of the job cannot be read, and would say more: %s", error)
            return []

    def _fail(self, diagnosis: Diagnosis) -> str:
        """Fail the step; its status, which is another one if it was over or being stopped."""
        result = self.step_runs.fail(self.step_run_id, diagnosis.describe(self.name))
        # ZenML shows the whole text, which is on the step run now.
        logger.error("Vertex AI job %s %s", self.name.job_id, diagnosis.what)
        return REPORTED.get(result, "failed")


def _choose_patience(error: VertexStepOperatorError) -> Patience:
    if isinstance(error, JobNotFound):
        return _PATIENCE_NOT_FOUND
    if isinstance(error, StepRunNotFound):
        return _PATIENCE_STEP_RUN
    if isinstance(error, (PermissionDenied, CredentialsError)):
        return _PATIENCE_PERMISSION
    return _PATIENCE_ANYTHING_ELSE
