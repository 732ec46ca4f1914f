"""Ctrl-C and SIGTERM end a step, and ZenML must not retry it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from zenml.exceptions import RunInterruptedException, RunStoppedException

from zenml_vertex.errors import StepRunNotFound, VertexStepOperatorError
from zenml_vertex.following.brief import TooSlow, call_briefly
from zenml_vertex.following.ending import HURRY_SECONDS
from zenml_vertex.following.progress import JobLog, StepLog, name_reason
from zenml_vertex.following.protocols import StepRuns
from zenml_vertex.steps.server import hurry
from zenml_vertex.steps.signals import busy, interrupt_at_once

# The second is what ZenML's handler of signals raises.
INTERRUPTIONS = (KeyboardInterrupt, RunInterruptedException, RunStoppedException, SystemExit)
_MOST_TRIES_TO_STOP = 3


def name_last_interruption() -> str | None:
    """The signal that has ended this process, at its end; None if it was none, or is not known.

    Where people type, as in a notebook, the last exception is not what ends the process.
    """
    error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return name_reason(error) if error is not None else None


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
    with busy():
        try:
            interrupt_at_once()
            yield
        except INTERRUPTIONS as interruption:
            reason = name_reason(interruption)
            if detached:
                detached.warn_detached(interruption)
                raise RunStoppedException(f"Detached from the step ({reason}).") from None
            try:
                _stop(step_runs, step_run_id, log, interruption)
            finally:
                # ZenML shows the whole chain of exceptions; where it was interrupted does not help.
                raise RunStoppedException(f"The step was interrupted ({reason}).") from None


def _stop(step_runs: StepRuns, step_run_id: str, log: StepLog, interruption: BaseException) -> None:
    """Mark a step run as stopped, even if Ctrl-C is pressed meanwhile."""
    again = name_reason(interruption)
    is_hurried = _is_repeated(interruption)
    stop = partial(step_runs.stop, step_run_id, f"The step was interrupted ({again}).")
    for left in reversed(range(_MOST_TRIES_TO_STOP)):
        try:
            if is_hurried:
                call_briefly(stop, HURRY_SECONDS)
            else:
                stop()
        except StepRunNotFound:
            # Somebody has deleted it.
            return
        except TooSlow as error:
            again = f"the ZenML server gave {error}"
            break
        except VertexStepOperatorError as error:
            # ZenML's client has tried again itself, and whoever pressed Ctrl-C waits.
            log.warn_untold(error)
            return
        except INTERRUPTIONS as interrupted:
            again = name_reason(interrupted)
            is_hurried = True
            if left:
                log.log_still_telling(again, HURRY_SECONDS)
        else:
            return
    # ZenML goes on to tell its server that the run has ended.
    hurry(HURRY_SECONDS)
    log.warn_untold(f"{again}.")


def _is_repeated(interruption: BaseException) -> bool:
    """Whether it has interrupted what an earlier one had begun."""
    earlier = interruption.__context__
    while earlier is not None and not isinstance(earlier, KeyboardInterrupt):
        earlier = earlier.__context__
    return earlier is not None
