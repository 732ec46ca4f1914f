"""Outages: one line when something does not work, and one when it works again."""

import logging

from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.following.progress import JobLog, StepLog

logger = logging.getLogger(__name__)

# What can be out of order for all steps -> what the log says when it works again.
_RECOVERED = {
    "ZenML": "The ZenML server answers again.",
    "Vertex": "Vertex AI answers again.",
}


class OutageLog:
    """Warns of each outage once, until its source works again.

    Args:
        about: The step or the job that all of it is about; None if it is about several.
    """

    def __init__(self, about: StepLog | JobLog | None = None) -> None:
        self._about = about
        # Source -> kind of its last failure.
        self._kinds: dict[str, str] = {}

    def warn(
        self, source: str | JobLog, error: VertexStepOperatorError, outlook: str = "Trying again."
    ) -> None:
        """Log a failure, unless the source failed in the same way last time.

        Args:
            source: What failed: a server, a task, or what is asked about one job.
            error: The failure.
            outlook: What happens next, as a sentence.
        """
        kind = type(error).__name__
        if self._kinds.get(str(source)) != kind:
            self._kinds[str(source)] = kind
            about = source if isinstance(source, JobLog) else self._about
            logger.warning("%s%s %s", f"{about}: " if about else "", error, outlook)

    def note_success(self, source: str) -> None:
        """Log that a server works again; does nothing if it had not failed."""
        if self._kinds.pop(source, None):
            logger.info("%s", _RECOVERED[source])

    def drop(self, source: str | JobLog) -> None:
        """Forget a source that is not used any more."""
        self._kinds.pop(str(source), None)
