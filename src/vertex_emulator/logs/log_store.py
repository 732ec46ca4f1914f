"""Where log entries are kept, and read in the order of their times; across logs, too."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby, islice
from pathlib import Path

from vertex_emulator.core.errors import Json
from vertex_emulator.logs.entry_file import EntryFile, NamedFile, Place, Spool

# Which line of a container's output an entry is; in files alone.
_MARK = "line"
# How many places are looked up and read at a time: few at first, as a page may want no more.
_FIRST_PLACES, _MOST_PLACES = 16, 256

Mark = tuple[int, str, str, int]
"""Attempt, replica, stream, and number of a line of a container's output, from 1."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which entries are wanted, as far as that can be told without reading them.

    Args:
        numbers: Numbers of their projects.
        job_ids: Numeric IDs of their jobs; None for entries about anything.
        since: The earliest time, in nanoseconds since 1970; None for no bound.
        until: The latest time, in nanoseconds since 1970; None for no bound.
        is_descending: Whether the newest comes first.
    """

    numbers: Collection[str]
    job_ids: Collection[str] | None = None
    since: int | None = None
    until: int | None = None
    is_descending: bool = False

    def has(self, log: "_Log") -> bool:
        """Whether a log may have such entries."""
        is_about = self.job_ids is None or log.job_id is None or log.job_id in self.job_ids
        return is_about and log.number in self.numbers


@dataclass(slots=True, eq=False)
class _Log:
    """A log.

    Args:
        number: Number of its project.
        job_id: The job that all its entries are about; None where they are about anything.
        entries: The entries; those that were there before are not known until it is loaded.
        counts: (attempt, replica, stream) -> how many lines of a container's output it has.
    """

    number: str
    job_id: str | None
    entries: EntryFile
    counts: dict[tuple[int, str, str], int] = field(default_factory=dict)
    is_loaded: bool = False

    def load(self) -> "_Log":
        """Itself, with the entries that are in its file."""
        if not self.is_loaded:
            self.is_loaded = True
            self.entries.load(self.count)
        return self

    def count(self, entry: Json) -> None:
        """Count an entry that is a line of a container's output.

        Raises:
            ValueError: If its mark cannot be read.
        """
        if mark := entry.get(_MARK):
            try:
                attempt, replica, stream, number = mark
                self.counts[attempt, replica, stream] = int(number)
            except TypeError as exc:
                raise ValueError("its mark cannot be read") from exc

    def find(self, window: Window, beyond: int | None, size: int) -> list[Place]:
        """The next places of a window: those beyond a time, or the first ones."""
        first, last = window.since, window.until
        if window.is_descending:
            first, last = last, first
        if beyond is None and first is not None:
            beyond = first + (1 if window.is_descending else -1)
        return self.entries.find(beyond, last, size, is_descending=window.is_descending)


class LogStore:
    """Logs, each known by an ID; safe to use from several threads.

    What is appended to a log that is not open is dropped.
    """

    def __init__(self) -> None:
        self._logs: dict[str, _Log] = {}
        self._spool = Spool()
        self._is_closed = False
        self._changed = threading.Condition(threading.RLock())

    def open(
        self, log_id: str, *, number: str, file: Path | None, job_id: str | None = None
    ) -> None:
        """Open a log.

        Args:
            log_id: Its ID.
            number: Number of its project.
            file: Keeps the entries, and may have earlier ones; None for a temporary one.
            job_id: The job that all its entries are about; None where they are about anything.
        """
        with self._changed:
            entries = EntryFile(NamedFile(file) if file else self._spool)
            self._logs[log_id] = _Log(number, job_id, entries)

    def append(self, log_id: str, entry: Json, mark: Mark | None = None) -> None:
        """Add an entry.

        Args:
            log_id: ID of the log.
            entry: With `insertId`, `logName` and `timestamp` at least.
            mark: Which line of a container's output it is; kept for `count_lines`.
        """
        with self._changed:
            log = self._logs.get(log_id)
            if self._is_closed or log is None:
                return
            marked = {**entry, _MARK: mark} if mark else entry
            log.load().entries.append(marked)
            log.count(marked)
            self._changed.notify_all()

    def count(self, log_id: str) -> int:
        """How many entries a log has had; 0 for one that is not open."""
        with self._changed:
            log = self._logs.get(log_id)
            return len(log.load().entries) if log else 0

    def count_lines(self, log_id: str) -> dict[tuple[int, str, str], int]:
        """How many lines of containers are in a log, by attempt, replica and stream."""
        with self._changed:
            return dict(self._logs[log_id].load().counts)

    def entries_of(self, log_id: str) -> list[Json]:
        """All entries of a log, the oldest first; none for one that is not open."""
        with self._changed:
            log = self._logs.get(log_id)
        return [entry for _, entry in self._read([log], Window(()))] if log else []

    def entries_at(self, log_id: str, moment: int) -> list[Json]:
        """The entries of a log at a time.

        Args:
            log_id: ID of the log.
            moment: The time, in nanoseconds since 1970.
        """
        with self._changed:
            log = self._logs.get(log_id)
        window = Window((), since=moment, until=moment)
        return [entry for _, entry in self._read([log], window)] if log else []

    def select(self, window: Window) -> Iterator[tuple[int, Json]]:
        """The entries of a window with their times in nanoseconds since 1970, in order.

        Those of the same time are in the order of their insertIds. What is not asked for is
        not read. What is appended meanwhile may be among them.
        """
        with self._changed:
            logs = [log for log in self._logs.values() if window.has(log)]
        return self._read(logs, window)

    def wait_for(self, log_id: str, accepts: Callable[[Json], bool], seconds: float) -> bool:
        """Wait for an entry.

        Args:
            log_id: ID of the log.
            accepts: Says whether it is the one.
            seconds: How long to wait at most, by the machine's own clock.

        Returns:
            Whether it is there.
        """
        beyond: int | None = None

        def has_come() -> bool:
            nonlocal beyond
            log = self._logs.get(log_id)
            if log is None:
                return False
            window = Window((), since=None if beyond is None else beyond + 1)
            for moment, entry in self._read([log], window):
                if accepts(entry):
                    return True
                beyond = moment
            return False

        with self._changed:
            return self._changed.wait_for(has_come, seconds)

    def forget(self, log_id: str) -> None:
        """Drop a log. Its file, if it has one, is left."""
        with self._changed:
            self._logs.pop(log_id, None)
            if not self._logs:
                self._spool.clear()

    def close(self) -> None:
        """Append nothing from now on."""
        with self._changed:
            self._is_closed = True

    def _read(self, logs: Iterable[_Log], window: Window) -> Iterator[tuple[int, Json]]:
        is_descending = window.is_descending
        found = (self._find(log, window) for log in logs)
        places = merge(*found, key=lambda item: item[1].time, reverse=is_descending)
        for _, group in groupby(_read_places(places, window), key=lambda item: item[0]):
            same = list(group)
            if len(same) > 1:
                same.sort(key=lambda item: str(item[1]["insertId"]), reverse=is_descending)
            yield from same

    def _find(self, log: _Log, window: Window) -> Iterator[tuple[_Log, Place]]:
        beyond: int | None = None
        size = 1
        while True:
            with self._changed:
                places = log.load().find(window, beyond, size)
            if not places:
                return
            for place in places:
                yield log, place
            beyond = places[-1].time
            size = min(size * _FIRST_PLACES, _MOST_PLACES)


def _read_places(
    places: Iterator[tuple[_Log, Place]], window: Window
) -> Iterator[tuple[int, Json]]:
    """The entries at places, which are read several at a time."""
    size = _FIRST_PLACES
    while batch := list(islice(places, size)):
        by_log: dict[_Log, list[Place]] = {}
        for log, place in batch:
            by_log.setdefault(log, []).append(place)
        entries: dict[tuple[_Log, Place], Json] = {}
        for log, wanted in by_log.items():
            # The other way round, they follow each other in the file.
            ordered = wanted[::-1] if window.is_descending else wanted
            for place, entry in zip(ordered, log.entries.read(ordered), strict=True):
                if entry is not None:
                    entry.pop(_MARK, None)
                    entries[log, place] = entry
        yield from ((item[1].time, entries[item]) for item in batch if item in entries)
        size = min(size * 2, _MOST_PLACES)
