"""What a person sees of a job: one line for each change, and metadata on the step run."""

import logging
from dataclasses import dataclass, field
from typing import Any

from zenml_vertex.clock import Clock
from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.states import interpret, is_known, short_name

logger = logging.getLogger(__name__)

JOB_NAME_KEY = "zenml_vertex.job_name"
# Written before a job is created: where to look for it, should nobody learn its name.
PARENT_KEY = "zenml_vertex.parent"
CONSOLE_URL_KEY = "zenml_vertex.console_url"
LOGS_URL_KEY = "zenml_vertex.logs_url"
# The built-in operator's key, for whoever reads it. A step may overwrite it with
# metadata of its own, so that this package never does.
BUILTIN_JOB_NAME_KEY = "job_name"


def build_job_metadata(name: JobName) -> dict[str, Any]:
    """What is recorded on the step run as soon as the job exists.

    The resource name is the whole one: project and region are read from it, also
    by an operator that is configured for others.
    """
    return {
        JOB_NAME_KEY: str(name),
        BUILTIN_JOB_NAME_KEY: str(name),
        CONSOLE_URL_KEY: name.console_url,
        LOGS_URL_KEY: name.logs_url,
    }


def format_duration(seconds: float) -> str:
    """A duration as people say it: `8s`, `2m 5s`, `1h 0m`."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"


@dataclass(slots=True)
class ProgressLog:
    """Logs each change of a job's state once, with the time spent in the last.

    Args:
        name: The job.
        clock: Where time comes from.
        state: The state seen last; empty before the first.
    """

    name: JobName
    clock: Clock
    state: str = ""
    _since: float = 0.0
    _warned_of: set[str] = field(default_factory=set)

    def see(self, state: str) -> None:
        """Take note of the state that the job is in now."""
        if state == self.state:
            return
        now = self.clock.monotonic()
        if not is_known(state) and state not in self._warned_of:
            self._warned_of.add(state)
            logger.warning(
                "Vertex AI job %s is in state `%s`, which this version does not know; it counts "
                "as running. A newer zenml-vertex may know it.",
                self.name.job_id,
                state,
            )
        spent = (
            f" after {format_duration(now - self._since)} {interpret(self.state).phase}"
            if self.state
            else ""
        )
        logger.info("Vertex AI job %s: %s%s.", self.name.job_id, short_name(state), spent)
        self.state = state
        self._since = now


class TroubleLog:
    """Says once what is wrong somewhere, as long as it is the same, and when it is over."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}

    def complain(self, whom: str, error: VertexStepOperatorError) -> None:
        """Take note of a failure.

        Args:
            whom: Who has failed: a server, or a job by its name.
            error: How.
        """
        kind = type(error).__name__
        if self._kinds.get(whom) != kind:
            self._kinds[whom] = kind
            logger.warning("%s Trying again.", error)

    def rejoice(self, whom: str, text: str) -> None:
        """Say that whoever has failed does so no more; nothing, if nobody has."""
        if self._kinds.pop(whom, None):
            logger.info("%s", text)

    def forget(self, whom: str) -> None:
        """Take note that nobody is asked there any more."""
        self._kinds.pop(whom, None)
