"""One thread that calls back at the times it was asked for."""

import heapq
import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime

from vertex_emulator.core.clock import Clock

logger = logging.getLogger(__name__)

# Replaced entries stay in the heap; with more of them than this, they are thrown out.
_MANY = 100


@dataclass(order=True, slots=True)
class _Entry:
    moment: datetime
    number: int
    key: Hashable = field(compare=False)
    call: Callable[[], object] = field(compare=False, repr=False)


class Timer:
    """Calls back at moments of a clock; safe to use from several threads.

    Calls are made one after the other, in the order of their moments, and for the same
    moment in the order in which they were set. No lock is held; a call can set more.

    Args:
        clock: Where time comes from.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: list[_Entry] = []
        self._current: dict[Hashable, _Entry] = {}
        self._number = 0
        self._changed = threading.Condition()
        self._is_stopping = False
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="emulator-timer")

    def start(self) -> None:
        """Begin; calls that were set before are made too."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Make no more calls; returns when a call under way is over, unless this is that call."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread.ident not in {None, threading.get_ident()}:
            self._thread.join()

    def now(self) -> datetime:
        """The clock's time."""
        return self._clock.now()

    def set(self, key: Hashable, moment: datetime | None, call: Callable[[], object]) -> None:
        """Set a call, in place of an earlier one with the same key.

        Args:
            key: Identifies the call.
            moment: When to make it; None for never.
            call: What to call. An exception is logged.
        """
        with self._changed:
            self._current.pop(key, None)
            if moment is not None:
                self._number += 1
                entry = _Entry(moment, self._number, key, call)
                self._current[key] = entry
                heapq.heappush(self._entries, entry)
            if len(self._entries) > _MANY + 2 * len(self._current):
                self._entries = sorted(self._current.values())
            self._changed.notify_all()

    def cancel(self, key: Hashable) -> None:
        """Drop a call."""
        with self._changed:
            self._current.pop(key, None)

    def _run(self) -> None:
        self._clock.join(self._changed)
        self._ready.set()
        try:
            while call := self._next():
                _make(call)
        finally:
            self._clock.leave(self._changed)

    def _next(self) -> Callable[[], object] | None:
        """Wait for the next call; None at the end."""
        with self._changed:
            while not self._is_stopping:
                while self._entries and not self._is_current(self._entries[0]):
                    heapq.heappop(self._entries)
                first = self._entries[0] if self._entries else None
                if first and first.moment <= self._clock.now():
                    heapq.heappop(self._entries)
                    del self._current[first.key]
                    return first.call
                self._clock.wait(self._changed, first.moment if first else None)
            return None

    def _is_current(self, entry: _Entry) -> bool:
        return self._current.get(entry.key) is entry


def _make(call: Callable[[], object]) -> None:
    try:
        call()
    except Exception:
        logger.exception("A timed call of the emulator failed")
