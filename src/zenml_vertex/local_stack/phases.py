"""Measures how long each phase takes."""

import time
from collections.abc import Callable


class Phases:
    """Phases that follow one another.

    Args:
        clock: Seconds since some moment in the past.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: dict[str, float] = {}
        self._current: tuple[str, float] | None = None

    def begin(self, name: str) -> None:
        """End the current phase and begin the next."""
        self.end()
        self._current = (name, self._clock())

    def end(self) -> None:
        """End the current phase, if there is one."""
        if self._current:
            name, start = self._current
            self._seconds[name] = self._seconds.get(name, 0.0) + self._clock() - start
            self._current = None

    @property
    def seconds(self) -> dict[str, float]:
        """What has ended, with its duration."""
        return dict(self._seconds)
