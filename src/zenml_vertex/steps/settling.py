"""Ending the step runs of clients that are gone, where their jobs are over or were never made."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from zenml_vertex.clock import Clock, read_time
from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.steps.open_steps import OpenStep, close
from zenml_vertex.steps.step_jobs import fail_without_job

if TYPE_CHECKING:
    from zenml_vertex.steps.operator import VertexStepOperator


class _Unlisted(VertexStepOperatorError):
    """A job that was created a moment ago may not be listed yet."""


def settle(
    operator: "VertexStepOperator",
    clock: Clock,
    steps: Iterable[OpenStep],
    announce: Callable[[int, float], None] = lambda _, __: None,
) -> Iterator[tuple[OpenStep, str | VertexStepOperatorError | None]]:
    """End the step runs whose jobs are over, or which have none.

    Looks once, and once more for steps whose job may not be listed yet: at most a minute later.

    Args:
        operator: The step operator of the command.
        clock: Where time comes from.
        steps: The steps.
        announce: Is told how many steps are looked at again, and in how many seconds.

    Returns:
        Each step with its status, with None if its job goes on, or with the error because of
        which it could not be ended.
    """
    unlisted = []
    listed_at = 0.0
    for step in steps:
        seconds = step.count_unlisted_seconds(read_time())
        result = _settle(operator, step, is_last=not seconds)
        if isinstance(result, _Unlisted):
            unlisted.append(step)
            listed_at = max(listed_at, clock.monotonic() + seconds)
        else:
            yield step, result
    if unlisted:
        seconds = max(0.0, listed_at - clock.monotonic())
        announce(len(unlisted), seconds)
        clock.sleep(seconds)
    for step in unlisted:
        yield step, _settle(operator, step, is_last=True)


def _settle(
    operator: "VertexStepOperator", step: OpenStep, *, is_last: bool
) -> str | VertexStepOperatorError | None:
    try:
        watcher = operator.take_over(step.step_run)
        if watcher is None:
            if not is_last:
                return _Unlisted()
            fail_without_job(step.step_run, operator.step_runs)
            return close(operator, step, "failed")
        follower = watcher.find(step.step_run_id)
        if follower is None:
            return None
        try:
            follower.see_job(watcher.jobs.get(str(follower.name)))
        finally:
            if not follower.is_finished:
                watcher.forget(step.step_run_id)
        return close(operator, step, follower.status) if follower.is_finished else None
    except VertexStepOperatorError as error:
        return error
