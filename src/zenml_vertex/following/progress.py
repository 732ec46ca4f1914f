"""Every line that the log has about a step and its job.

A line begins with the step, and with the ID of its job once it has one: of steps that run side
by side, each line tells whose it is. How long a job waited and ran is told by its own times,
not by those of the polls that notice it.
"""

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.installation import upgrade_advice
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.raised import Raised
from zenml_vertex.job.states import interpret, is_known, short_name
from zenml_vertex.job.times import JobTimes, format_duration

logger = logging.getLogger(__name__)

# Class of an exception -> what a person did, or what happened to the process.
_REASONS = {
    "KeyboardInterrupt": "Ctrl-C",
    # ZenML raises it for SIGTERM; for Ctrl-C, Python's own handler raises after it.
    "RunInterruptedException": "SIGTERM",
    "RunStoppedException": "Stopped",
    "SystemExit": "Exit",
}


def name_reason(error: BaseException) -> str:
    """Why a job is cancelled, as a word or two: `Ctrl-C`, or the class of an error."""
    name = type(error).__name__
    return _REASONS.get(name, name)


def settle_command(run_id: str) -> str:
    """The command that ends the step runs of a pipeline run whose jobs are over."""
    return f"zenml-vertex jobs settle {run_id or '--all'}"


@dataclass(frozen=True, slots=True)
class StepLog:
    """The lines about a step.

    Args:
        step: Name of the step.
        retry: How often ZenML has tried the step again; each retry has a job of its own.
        run_id: The pipeline run; empty if it does not matter.
    """

    step: str
    retry: int = 0
    run_id: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"Step `{self.step}`{f', retry {self.retry}' if self.retry else ''}"

    def of(self, name: JobName) -> "JobLog":
        """The lines about the job of the step."""
        return JobLog(self, name)

    def log_without_job(self, message: str) -> None:
        """The step fails with a message that names it."""
        logger.error("%s", message)

    def warn_unclear(self, error: VertexStepOperatorError) -> None:
        """A create may have had an effect."""
        logger.warning(
            "%s: %s Unclear whether a job was created; searching for it by label.", self, error
        )

    def warn_rival(self) -> None:
        """Another process is submitting the same step run."""
        logger.warning(
            "%s: another process is submitting the same step run: waiting up to a minute for its "
            "job.",
            self,
        )

    def warn_not_its_own(self, error: VertexStepOperatorError | str) -> None:
        """The step run's metadata names a job that is another's, or none."""
        logger.warning(
            "%s: %s Not taking it for the step's job, which is searched for by its labels.",
            self,
            error,
        )

    def log_found(self, name: JobName) -> None:
        """A create did have an effect."""
        logger.info("%s: its job was created after all.", self.of(name))

    def log_not_found(self) -> None:
        """A create had no effect."""
        logger.info("%s: no job was found; creating it again.", self)

    def warn_unlisted(self, error: VertexStepOperatorError) -> None:
        """There may be a second job, which cannot be looked for."""
        logger.warning("%s: %s", self, error)

    def warn_searching(self, reason: str, seconds: float) -> None:
        """A create was interrupted, and may have had an effect."""
        logger.warning(
            "%s: %s: unclear whether a job was created; searching for it for %s.",
            self,
            reason,
            format_duration(seconds),
        )

    def log_nothing_created(self) -> None:
        """The interrupted create had no effect, as far as can be seen."""
        logger.info("%s: no job was found.", self)

    def log_unsearchable(self, error: VertexStepOperatorError) -> None:
        """The interrupted create may have had an effect, and there is no telling."""
        logger.error(
            "%s: a job may have been created, and jobs cannot be listed: %s Check later with: "
            "zenml-vertex jobs list --orphans",
            self,
            error,
        )

    def warn_secret_left(self, command: str, error: VertexStepOperatorError) -> None:
        """The secret of a step that has ended is still there."""
        logger.warning(
            "%s: could not destroy the secret with its environment: %s The secret expires by "
            "itself. To destroy it now: %s",
            self,
            error,
            command,
        )

    def log_placed(self, note: str) -> None:
        """What the step's job takes over from its persistent resource."""
        logger.info("%s: %s", self, note)

    def warn_placed(self, warning: str) -> None:
        """What a person should know of the step's persistent resource."""
        logger.warning("%s: %s", self, warning)

    def warn_untold(self, reason: VertexStepOperatorError | str) -> None:
        """The step run does not say that it was stopped."""
        logger.warning(
            "%s: could not mark the step run as stopped: %s The ZenML server may go on showing it "
            "as running. Once the server answers, end it with: %s",
            self,
            reason,
            settle_command(self.run_id),
        )

    def log_still_telling(self, reason: str, seconds: float) -> None:
        """Ctrl-C was pressed once more."""
        logger.info(
            "%s: %s: still marking the step run as stopped, for %s at most.",
            self,
            reason,
            format_duration(seconds),
        )


