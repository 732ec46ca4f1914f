"""What becomes of the steps that have not ended when the process that follows them ends.

ZenML's dynamic runner asks for no cancel when it is left by a second Ctrl-C.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from zenml_vertex.errors import JobNotFound, StepRunNotFound, VertexStepOperatorError
from zenml_vertex.following.ending import cancel_once
from zenml_vertex.following.follower import JobFollower
from zenml_vertex.following.progress import JobLog, settle_command
from zenml_vertex.following.protocols import Jobs
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.states import interpret
from zenml_vertex.job.step_status import interpret_status

logger = logging.getLogger(__name__)

# How long nothing may have been answered before the process ends all the same.
SILENCE_SECONDS = 5.0
# The same, when it looks once more at what it could not confirm.
LOOK_SECONDS = 2.0
_MOST_THREADS = 10
# Each is a request to Vertex AI, whose quota other processes share.
_MOST_JOBS_LOOKED_AT = 50


@dataclass(slots=True)
class _Endings:
    """Calls that are made side by side, as long as answers come."""

    calls: deque[Callable[[], None]] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _done: int = 0

    def make(self, silence_seconds: float) -> None:
        """Make the calls; returns early if none has been answered for a while."""
        total = len(self.calls)
        for _ in range(min(_MOST_THREADS, total)):
            thread = threading.Thread(target=self._work, name="zenml-vertex-leaving", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                # Some releases of Python 3.12 start no thread at the end of the process.
                self._work()
        with self._changed:
            seen = -1
            while seen < self._done < total:
                seen = self._done
                self._changed.wait_for(lambda: self._done > seen, silence_seconds)  # noqa: B023

    def _work(self) -> None:
        with suppress(IndexError):
            while True:
                call = self.calls.popleft()
                with suppress(VertexStepOperatorError):
                    call()
                with self._changed:
                    self._done += 1
                    self._changed.notify_all()


@dataclass(slots=True)
class _Leaving:
    """What is known to be done for the steps that are left, by their step runs."""

    message: str
    cancelled: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)

    def cancel(self, jobs: Jobs, follower: JobFollower) -> None:
        cancel_once(jobs, follower.name)
        self.cancelled.add(follower.step_run_id)

    def tell(self, follower: JobFollower) -> None:
        with suppress(StepRunNotFound):
            follower.step_runs.stop(follower.step_run_id, self.message)
        self.told.add(follower.step_run_id)

    def look_at_job(self, jobs: Jobs, follower: JobFollower) -> None:
        if _is_ending(jobs, follower.name):
            self.cancelled.add(follower.step_run_id)

    def look_at_step(self, follower: JobFollower) -> None:
        with suppress(StepRunNotFound):
            if not interpret_status(follower.step_runs.status(follower.step_run_id)).is_finished:
                return
        self.told.add(follower.step_run_id)


def end_steps_left(left: Sequence[tuple[Jobs, JobFollower]], reason: str | None = None) -> None:
    """Cancel jobs and stop step runs that are to end with the process; name all other jobs.

    Args:
        left: The steps that have not finished, each with where its job is.
        reason: What has ended the process, such as `Ctrl-C`; None if that is not known.
    """
    why = f" ({reason})" if reason else ""
    done = _Leaving(f"The step was interrupted{why}: the process that followed it has ended.")
    ending = [(jobs, follower) for jobs, follower in left if follower.ends_with_process]
    requests = _Endings()
    for jobs, follower in ending:
        requests.calls.append(partial(done.cancel, jobs, follower))
        requests.calls.append(partial(done.tell, follower))
    # Whoever presses Ctrl-C once more has waited enough.
    with suppress(KeyboardInterrupt):
        _log_leaving([follower.log for _, follower in ending])
        requests.make(SILENCE_SECONDS)
    # A request whose answer was not waited for may have had its effect.
    looks = _Endings()
    unsure = [one for one in left if one[1].step_run_id not in done.cancelled]
    looks.calls.extend(
        partial(done.look_at_job, jobs, follower)
        for jobs, follower in unsure[:_MOST_JOBS_LOOKED_AT]
    )
    looks.calls.extend(
        partial(done.look_at_step, follower)
        for _, follower in ending
        if follower.step_run_id not in done.told
    )
    with suppress(KeyboardInterrupt):
        looks.make(LOOK_SECONDS)
    if names := [f.name for _, f in left if f.step_run_id not in done.cancelled]:
        _warn_jobs_left(names)
    if untold := [f for _, f in ending if f.step_run_id not in done.told]:
        _warn_steps_untold(untold)


def _is_ending(jobs: Jobs, name: JobName) -> bool:
    """Whether a job has ended, or is being cancelled."""
    try:
        state = jobs.get(str(name))["state"]
    except JobNotFound:
        return True
    return interpret(state).is_terminal or state == "JOB_STATE_CANCELLING"


def _warn_jobs_left(names: Sequence[JobName]) -> None:
    """A process ends whose jobs go on, as after a second Ctrl-C in a dynamic pipeline."""
    is_one = len(names) == 1
    logger.warning(
        "This process ends, and %s Vertex AI job%s that it followed may go on and cost money. "
        "`zenml-vertex jobs list` shows what is running. To end %s:\n%s",
        len(names),
        "" if is_one else "s",
        "it" if is_one else "them",
        # One command for each: a job that has ended meanwhile keeps no other from being cancelled.
        "\n".join(name.build_command("cancel") for name in names),
    )


def _log_leaving(jobs: Sequence[JobLog]) -> None:
    """A process ends before its steps have, and they end with it."""
    for job in jobs:
        logger.warning("%s: this process ends: cancelling the job and stopping the step.", job)


def _warn_steps_untold(left: Sequence[JobFollower]) -> None:
    """A process ends, and its steps go on being shown as if they ran."""
    logger.warning(
        "The ZenML server did not answer in time, and may go on showing as running: %s. Once it "
        "answers, end them with:\n%s",
        ", ".join(str(follower.step) for follower in left),
        "\n".join(settle_command(run_id) for run_id in {f.run_id: None for f in left}),
    )
