"""What Ctrl-C and SIGTERM are to a step: its end, and no reason to retry it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from zenml.exceptions import RunInterruptedException, RunStoppedException

from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.following.protocols import StepRuns

logger = logging.getLogger(__name__)

# The second is what ZenML's handler of signals raises.
INTERRUPTIONS = (KeyboardInterrupt, RunInterruptedException, RunStoppedException, SystemExit)
_MOST_TRIES_TO_STOP = 3


@contextmanager
def stopping_when_interrupted(
    step_runs: StepRuns, step_run_id: str, *, detaches: bool = False
) -> Iterator[None]:
    """Let an interruption be the end of the step, however often Ctrl-C is pressed.

    `RunStoppedException` is the only exception after which ZenML does not retry the
    step, which would start another job.

    Args:
        step_runs: The ZenML server.
        step_run_id: The step run.
        detaches: Whether the step's job goes on, so that its step run does, too.

    Raises:
        RunStoppedException: In the place of any interruption.
    """
    try:
        yield
    except INTERRUPTIONS as interruption:
        reason = type(interruption).__name__
        if detaches:
            logger.warning(
                "%s: the step's job goes on, and nobody waits for it (`on_client_exit` is "
                "`detach`). `zenml-vertex jobs list` shows it.",
                reason,
            )
            raise RunStoppedException(f"The step was left ({reason}).") from None
        try:
            _stop(step_runs, step_run_id, reason)
        finally:
            # ZenML shows the whole chain, and where it was interrupted helps nobody.
            raise RunStoppedException(f"The step was interrupted ({reason}).") from None


def _stop(step_runs: StepRuns, step_run_id: str, reason: str) -> None:
    """Mark a step run as stopped, though Ctrl-C be pressed meanwhile."""
    for _ in range(_MOST_TRIES_TO_STOP):
        try:
            step_runs.stop(step_run_id, f"The step was interrupted ({reason}).")
        except VertexStepOperatorError as error:
            logger.warning("The step run could not be marked as stopped: %s", error)
        except INTERRUPTIONS:
            logger.info("The step run is being marked as stopped.")
        else:
            return
