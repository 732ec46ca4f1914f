"""Cancelling the jobs of steps that are waited for: those told to stop, and duplicates."""

from collections.abc import Callable

from zenml_vertex.clock import Clock
from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.following.ending import cancel_job, cancel_once, cancel_quietly
from zenml_vertex.following.follower import STOP_PATIENCE_SECONDS, JobFollower
from zenml_vertex.following.outages import OutageLog
from zenml_vertex.following.progress import JobLog, StepLog
from zenml_vertex.following.protocols import Jobs
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.request import JobJson

# The first pause before a failed cancel is asked for again; later pauses grow with the
# time that it has been failing.
_FIRST_PAUSE_SECONDS = 3.0


class Canceller:
    """Asks for cancels once each, and again at later polls if they fail.

    A watcher polls for many steps: it cannot wait until one cancel succeeds.

    Args:
        jobs: Vertex AI.
        clock: Where time comes from.
        outages: Where failures are logged.
    """

    def __init__(self, jobs: Jobs, clock: Clock, outages: OutageLog) -> None:
        self._jobs = jobs
        self._clock = clock
        self._outages = outages

    def cancel(self, follower: JobFollower) -> None:
        """Ask for a step's job to be cancelled; after a retryable error, again at a later poll.

        Raises:
            VertexApiError: If the job may still be running and cannot be cancelled.
        """
        log = follower.log
        self._ask(follower, lambda: cancel_job(self._jobs, log, self._clock, patience_seconds=0))

    def _ask(self, follower: JobFollower, ask: Callable[[], None]) -> None:
        try:
            ask()
        except VertexStepOperatorError as error:
            if not error.retryable:
                raise
            self._outages.warn(follower.log, error)
            now = self._clock.monotonic()
            if follower.uncancelled_since is None:
                follower.uncancelled_since = now
            failing_for = now - follower.uncancelled_since
            pause = min(max(_FIRST_PAUSE_SECONDS, failing_for), STOP_PATIENCE_SECONDS)
            follower.stop_due = now + pause
            return
        if follower.uncancelled_since is not None:
            follower.uncancelled_since = None
            self._outages.drop(follower.log)
            follower.log.log_accepted()

    def cancel_if_due(self, follower: JobFollower) -> None:
        """Cancel the job of a step that was told to stop and has not; asks again after a while.

        What interrupts it is left to whoever waits for the step, and cancels the job then.
        """
        now = self._clock.monotonic()
        if follower.is_finished or follower.stop_due is None or now < follower.stop_due:
            return
        follower.stop_due = now + STOP_PATIENCE_SECONDS
        if follower.uncancelled_since is None:
            follower.log.warn_not_stopped()
        try:
            self._ask(follower, lambda: cancel_once(self._jobs, follower.name))
        except VertexStepOperatorError as error:
            follower.log.log_uncancelled(error)

    def cancel_unneeded(self, log: JobLog) -> None:
        """Cancel a job that no step run needs any more; the log says if that fails."""
        cancel_quietly(self._jobs, log, self._clock, patience_seconds=0)

    def cancel_duplicate(self, step: StepLog, job: JobJson) -> None:
        """Cancel a second job of an attempt; if that fails, the next poll tries again."""
        if job["state"] == "JOB_STATE_CANCELLING":
            return
        log = step.of(JobName.parse(job["name"]))
        log.warn_duplicate()
        self.cancel_unneeded(log)
