"""Clocks: the machine's, and one that tests advance."""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Protocol

# Condition.wait refuses much longer timeouts on some platforms.
_LONGEST_WAIT_SECONDS = 3600.0


class Clock(Protocol):
    """Reads the time and waits for it."""

    def now(self) -> datetime:
        """The time, in UTC."""
        ...

    def join(self, condition: threading.Condition) -> None:
        """Register with the clock; called once by a thread that will wait.

        Args:
            condition: What the thread will wait with.
        """
        ...

    def wait(self, condition: threading.Condition, until: datetime | None) -> None:
        """Release a held condition and wait until it is notified or a time has come.

        It can return early; the caller checks again what it waits for.

        Args:
            condition: Held by the caller.
            until: Time to wait for; None waits for a notification.
        """
        ...

    def leave(self, condition: threading.Condition) -> None:
        """Undo `join`."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(tz=timezone.utc)

    def join(self, condition: threading.Condition) -> None:
        """Not needed: the machine's clock goes on by itself."""

    def wait(self, condition: threading.Condition, until: datetime | None) -> None:
        seconds = _LONGEST_WAIT_SECONDS
        if until is not None:
            seconds = min(seconds, (until - self.now()).total_seconds())
        if seconds > 0:
            condition.wait(seconds)

    def leave(self, condition: threading.Condition) -> None:
        """Not needed, as above."""


@dataclass(slots=True)
class _Member:
    """A thread that is registered with a manual clock.

    Args:
        thread: ID of the thread.
        until: What it waits for.
        seen: The last round of checks that it has taken part in.
        is_waiting: Whether it waits.
    """

    thread: int
    until: datetime | None = None
    seen: int = 0
    is_waiting: bool = False


class ManualClock:
    """A clock that stands still until it is advanced; safe to use from several threads.

    `advance` goes through every moment at which something is due, one after the other,
    and returns when all that was due has been done. What happened is therefore the
    same each time, however fast the machine is. Two threads may advance it; one waits
    for the other.

    Not waited for: processes and containers that really run, and answers to clients.

    Args:
        start: Its first time.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=timezone.utc)) -> None:
        self._now = start
        self._calls = 0
        self._members: dict[threading.Condition, _Member] = {}
        self._changed = threading.Condition()
        self._advancing = threading.Lock()

    def now(self) -> datetime:
        with self._changed:
            return self._now

    def advance(self, seconds: float) -> None:
        """Move forward; returns when everything that is due by then has been done.

        Args:
            seconds: At least 0.

        Raises:
            ValueError: If `seconds` is negative.
            RuntimeError: In a call that the clock itself has caused, such as an action
                of a script: it would wait for itself.
        """
        if seconds < 0:
            raise ValueError("a clock cannot be advanced by negative seconds")
        with self._changed:
            if any(member.thread == threading.get_ident() for member in self._members.values()):
                raise RuntimeError("a call that the clock has caused cannot advance it")
        with self._advancing:
            target = self.now() + timedelta(seconds=seconds)
            while self._settle(target):
                pass

    def settle(self) -> None:
        """Return when everything that is due now has been done."""
        self.advance(0)

    def join(self, condition: threading.Condition) -> None:
        with self._changed:
            self._members[condition] = _Member(threading.get_ident())

    def wait(self, condition: threading.Condition, until: datetime | None) -> None:
        with self._changed:
            if until is not None and self._now >= until:
                return
            member = self._members[condition]
            member.until, member.seen, member.is_waiting = until, self._calls, True
            self._changed.notify_all()
        # `_settle` cannot notify before this wait has released the condition.
        condition.wait()
        with self._changed:
            member.is_waiting = False

    def leave(self, condition: threading.Condition) -> None:
        with self._changed:
            del self._members[condition]
            self._changed.notify_all()

    def _settle(self, target: datetime) -> bool:
        """Do what is due now, and move on to the next moment; whether there is more to do."""
        with self._changed:
            # What one thread has changed can change what another one waits for: each
            # must check again.
            self._calls += 1
            conditions = list(self._members)
        for condition in conditions:
            with condition:
                condition.notify_all()
        with self._changed:
            self._changed.wait_for(self._is_settled)
            moments = [member.until for member in self._members.values() if member.until]
            moment = min([*moments, target])
            is_done = self._now == moment == target
            self._now = moment
            return not is_done

    def _is_settled(self) -> bool:
        return all(
            member.is_waiting and member.seen == self._calls for member in self._members.values()
        )
