"""Following the jobs of clients that are gone, to their ends."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from zenml_vertex.clock import Clock
from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.following.clients import sign, sign_off
from zenml_vertex.following.outages import OutageLog
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

    def follow(self, steps: list[OpenStep]) -> Iterator[tuple[OpenStep, str]]:
        """Follow steps until all of them have ended; each with its status as it ends.

        Raises:
            BaseException: What interrupts it; `leave` names the steps that are left.
        """
        self._waiting = {step.step_run_id: step for step in steps}
        for step in steps:
            self._operator.step_runs.record(step.step_run_id, sign())
        while self._waiting:
            for step in list(self._waiting.values()):
                if status := self._look(step):
                    del self._waiting[step.step_run_id]
                    yield step, status
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
        return left

    def _look(self, step: OpenStep) -> str | None:
        """The status of a step, if it has ended."""
        step_run_id = step.step_run_id
        try:
            if step_run_id not in self._watchers:
                watcher = self._operator.take_over(step.step_run)
                if watcher is None:
                    fail_without_job(step.step_run, self._operator.step_runs)
                    return close(self._operator, step, "failed")
                self._watchers[step_run_id] = watcher
            status = self._watchers[step_run_id].poll(step_run_id)
            if interpret_status(status).is_finished:
                return close(self._operator, step, status)
        except VertexStepOperatorError as error:
            if not error.retryable:
                raise
            self._outages.warn(step_run_id, error)
        return None

    def _choose_pause(self) -> float:
        watchers = [self._watchers.get(name) for name in self._waiting]
        dues = [watcher.next_due for watcher in watchers if watcher]
        pause = min(dues, default=0.0) - self._clock.monotonic()
        is_answered = len(dues) == len(watchers) and pause > 0
        return min(pause, _PAUSE_SECONDS) if is_answered else 1.0
