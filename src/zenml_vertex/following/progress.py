"""What the log says of a job: each change of its state once, and each outage once."""

import logging
from dataclasses import dataclass, field

from zenml_vertex.clock import Clock
from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.installation import upgrade_advice
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.states import interpret, is_known, short_name

logger = logging.getLogger(__name__)


def format_duration(seconds: float) -> str:
    """A duration in words, in two units at most: `8s`, `2m 5s`, `1h 0m`."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"


@dataclass(slots=True)
class ProgressLog:
    """Logs each change of a job's state once, with the time spent in the last."""

    name: JobName
    clock: Clock
    # The state seen last; empty before the first.
    state: str = ""
    _since: float = 0.0
    _warned_of: set[str] = field(default_factory=set)

    def see(self, state: str) -> None:
        """Log the state that the job is in now, if it is new."""
        if state == self.state:
            return
        now = self.clock.monotonic()
        if not is_known(state) and state not in self._warned_of:
            self._warned_of.add(state)
            logger.warning(
                "Vertex AI job %s is in state `%s`, unknown to this version; treating it as "
                "running. A newer version of zenml-vertex may know it; to try, %s.",
                self.name.job_id,
                state,
                upgrade_advice(),
            )
        spent = (
            f" after {format_duration(now - self._since)} {interpret(self.state).phase}"
            if self.state
            else ""
        )
        logger.info("Vertex AI job %s: %s%s.", self.name.job_id, short_name(state), spent)
        self.state = state
        self._since = now


# Class of an exception -> what a person did, or what happened to the process.
_REASONS = {
    "KeyboardInterrupt": "Ctrl-C",
    "RunInterruptedException": "Interrupted",
    "RunStoppedException": "Stopped",
    "SystemExit": "Exit",
}


def name_reason(error: BaseException) -> str:
    """Why a job is cancelled, as a word or two: `Ctrl-C`, or the class of an error."""
    name = type(error).__name__
    return _REASONS.get(name, name)


class OutageLog:
    """Warns of each outage once, until its source works again."""

    def __init__(self) -> None:
        # Source -> kind of its last failure.
        self._kinds: dict[str, str] = {}

    def warn(
        self, source: str, error: VertexStepOperatorError, outlook: str = "Trying again."
    ) -> None:
        """Log a failure, unless the source failed in the same way last time.

        Args:
            source: What failed: a server, a job by its name, or a task.
            error: The failure.
            outlook: What happens next, as a sentence.
        """
        kind = type(error).__name__
        if self._kinds.get(source) != kind:
            self._kinds[source] = kind
            logger.warning("%s %s", error, outlook)

    def recovered(self, source: str, text: str) -> None:
        """Log that a source works again; does nothing if it had not failed."""
        if self._kinds.pop(source, None):
            logger.info("%s", text)

    def drop(self, source: str) -> None:
        """Forget a source that is not used any more."""
        self._kinds.pop(source, None)
