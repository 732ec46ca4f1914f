"""Ctrl-C and SIGTERM end a step, and ZenML must not retry it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from zenml.exceptions import RunInterruptedException, RunStoppedException

from zenml_vertex.errors import StepRunNotFound, VertexStepOperatorError
from zenml_vertex.following.progress import JobLog, StepLog, name_reason
from zenml_vertex.following.protocols import StepRuns
from zenml_vertex.steps.signals import interrupt_at_once

# The second is what ZenML's handler of signals raises.
INTERRUPTIONS = (KeyboardInterrupt, RunInterruptedException, RunStoppedException, SystemExit)
_MOST_TRIES_TO_STOP = 3
# The threads that are submitting steps, waiting for them or ending them.
_busy: list[threading.Thread] = []


def is_busy() -> bool:
    """Whether a step is being submitted, waited for or ended in this process."""
    return bool(_busy)


@contextmanager
def stopping_when_interrupted(
    step_runs: StepRuns,
    step_run_id: str,
    log: StepLog,
    *,
    detached: JobLog | None = None,
) -> Iterator[None]:
    """Stop the step when it is interrupted, however often Ctrl-C is pressed.

    `RunStoppedException` is the only exception after which ZenML does not retry the
    step; a retry would start another job.

    Args:
        step_runs: The ZenML server.
        step_run_id: The step run.
        log: The lines about the step.
        detached: The job, if it keeps running, and the step run with it.

    Raises:
        RunStoppedException: Instead of any interruption.
    """
    _busy.append(threading.current_thread())
    try:
        interrupt_at_once()
        yield
    except INTERRUPTIONS as interruption:
        reason = name_reason(interruption)
        if detached:
            detached.warn_detached(interruption)
            raise RunStoppedException(f"Detached from the step ({reason}).") from None
        try:
            _stop(step_runs, step_run_id, log, reason)
        finally:
            # ZenML shows the whole chain of exceptions; where it was interrupted does not help.
            raise RunStoppedException(f"The step was interrupted ({reason}).") from None
    finally:
        _busy.remove(threading.current_thread())


def _stop(step_runs: StepRuns, step_run_id: str, log: StepLog, reason: str) -> None:
    """Mark a step run as stopped, even if Ctrl-C is pressed meanwhile."""
    again = reason
    for left in reversed(range(_MOST_TRIES_TO_STOP)):
        try:
            step_runs.stop(step_run_id, f"The step was interrupted ({reason}).")
        except StepRunNotFound:
            # Somebody has deleted it.
            return
        except VertexStepOperatorError as error:
            # ZenML's client has tried again itself, and whoever pressed Ctrl-C waits.
            log.warn_untold(error)
            return
        except INTERRUPTIONS as interruption:
            again = name_reason(interruption)
            if left:
                log.log_still_telling(again)
        else:
            return
    log.warn_untold(f"{again}.")
