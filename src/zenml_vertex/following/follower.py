"""Following the job of one step: the step's status, and whether it has finished.

A step that finished has reported its result to the ZenML server. Only for a step that could
not report does Vertex AI's state of the job count.
"""

from contextlib import suppress
from dataclasses import dataclass, field

from zenml_vertex.clock import Clock
from zenml_vertex.errors import (
    JobNotFound,
    ServerUnreachable,
    StepRunNotFound,
    VertexStepOperatorError,
)
from zenml_vertex.following.patience import (
    STEP_RUN_NOT_FOUND,
    UNKNOWN_STATE,
    FailureRuns,
    Task,
    choose_patience,
)
from zenml_vertex.following.progress import JobLog, ProgressLog, StepLog
from zenml_vertex.following.protocols import Logs, StepRunNews, StepRuns
from zenml_vertex.installation import upgrade_advice
from zenml_vertex.job.diagnosis import (
    Diagnosis,
    diagnose,
    gone,
    never_reported,
    not_understood,
    out_of_sight,
)
from zenml_vertex.job.identity import Attempt, JobName
from zenml_vertex.job.request import JobJson
from zenml_vertex.job.states import interpret, is_known
from zenml_vertex.job.step_status import interpret_status
from zenml_vertex.job.times import JobTimes, find_reached_timeout

# How long a step that was told to stop may take before its job is cancelled.
STOP_PATIENCE_SECONDS = 5 * 60.0


