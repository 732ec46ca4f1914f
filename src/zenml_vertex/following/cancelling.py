"""Cancelling the jobs of steps that are waited for: those told to stop, and duplicates."""

import logging

from zenml_vertex.clock import Clock
from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.following.ending import cancel_job, cancel_quietly, log_uncancelled
from zenml_vertex.following.follower import STOP_PATIENCE_SECONDS, JobFollower
from zenml_vertex.following.progress import OutageLog
from zenml_vertex.following.protocols import Jobs
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.request import JobJson

logger = logging.getLogger(__name__)

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
        source = f"cancel {follower.name}"
        try:
            cancel_job(self._jobs, follower.name, self._clock, patience_seconds=0)
        except VertexStepOperatorError as error:
            if not error.retryable:
                raise
            self._outages.warn(source, error)
            now = self._clock.monotonic()
            if follower.uncancelled_since is None:
                follower.uncancelled_since = now
            failing_for = now - follower.uncancelled_since
            pause = min(max(_FIRST_PAUSE_SECONDS, failing_for), STOP_PATIENCE_SECONDS)
            follower.stop_due = now + pause
            return False
        follower.uncancelled_since = None
        self._outages.drop(source)
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
            log_uncancelled(follower.name, error)
            return
        if is_accepted:
            logger.warning(
                "The step was told to stop and has not; cancelling Vertex AI job %s.",
                follower.name.job_id,
            )

    def cancel_unneeded(self, name: JobName) -> None:
        """Cancel a job that no step run needs any more; the log says if that fails."""
        cancel_quietly(self._jobs, name, self._clock, patience_seconds=0)

    def cancel_duplicate(self, job: JobJson) -> None:
        """Cancel a second job of an attempt; if that fails, the next poll tries again."""
        if job["state"] == "JOB_STATE_CANCELLING":
            return
        logger.warning("Vertex AI job %s is a duplicate for its step; cancelling it.", job["name"])
        self.cancel_unneeded(JobName.parse(job["name"]))
