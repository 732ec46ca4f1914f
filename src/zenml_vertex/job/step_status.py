"""What the status of a step run means: whether the step has finished, and how.

The statuses are the values of `zenml.enums.ExecutionStatus`; pipeline runs have the same.
"""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["completed", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class StatusMeaning:
    """What one status of a step run means."""

    # How the step ended, as `get_status` and `wait` tell ZenML; None if it has not.
    outcome: Outcome | None = None
    # Of a step that was told to stop: its status once it has. Its container notices with
    # its next heartbeat, if ZenML's code runs in it and is not stuck.
    ends_as: str | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the result of the step is known."""
        return self.outcome is not None

    @property
    def is_ending(self) -> bool:
        """Whether the step was told to stop and has not stopped yet."""
        return self.ends_as is not None

    @property
    def is_active(self) -> bool:
        """Whether the step needs its job: it has not finished, and was not told to stop."""
        return not (self.is_finished or self.is_ending)


_ACTIVE = StatusMeaning()

STATUSES: dict[str, StatusMeaning] = {
    "initializing": _ACTIVE,
    "provisioning": _ACTIVE,
    "queued": _ACTIVE,
    "running": _ACTIVE,
    "paused": _ACTIVE,
    "resuming": _ACTIVE,
    "completed": StatusMeaning("completed"),
    "cached": StatusMeaning("completed"),
    "skipped": StatusMeaning("completed"),
    "failed": StatusMeaning("failed"),
    # ZenML calls a failed step run `retrying` until the step run of its next attempt
    # begins, and `retried` after that: this one is finished either way.
    "retrying": StatusMeaning("failed"),
    "retried": StatusMeaning("failed"),
    "stopping": StatusMeaning(ends_as="stopped"),
    "stopped": StatusMeaning("stopped"),
    "cancelling": StatusMeaning(ends_as="cancelled"),
    "cancelled": StatusMeaning("stopped"),
}

# The news for a client that waits for steps.
INACTIVE_STATUSES = tuple(status for status, meaning in STATUSES.items() if not meaning.is_active)


def interpret_status(status: str) -> StatusMeaning:
    """What a status means; one that is not in the table counts as active."""
    return STATUSES.get(status, _ACTIVE)