@dataclass(frozen=True, slots=True)
class JobLog:
    """The lines about the job of a step.

    Args:
        step: The lines about the step.
        name: The job.
    """

    step: StepLog
    name: JobName

    def __str__(self) -> str:
        return f"{self.step} (job {self.name.job_id})"

    def log_submitted(self) -> None:
        """Vertex AI has the job. The only line with its whole name and the link to it."""
        link = f": {url}" if (url := self.name.console_url) else "."
        logger.info("%s: submitted as %s%s", self, self.name, link)

    def log_reported(
        self,
        outcome: str,
        seconds: float | None = None,
        raised: Raised | None = None,
        *,
        is_terminal: bool,
    ) -> None:
        """The step has finished.

        Args:
            outcome: `completed`, `failed` or `stopped`.
            seconds: How long after its job's start; None if that is not known.
            raised: What its code raised, if that is known.
            is_terminal: Whether its job has ended too.
        """
        said = "was stopped" if outcome == "stopped" else outcome
        after = _describe(" after {}", seconds)
        if outcome == "failed":
            where = "" if raised and raised.is_exit else self._describe_traceback(raised)
            what = f": {raised}" if raised else ""
            logger.info("%s: the step failed%s%s.%s", self, after, what, where)
        elif not is_terminal:
            logger.info(
                "%s: the step %s%s; not waiting until Vertex AI has torn down the job.",
                self,
                said,
                after,
            )

    def _describe_traceback(self, raised: Raised | None) -> str:
        """Where the traceback of a step that failed is."""
        traceback = "The traceback" if raised else "If its code raised, the traceback"
        return (
            f" {traceback} is in ZenML's dashboard, and in the job's log: "
            f"{self.name.stream_logs_command}"
        )

    def log_told_to_stop(self, status: str, seconds: float) -> None:
        """The step run on the ZenML server was told to stop."""
        logger.info(
            "%s: the step is %s; giving its container %s to exit.",
            self,
            status,
            format_duration(seconds),
        )

    def warn_not_stopped(self) -> None:
        """The step was told to stop in vain."""
        logger.warning("%s: the step was told to stop and has not; cancelling the job.", self)

    def log_failed(self, what: str) -> None:
        """The job failed. ZenML shows the whole diagnosis, which is on the step run."""
        logger.error("%s: %s", self, what)

    def log_unreadable(self, error: VertexStepOperatorError) -> None:
        """The log of the job cannot be read."""
        logger.info("%s: could not read the job's log, which may say more: %s", self, error)

    def log_untold(self, error: VertexStepOperatorError) -> None:
        """The step has failed, and the ZenML server does not know."""
        logger.error("%s: %s", self, error)

    def warn_unneeded(self, error: VertexStepOperatorError) -> None:
        """The step run of the job was deleted."""
        logger.warning("%s: %s Cancelling the job, which no step run needs.", self, error)

    def warn_duplicate(self) -> None:
        """The step has another job, which counts."""
        logger.warning("%s: the job is a duplicate for its step; cancelling it.", self)

    def warn_lingering(self) -> None:
        """The job should have ended by itself."""
        logger.warning("%s: still running after the step finished; cancelling the job.", self)

    def log_cancelling(self) -> None:
        """The job is about to be cancelled; its states tell how that goes."""
        logger.info("%s: cancelling the job.", self)

    def log_cancelling_after(self, error: BaseException, seconds: float) -> None:
        """The job is about to be cancelled, and its end is waited for."""
        reason = name_reason(error)
        hint = " Another Ctrl-C leaves without waiting." if reason == "Ctrl-C" else ""
        logger.warning(
            "%s: %s: cancelling the job, and waiting up to %s for its end.%s",
            self,
            reason,
            format_duration(seconds),
            hint,
        )

    def log_ended(self, state: str) -> None:
        """A job that was cancelled has ended."""
        logger.info("%s: %s.", self, short_name(state))

    def log_gone(self) -> None:
        """A job that was to be cancelled does not exist."""
        logger.info("%s: the job does not exist any more.", self)

    def warn_left(self, error: BaseException) -> None:
        """Vertex AI has accepted the cancel, and the job's end is not waited for."""
        logger.warning(
            "%s: %s: not waiting any longer. Vertex AI has accepted the cancel. See how the job "
            "ends with: %s",
            self,
            name_reason(error),
            self.name.build_command("describe"),
        )

    def log_accepted(self) -> None:
        """Vertex AI has accepted a cancel that had failed before."""
        logger.info("%s: Vertex AI has accepted the cancel.", self)

    def warn_end_unread(self, error: VertexStepOperatorError) -> None:
        """Vertex AI has accepted the cancel, and the job cannot be read any more."""
        logger.warning(
            "%s: Vertex AI has accepted the cancel, and the job cannot be read: %s See how it ends "
            "with: %s",
            self,
            error,
            self.name.build_command("describe"),
        )

    def warn_not_ended(self, state: str, seconds: float) -> None:
        """A job that was cancelled is still there."""
        logger.warning(
            "%s: the job was cancelled %s ago but is still %s. Inspect it with: %s",
            self,
            format_duration(seconds),
            short_name(state),
            self.name.build_command("describe"),
        )

    def log_uncancelled(self, error: BaseException) -> None:
        """A job may still be running, although it should be cancelled."""
        is_explained = isinstance(error, VertexStepOperatorError)
        logger.error(
            "%s: could not cancel the job; it may still be running and cost money: %s\n"
            "Cancel it with: %s",
            self,
            error if is_explained else name_reason(error),
            self.name.build_command("cancel"),
        )

    def warn_detached(self, error: BaseException) -> None:
        """The client leaves and the job stays."""
        logger.warning(
            "%s: %s: detached: the job keeps running and is no longer followed "
            "(`on_client_exit` is `detach`). `zenml-vertex jobs list` shows it, and `zenml-vertex "
            "jobs attach --all` follows it again.",
            self,
            name_reason(error),
        )


