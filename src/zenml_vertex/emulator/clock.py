"""Where "now" comes from, and how to wait for a later one."""

import threading
from datetime import datetime, timedelta, timezone
from typing import Protocol

# Long enough to be forever between two events, short enough for every platform's
# Condition.wait.
_LONGEST_WAIT_SECONDS = 3600.0


class Clock(Protocol):
    """Reads the time and waits for it."""

    def now(self) -> datetime:
        """The time, in UTC."""
        ...

    def wait(self, condition: threading.Condition, until: datetime | None) -> None:
        """Release a held condition and wait until it is notified or a time has come.

        May return early; the caller looks again at what it waits for.

        Args:
            condition: Held by the caller.
            until: Time to wait for; None waits for a notification.
        """
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(tz=timezone.utc)

    def wait(self, condition: threading.Condition, until: datetime | None) -> None:
        seconds = _LONGEST_WAIT_SECONDS
        if until is not None:
            seconds = min(seconds, (until - self.now()).total_seconds())
        if seconds > 0:
            condition.wait(seconds)


class ManualClock:
    """A clock that stands still until it is advanced; safe to use from several threads.

    Args:
        start: Its first time.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc)) -> None:
        self._now = start
        self._lock = threading.Lock()
        self._waiting: list[threading.Condition] = []

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        """Move forward and wake whoever waits.

        Args:
            seconds: At least 0.

        Raises:
            ValueError: If `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError("a clock does not go back")
        with self._lock:
            self._now += timedelta(seconds=seconds)
            waiting = list(self._waiting)
        for condition in waiting:
            with condition:
                condition.notify_all()

    def wait(self, condition: threading.Condition, until: datetime | None) -> None:
        with self._lock:
            if until is not None and self._now >= until:
                return
            # `advance` cannot notify before the wait below has released the
            # condition, which the caller holds.
            self._waiting.append(condition)
        try:
            condition.wait()
        finally:
            with self._lock:
                self._waiting.remove(condition)