@dataclass(slots=True)
class JobFollower:
    """What is known of the job of one attempt at a step run."""

    step: StepLog
    name: JobName
    attempt: Attempt
    # The pipeline run.
    run_id: str
    # Whether ZenML's code runs in the container and reports the step's result; a command
    # step does not.
    reports_itself: bool
    step_runs: StepRuns
    clock: Clock
    # None if logs cannot be read.
    logs: Logs | None = None
    # Whether the step ends when the process that follows it does.
    ends_with_process: bool = False
    # The step's status: `provisioning`, `running`, `completed`, `failed` or `stopped`. The
    # last three are final, and the step run on the ZenML server has the same, with the reason.
    status: str = field(default="provisioning", init=False)
    # Whether the job has ended too.
    is_terminal: bool = field(default=False, init=False)
    # Whether the job has been cancelled for good: whoever interrupts that waits no longer.
    is_given_up: bool = field(default=False, init=False)
    # Whether the step has reported its result itself, so that its container is about to exit.
    has_reported: bool = field(default=False, init=False)
    # When the job's state last changed, by the clock.
    changed_at: float = field(init=False)
    # When to cancel the job, by the clock, unless the step has finished by then; None for a
    # step that was not told to stop.
    stop_due: float | None = field(default=None, init=False)
    # When its cancels began to fail, by the clock; None if the last one did not.
    uncancelled_since: float | None = field(default=None, init=False)
    _progress: ProgressLog = field(init=False)
    _failures: FailureRuns = field(init=False)

    def __post_init__(self) -> None:
        self.changed_at = self.clock.monotonic()
        self._progress = ProgressLog(self.log)
        self._failures = FailureRuns(self.clock)

    @property
    def log(self) -> JobLog:
        """Where the lines about the job come from."""
        return self.step.of(self.name)

    @property
    def step_run_id(self) -> str:
        """The step run that the job belongs to."""
        return self.attempt.step_run_id

    @property
    def is_finished(self) -> bool:
        """Whether the step's status is final."""
        return interpret_status(self.status).is_finished

    @property
    def is_starting(self) -> bool:
        """Whether the job is queued, or its machine is on its way."""
        return self.status == "provisioning"

    def see_job(self, job: JobJson) -> None:
        """Update the status from the job as Vertex AI has it now.

        Raises:
            ServerUnreachable: If the job has ended and the ZenML server cannot be reached
                to settle what that means for the step.
            StepRunNotFound: If the job has ended and its step run does not exist.
        """
        if job["state"] != self._progress.state:
            self.changed_at = self.clock.monotonic()
        self._progress.see(job)
        meaning = interpret(job["state"])
        if meaning.is_terminal:
            self.status = self._settle(job)
            self.is_terminal = True
        elif not self.is_finished:
            self.status = meaning.status
            if is_known(job["state"]):
                self._failures.clear(UNKNOWN_STATE)
            elif self._failures.note(UNKNOWN_STATE):
                self._give_up(not_understood(job["state"], upgrade_advice()))
        self._failures.clear_all(but=(STEP_RUN_NOT_FOUND, UNKNOWN_STATE))

    def see_reported(self, news: StepRunNews) -> None:
        """Update the status from that of the step run on the ZenML server."""
        self._failures.clear(STEP_RUN_NOT_FOUND)
        meaning = interpret_status(news.status)
        if meaning.is_ending and self.stop_due is None:
            self.stop_due = self.clock.monotonic() + STOP_PATIENCE_SECONDS
            self.log.log_told_to_stop(news.status, STOP_PATIENCE_SECONDS)
        if not self.is_finished and meaning.outcome:
            self.status = meaning.outcome
            self.has_reported = self.reports_itself and self.status != "stopped"
            self._log_reported(self.status, self._progress.measure_run(news.end_time))

    def note_failure(self, error: VertexStepOperatorError) -> None:
        """Count a failed read of the job, or of the step run; too many fail the step.

        Once the patience with this kind of error is spent, the step fails even if the
        ZenML server cannot be told: no step waits forever.
        """
        if not self._failures.note(choose_patience(Task.FOLLOW, error)):
            return
        if isinstance(error, StepRunNotFound):
            self.log.warn_unneeded(error)
            # Nobody is left to tell, and ZenML does not retry a stopped step.
            self.status = "stopped"
            return
        is_gone = isinstance(error, JobNotFound)
        self._give_up(gone(str(error)) if is_gone else out_of_sight(str(error)))
        self.is_terminal = is_gone

    def _give_up(self, diagnosis: Diagnosis) -> None:
        """Fail the step, even if the ZenML server cannot be told."""
        try:
            self.status = self._fail(diagnosis)
        except (ServerUnreachable, StepRunNotFound) as untold:
            self.log.log_untold(untold)
            self.status = "failed"

    def _settle(self, job: JobJson) -> str:
        reported = self.step_runs.status(self.step_run_id)
        if outcome := interpret_status(reported).outcome:
            if not self.is_finished:
                self._log_reported(outcome, is_terminal=True)
            return outcome
        status = interpret(job["state"]).status
        if status == "completed":
            return self._fail(never_reported(job["state"])) if self.reports_itself else status
        if status == "stopped" and not self._is_timed_out(job, reported):
            text = diagnose(job).describe(self.name)
            return interpret_status(self.step_runs.stop(self.step_run_id, text)).outcome or status
        return self._fail(diagnose(job, self._fetch_tail(job)))

    @staticmethod
    def _is_timed_out(job: JobJson, reported: str) -> bool:
        """Whether the step has used up its time, which is a failure that ZenML may retry."""
        return bool(find_reached_timeout(job)) and not interpret_status(reported).is_ending

    def _log_reported(
        self, outcome: str, seconds: float | None = None, *, is_terminal: bool = False
    ) -> None:
        raised = None
        if outcome == "failed":
            # Without it, the line says where to look.
            with suppress(VertexStepOperatorError):
                raised = self.step_runs.read_raised(self.step_run_id)
        self.log.log_reported(outcome, seconds, raised, is_terminal=is_terminal)

    def _fetch_tail(self, job: JobJson) -> list[str]:
        """The end of the job's log; empty if it cannot be read."""
        if self.logs is None:
            return []
        task_name, created = self.attempt.primary.task_name, JobTimes.read(job).created
        try:
            return self.logs.fetch_tail(str(self.name), task_name, created)
        except VertexStepOperatorError as error:
            self.log.log_unreadable(error)
            return []

    def _fail(self, diagnosis: Diagnosis) -> str:
        """Fail the step; its status, which differs if it had finished or was being stopped."""
        result = self.step_runs.fail(self.step_run_id, diagnosis.describe(self.name))
        self.log.log_failed(diagnosis.what)
        return interpret_status(result).outcome or "failed"