@dataclass(slots=True)
class ProgressLog:
    """Logs each change of a job's state once, with the time that it took."""

    log: JobLog
    # The state seen last; empty before the first.
    state: str = ""
    _seen: set[str] = field(default_factory=set)
    _times: JobTimes = field(default_factory=JobTimes)

    def measure_run(self, until: datetime | None) -> float | None:
        """Seconds from the job's start to a time; None if one of them is not known."""
        return replace(self._times, ended=until).ran

    def see(self, job: dict[str, Any]) -> None:
        """Log the state that the job is in now, if it is new."""
        state = job["state"]
        self._times = JobTimes.read(job)
        if state == self.state:
            return
        if not is_known(state) and state not in self._seen:
            logger.warning(
                "%s: in state `%s`, unknown to this version; treating it as running. A newer "
                "version of zenml-vertex may know it; to try, %s.",
                self.log,
                state,
                upgrade_advice(),
            )
        again = " again" if state in self._seen else self._describe_times(job)
        logger.info("%s: %s%s.", self.log, short_name(state), again)
        self.state = state
        self._seen.add(state)

    def _describe_times(self, job: dict[str, Any]) -> str:
        """How long the job took to get into a state, as far as its own times tell."""
        state, times = job["state"], self._times
        waited = _describe(", started {} after it was created", times.waited)
        if state == "JOB_STATE_RUNNING":
            return waited
        if not interpret(state).is_terminal:
            return ""
        if "JOB_STATE_RUNNING" in self._seen:
            return _describe(" after running for {}", times.ran)
        # A job that is cancelled before it ran has a start too, 0.1 s after its creation.
        if state == "JOB_STATE_CANCELLED" or times.started is None:
            return _describe(" {} after it was created", times.existed)
        return waited + _describe(", ran for {}", times.ran)


def _describe(text: str, seconds: float | None) -> str:
    return "" if seconds is None else text.format(format_duration(seconds))
