"""Jobs that are still running after their steps finished: they get some time, then a cancel."""

import threading
from collections.abc import Container
from dataclasses import dataclass

from zenml_vertex.clock import Clock
from zenml_vertex.errors import JobNotFound, PermissionDenied, VertexStepOperatorError
from zenml_vertex.following.ending import cancel_job
from zenml_vertex.following.outages import OutageLog
from zenml_vertex.following.patience import Task, choose_patience
from zenml_vertex.following.poll_round import PollRound
from zenml_vertex.following.progress import JobLog
from zenml_vertex.following.protocols import Jobs
from zenml_vertex.job.states import interpret


@dataclass(frozen=True, slots=True)
class _Lingering:
    """A job that is still running after its step finished."""

    log: JobLog
    run_id: str
    # When it is cancelled, by the clock.
    deadline: float
    # Whether it was asked to stop before.
    is_cancelled: bool


class LingeringJobs:
    """The jobs of one project and region whose steps have finished.

    Args:
        jobs: Vertex AI.
        clock: Where time comes from.
        trouble: Where failures are told.
    """

    def __init__(self, jobs: Jobs, clock: Clock, outages: OutageLog) -> None:
        self._jobs = jobs
        self._clock = clock
        self._outages = outages
        self._lingering: dict[str, _Lingering] = {}
        # Jobs are added while a poll goes on.
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._lingering)

    def add(self, log: JobLog, run_id: str, seconds: float, *, is_cancelled: bool = False) -> None:
        """Give a job some time.

        Args:
            log: The lines about the job.
            run_id: Its pipeline run.
            seconds: How long it may take to end; 0 or more.
            is_cancelled: Whether it was asked to stop already: the log then says when it
                has ended.
        """
        deadline = self._clock.monotonic() + seconds
        with self._lock:
            self._lingering[str(log.name)] = _Lingering(log, run_id, deadline, is_cancelled)

    def find_runs(self) -> set[str]:
        """The pipeline runs of these jobs."""
        return {lingering.run_id for lingering in self._of(None)}

    def end(self, run_id: str, listed: Container[str], most_reads: int, polled: PollRound) -> None:
        """Drop the jobs of a run that have ended, and cancel those whose time is up.

        Args:
            run_id: The pipeline run.
            listed: Names of its live jobs, or of some of them.
            most_reads: How many of the others to read now.
            polled: The poll.
        """
        ours = self._of(run_id)
        # A list of one page only, or one that lags behind, says nothing about the others.
        unlisted = [one for one in ours if str(one.log.name) not in listed]
        gone = [one for one in unlisted[:most_reads] if self._is_gone(one, polled)]
        for one in gone:
            self._forget(one)
        if polled.is_over:
            return
        for one in ours:
            if one not in gone and self._clock.monotonic() >= one.deadline:
                self._end_late(one)

    def _of(self, run_id: str | None) -> list[_Lingering]:
        with self._lock:
            return [one for one in self._lingering.values() if run_id in {None, one.run_id}]

    def _is_gone(self, lingering: _Lingering, polled: PollRound) -> bool:
        if polled.is_over:
            return False
        log = lingering.log
        try:
            state = polled.read(self._jobs, log.name)["state"]
        except JobNotFound:
            return True
        except VertexStepOperatorError as error:
            self._outages.warn(log if isinstance(error, PermissionDenied) else "Vertex", error)
            return False
        is_gone = interpret(state).is_terminal
        if is_gone and lingering.is_cancelled:
            log.log_ended(state)
        return is_gone

    def _end_late(self, lingering: _Lingering) -> None:
        """Cancel a job whose time is up; a failure is tried again."""
        log = lingering.log
        try:
            cancel_job(self._jobs, log, self._clock, patience_seconds=0)
        except VertexStepOperatorError as error:
            late = self._clock.monotonic() - lingering.deadline
            if not choose_patience(Task.CANCEL_LINGERING, error).is_spent(late):
                self._outages.warn(log, error)
                return
            log.log_uncancelled(error)
        else:
            log.warn_lingering()
        self._forget(lingering)

    def _forget(self, lingering: _Lingering) -> None:
        with self._lock:
            self._lingering.pop(str(lingering.log.name), None)
        self._outages.drop(lingering.log)
