"""Cancelling the jobs of steps that are waited for: those told to stop, and duplicates."""

from zenml_vertex.clock import Clock
from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.following.ending import cancel_job, cancel_quietly
from zenml_vertex.following.follower import STOP_PATIENCE_SECONDS, JobFollower
from zenml_vertex.following.progress import JobLog, OutageLog, StepLog
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

    def cancel(self, follower: JobFollower) -> bool:
        """Ask for a step's job to be cancelled.

        Returns:
            Whether Vertex AI accepted it. If not, the time of the next try is set.

        Raises:
            VertexApiError: If the job may still be running and cannot be cancelled.
        """
        try:
            cancel_job(self._jobs, follower.log, self._clock, patience_seconds=0)
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
            return False
        follower.uncancelled_since = None
        self._outages.drop(follower.log)
        return True

    def cancel_if_due(self, follower: JobFollower) -> None:
        """Cancel the job of a step that was told to stop and has not; asks again after a while."""
        now = self._clock.monotonic()
        if follower.is_finished or follower.stop_due is None or now < follower.stop_due:
            return
        follower.stop_due = now + STOP_PATIENCE_SECONDS
        try:
            is_accepted = self.cancel(follower)
        except VertexStepOperatorError as error:
            follower.log.log_uncancelled(error)
            return
        if is_accepted:
            follower.log.warn_not_stopped()

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
