"""How long each kind of failure is waited out, and the one way to try again.

Whether an error may pass by itself is the error's own `retryable`, see `errors.py`. How
long it is waited out depends on what failed: the table below says so, in seconds and in
failures in a row.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeVar

from zenml_vertex.clock import Clock
from zenml_vertex.errors import (
    CredentialsError,
    JobNotFound,
    NotYetPermitted,
    PermissionDenied,
    QuotaExceeded,
    ServerUnreachable,
    ServiceUnavailable,
    StepRunNotFound,
    VertexStepOperatorError,
)
from zenml_vertex.following.outages import OutageLog
from zenml_vertex.job.times import format_duration

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long failures in a row are waited out: until both budgets are spent."""

    seconds: float
    failures: int = 1

    def is_spent(self, seconds: float, failures: int = 1) -> bool:
        """Whether this many failures, over this many seconds, are enough to give up."""
        return failures >= self.failures and seconds >= self.seconds


class Task(Enum):
    """What can fail."""

    CREATE = auto()
    # Search for a job by its labels, after a create that may have had an effect.
    FIND = auto()
    CANCEL = auto()
    # Cancel a job that is still running after its step finished.
    CANCEL_LINGERING = auto()
    # Read a job, and the step run that it belongs to, while a step waits for it.
    FOLLOW = auto()
    # Ask the ZenML server while a job is submitted.
    ASK_SERVER = auto()
    # Store the environment of a step before its job is created, and destroy it afterwards.
    STORE_SECRET = auto()
    DESTROY_SECRET = auto()


_NONE = Patience(seconds=0)
# Permissions take minutes to spread, and are given back when somebody notices; so is a
# login that has expired.
_ACCESS = Patience(seconds=15 * 60, failures=10)
# A restart of the ZenML server.
SERVER_RESTART = Patience(seconds=60)
# The ZenML server loses sight of a step run for a moment while it restarts.
STEP_RUN_NOT_FOUND = Patience(seconds=15, failures=5)

# What fails -> kind of error -> how long it is waited out. The row of the closest base
# class counts; an error without a row is raised at once.
_TABLE: Mapping[Task, Mapping[type[VertexStepOperatorError], Patience]] = {
    Task.CREATE: {
        # Quotas of calls are per minute.
        QuotaExceeded: Patience(seconds=5 * 60),
        # A permission has mostly spread after two minutes
        # (https://cloud.google.com/iam/docs/access-change-propagation); an identity that
        # lacks it for good should not wait much longer than that.
        NotYetPermitted: Patience(seconds=2 * 60),
    },
    Task.FIND: {VertexStepOperatorError: Patience(seconds=10 * 60)},
    Task.CANCEL: {VertexStepOperatorError: Patience(seconds=2 * 60)},
    Task.CANCEL_LINGERING: {VertexStepOperatorError: Patience(seconds=15 * 60)},
    Task.FOLLOW: {
        # Whether a read finds a job at once that was just created is not documented.
        JobNotFound: Patience(seconds=60, failures=5),
        StepRunNotFound: STEP_RUN_NOT_FOUND,
        PermissionDenied: _ACCESS,
        CredentialsError: _ACCESS,
        VertexStepOperatorError: Patience(seconds=2 * 60 * 60, failures=60),
    },
    Task.ASK_SERVER: {ServerUnreachable: SERVER_RESTART},
    Task.STORE_SECRET: {
        QuotaExceeded: Patience(seconds=5 * 60),
        ServiceUnavailable: Patience(seconds=2 * 60),
    },
    # The steps of a dynamic pipeline end on one thread: the others wait meanwhile. The secret
    # expires by itself.
    Task.DESTROY_SECRET: {
        QuotaExceeded: Patience(seconds=5),
        ServiceUnavailable: Patience(seconds=5),
    },
}
# A state that Google has added since may be one in which the step works; if it does, it
# reports its result meanwhile.
UNKNOWN_STATE = Patience(seconds=6 * 60 * 60, failures=60)

