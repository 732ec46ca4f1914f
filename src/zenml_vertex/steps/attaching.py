"""Following the jobs of clients that are gone, to their ends."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from zenml_vertex.clock import Clock, read_time
from zenml_vertex.errors import (
    CredentialsError,
    PermissionDenied,
    StepRunNotFound,
    VertexStepOperatorError,
)
from zenml_vertex.following.clients import Lease, sign_off
from zenml_vertex.following.outages import OutageLog
from zenml_vertex.following.patience import FailureRuns, Task, choose_patience
from zenml_vertex.following.takeover import find_winners, withdraw
from zenml_vertex.job.step_status import interpret_status
from zenml_vertex.steps.open_steps import OpenStep, close
from zenml_vertex.steps.step_jobs import fail_without_job

if TYPE_CHECKING:
    from zenml_vertex.following.watcher import Watcher
    from zenml_vertex.steps.operator import VertexStepOperator

# While something does not answer.
_PAUSE_SECONDS = 10.0
_LINGERING_SECONDS = 1.0


class Attachment:
    """Steps that this process follows in place of their clients.

    Args:
        operator: The step operator that ZenML would ask.
        clock: Where time comes from.
    """

    def __init__(self, operator: "VertexStepOperator", clock: Clock) -> None:
        self._operator = operator
        self._clock = clock
        self._outages = OutageLog()
        self._waiting: dict[str, OpenStep] = {}
        self._watchers: dict[str, Watcher] = {}
        # Until when a step that has no job may have one that is not listed yet.
        self._unlisted: dict[str, float] = {}
        self._failures: dict[str, FailureRuns] = {}

    def claim(self, steps: list[OpenStep]) -> list[tuple[OpenStep, Lease | None]]:
        """Ask for steps that other processes may ask for at the same moment.

        Takes two seconds.

        Returns:
            Each with the process that has it; None if this one has.

        Raises:
            ServerUnreachable: If the ZenML server does not respond.
        """
        wanted = {step.step_run_id: step.step_run.run_metadata for step in steps}
        winners = find_winners(self._operator.step_runs, self._clock, wanted)
        return [(step, winners.get(step.step_run_id)) for step in steps]

    def follow(
        self, steps: list[OpenStep]
    ) -> Iterator[tuple[OpenStep, str | VertexStepOperatorError]]:
        """Follow steps that were claimed until all of them have ended.

        Returns:
            Each with its status as it ends, or with the error for which it cannot be followed.

        Raises:
            BaseException: What interrupts it; `leave` names the steps that are left.
        """
        self._waiting = {step.step_run_id: step for step in steps}
        while self._waiting:
            for step in list(self._waiting.values()):
                if (result := self._try(step)) is not None:
                    del self._waiting[step.step_run_id]
                    yield step, result
            if self._waiting:
                self._clock.sleep(self._choose_pause())
        while any(watcher.has_lingering for watcher in self._watchers.values()):
            self._clock.sleep(_LINGERING_SECONDS)

    def leave(self) -> list[OpenStep]:
        """Record that this process leaves, and that jobs go on: those of the steps returned."""
        left = list(self._waiting.values())
        for step in left:
            if watcher := self._watchers.get(step.step_run_id):
                watcher.forget(step.step_run_id)
            sign_off(self._operator.step_runs, step.step_run_id)
            withdraw(self._operator.step_runs, step.step_run_id)
        return left

    def _try(self, step: OpenStep) -> str | VertexStepOperatorError | None:
        """The status of a step if it has ended, or the error that ends following it."""
        try:
            status = self._look(step)
        except VertexStepOperatorError as error:
            if not self._is_final(step.step_run_id, error):
                self._outages.warn(step.step_run_id, error)
                return None
            # The end of the process must not cancel its job.
            if watcher := self._watchers.pop(step.step_run_id, None):
                watcher.forget(step.step_run_id)
            withdraw(self._operator.step_runs, step.step_run_id)
            return error
        self._failures.pop(step.step_run_id, None)
        return status

    def _look(self, step: OpenStep) -> str | None:
        """The status of a step, if it has ended."""
        step_run_id = step.step_run_id
        if step_run_id not in self._watchers:
            asked_at, listed_at = self._clock.monotonic(), self._find_listed_at(step)
            watcher = self._operator.take_over(step.step_run)
            if watcher is None:
                if asked_at < listed_at:
                    return None
                fail_without_job(step.step_run, self._operator.step_runs)
                return close(self._operator, step, "failed")
            self._watchers[step_run_id] = watcher
        status = self._watchers[step_run_id].poll(step_run_id)
        if interpret_status(status).is_finished:
            return close(self._operator, step, status)
        return None

    def _find_listed_at(self, step: OpenStep) -> float:
        """When a job of a step would be listed if there is one, by the clock."""
        step_run_id = step.step_run_id
        if step_run_id not in self._unlisted:
            seconds = step.count_unlisted_seconds(read_time())
            self._unlisted[step_run_id] = self._clock.monotonic() + seconds
        return self._unlisted[step_run_id]

    def _is_final(self, step_run_id: str, error: VertexStepOperatorError) -> bool:
        """Whether it is no use to try again.

        Whoever attaches is there to mend credentials, and reads why they do not work.
        """
        if isinstance(error, (CredentialsError, PermissionDenied)):
            return True
        # The ZenML server loses sight of step runs while it restarts.
        if not (error.retryable or isinstance(error, StepRunNotFound)):
            return True
        failures = self._failures.setdefault(step_run_id, FailureRuns(self._clock))
        return failures.note(choose_patience(Task.FOLLOW, error))

    def _choose_pause(self) -> float:
        watchers = [self._watchers.get(name) for name in self._waiting]
        dues = [watcher.next_due for watcher in watchers if watcher]
        pause = min(dues, default=0.0) - self._clock.monotonic()
        is_answered = len(dues) == len(watchers) and pause > 0
        return min(pause, _PAUSE_SECONDS) if is_answered else 1.0