# Seconds of the first pause between two tries, and of the longest; each is twice the last.
_PAUSES = {
    Task.CREATE: (2.0, 60.0),
    Task.CANCEL: (3.0, 3.0),
    Task.ASK_SERVER: (2.0, 2.0),
    Task.STORE_SECRET: (2.0, 60.0),
    Task.DESTROY_SECRET: (2.0, 3.0),
}


def choose_patience(task: Task, error: VertexStepOperatorError) -> Patience:
    """How long an error is waited out.

    A step that waits for its job waits out every kind of error, other tasks those that
    are retryable.
    """
    if task is not Task.FOLLOW and not error.retryable:
        return _NONE
    rows = _TABLE[task]
    return next((rows[kind] for kind in type(error).__mro__ if kind in rows), _NONE)


class Retrying:
    """Tries calls again that fail with a retryable error.

    All calls share one budget of seconds, which begins now. The last try is made when it
    ends. The log says once for each kind of error that it is tried again.

    Args:
        task: What the calls do.
        clock: Where time comes from.
        seconds: How long to try, instead of what the table says; 0 tries once.
        pauses: Seconds between two tries, instead of what the table says.
        outages: Where failures are logged.
    """

    def __init__(
        self,
        task: Task,
        clock: Clock,
        *,
        seconds: float | None = None,
        pauses: Iterator[float] | None = None,
        outages: OutageLog | None = None,
    ) -> None:
        self._task = task
        self._clock = clock
        self._seconds = seconds
        self._pauses = _iter_pauses(*_PAUSES[task]) if pauses is None else pauses
        self._outages = outages or OutageLog()
        self._start = clock.monotonic()

    def __call__(self, call: Callable[[], T]) -> T:
        """What the call returns.

        Raises:
            VertexStepOperatorError: What the last try raised.
        """
        while True:
            try:
                return call()
            except VertexStepOperatorError as error:
                pause = self._choose_pause(error)
                if pause is None:
                    raise
            self._clock.sleep(pause)

    def _choose_pause(self, error: VertexStepOperatorError) -> float | None:
        """Seconds until the next try; None to give up."""
        patience = choose_patience(self._task, error)
        budget = patience.seconds
        if self._seconds is not None and patience is not _NONE:
            budget = self._seconds
        left = budget - (self._clock.monotonic() - self._start)
        retry_after = 0.0
        # Nothing else is worth a long silence: a job that is to be cancelled costs money.
        if self._task is Task.CREATE and isinstance(error, QuotaExceeded):
            retry_after = error.retry_after or 0.0
        if left <= 0 or retry_after > left:
            return None
        pause = min(retry_after or next(self._pauses), left)
        outlook = (
            f"Trying again in {format_duration(pause)}, for up to {format_duration(budget)} in all."
        )
        self._outages.warn(self._task.name, error, outlook)
        return pause


def _iter_pauses(first: float, longest: float) -> Iterator[float]:
    pause = first
    while True:
        yield pause
        pause = min(2 * pause, longest)


class FailureRuns:
    """Failures in a row, counted for each patience by itself: one kind spends nothing of another's.

    Args:
        clock: Where time comes from.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # When the first failure in a row was, and how many there have been.
        self._runs: dict[Patience, tuple[float, int]] = {}

    def note(self, patience: Patience) -> bool:
        """Count one more failure; whether the patience is spent."""
        now = self._clock.monotonic()
        since, failures = self._runs.get(patience, (now, 0))
        self._runs[patience] = since, failures + 1
        return patience.is_spent(now - since, failures + 1)

    def clear(self, patience: Patience) -> None:
        """End the run of failures of one patience."""
        self._runs.pop(patience, None)

    def clear_all(self, *, but: Collection[Patience]) -> None:
        """End every run of failures, except those of some."""
        self._runs = {patience: run for patience, run in self._runs.items() if patience in but}
