"""Log entries in a file, a line each; memory has their times and places alone.

A job can print more than fits into memory, and a page of a list wants few of its lines.
"""

import json
import logging
import os
import tempfile
import weakref
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from errno import ENOSPC
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import parse_nanoseconds

if TYPE_CHECKING:
    from io import FileIO

logger = logging.getLogger(__name__)

MAX_UNWRITTEN_BYTES = 4 * 1024 * 1024
"""How much of a log is kept in memory while its file cannot be written to."""

# Offsets from here on are of what memory keeps.
_UNWRITTEN = 1 << 62
_READ_BYTES = 1024 * 1024
_LAST_TIME = 2**63 - 1


class Place(NamedTuple):
    """Where an entry is.

    Args:
        time: Nanoseconds since 1970.
        offset: Of its first byte.
        length: In bytes, without the line break.
    """

    time: int
    offset: int
    length: int


class Medium(Protocol):
    """Keeps bytes, which are never changed."""

    def append(self, data: bytes) -> int:
        """Keep more bytes; returns where they are.

        Raises:
            OSError: If there is no room for all of them. None of them is kept then.
        """
        ...

    def read(self, offset: int, length: int) -> bytes:
        """The bytes at a place; fewer if they have gone meanwhile."""
        ...


class NamedFile:
    """A file of a data folder. It is open only while it is used: there may be many.

    Args:
        path: Made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def append(self, data: bytes) -> int:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            offset = os.fstat(descriptor).st_size
            if os.write(descriptor, data) < len(data):
                # Without room for the whole line, none of it stays: the next one would continue it.
                os.ftruncate(descriptor, offset)
                raise OSError(ENOSPC, os.strerror(ENOSPC))
            return offset
        finally:
            os.close(descriptor)

    def read(self, offset: int, length: int) -> bytes:
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return b""
        try:
            return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """The offsets and lines, without line breaks; a line that a crash cut off is removed."""
        try:
            stream = self._path.open("rb")
        except FileNotFoundError:
            return
        offset = 0
        with stream:
            for line in stream:
                if line.endswith(b"\n"):
                    yield offset, line[:-1]
                    offset += len(line)
                else:
                    os.truncate(self._path, offset)


class Spool:
    """A temporary file without a name, which ends with this process. Several logs share it."""

    def __init__(self) -> None:
        self._file: FileIO | None = None
        self._size = 0

    def __str__(self) -> str:
        return f"a temporary file in {tempfile.gettempdir()}"

    def append(self, data: bytes) -> int:
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it stays open
            weakref.finalize(self, self._file.close)
        offset = self._size
        if os.pwrite(self._file.fileno(), data, offset) < len(data):
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        self._size += len(data)
        return offset

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._file.fileno(), length, offset) if self._file else b""

    def clear(self) -> None:
        """Drop everything."""
        if self._file:
            self._file.truncate(0)
        self._size = 0


class EntryFile:
    """The entries of a log in the order of their times.

    Callers see to it that calls do not overlap, but for `read`.

    Args:
        medium: Keeps them.
    """

    def __init__(self, medium: Medium) -> None:
        self._medium = medium
        self._times = array("q")
        self._offsets = array("q")
        self._lengths = array("I")
        # What could not be written, the oldest first; its first one may be a mark.
        self._unwritten: dict[int, bytes] = {}
        self._unwritten_bytes = 0
        self._dropped = 0
        self._is_failing = False

    def __len__(self) -> int:
        """How many entries there are, with those that were dropped."""
        return len(self._times)

    def load(self, take: Callable[[Json], None]) -> None:
        """Find the entries that are there already.

        Args:
            take: Called with each of them; what it raises as a ValueError makes it a damaged one.
        """
        if not isinstance(self._medium, NamedFile):
            return
        damaged: list[int] = []
        for number, (offset, line) in enumerate(self._medium.lines(), start=1):
            try:
                entry = _parse(line)
                place = Place(_read_time(entry), offset, len(line))
                take(entry)
                self._add(place)
            except ValueError:
                damaged.append(number)
        if damaged:
            logger.warning(
                "Skipping %s of %s that cannot be read as log entries; the first is line %s.",
                "a line" if len(damaged) == 1 else f"{len(damaged)} lines",
                self._medium,
                damaged[0],
            )

    def append(self, entry: Json) -> None:
        """Add an entry. Without room for it in the file, memory keeps it, up to a bound."""
        line = json.dumps(entry).encode()
        try:
            offset = self._medium.append(line + b"\n")
        except OSError as error:
            if not self._is_failing:
                logger.error("Cannot write to %s: %s.", self._medium, error.strerror)  # noqa: TRY400
            self._is_failing = True
            offset = self._keep(line)
        else:
            self._is_failing = False
        self._add(Place(_read_time(entry), offset, len(line)))

    def find(
        self, beyond: int | None, until: int | None, size: int, *, is_descending: bool
    ) -> list[Place]:
        """The next places in order; more than `size` where several have the same time.

        Args:
            beyond: They come after this time, in nanoseconds since 1970; None for the first.
            until: The last time, in nanoseconds since 1970; None for no bound.
            size: How many, at least 1.
            is_descending: Whether they are in order from the newest to the oldest.
        """
        times = self._times
        if is_descending:
            stop = len(times) if beyond is None else bisect_left(times, beyond)
            first = 0 if until is None else bisect_left(times, until, 0, stop)
            start = max(first, stop - size)
            while first < start < stop and times[start - 1] == times[start]:
                start -= 1
            return [self._place(number) for number in range(stop - 1, start - 1, -1)]
        start = 0 if beyond is None else bisect_right(times, beyond)
        last = len(times) if until is None else bisect_right(times, until, start)
        stop = min(last, start + size)
        while start < stop < last and times[stop - 1] == times[stop]:
            stop += 1
        return [self._place(number) for number in range(start, stop)]

    def read(self, places: Sequence[Place]) -> list[Json | None]:
        """The entries at these places; None for one that has gone."""
        entries: list[Json | None] = []
        start = 0
        for stop in range(1, len(places) + 1):
            if stop == len(places) or not _is_next(places[start], places[stop - 1], places[stop]):
                entries += self._read_run(places[start:stop])
                start = stop
        return entries

    def _read_run(self, places: Sequence[Place]) -> list[Json | None]:
        """The entries at places that follow each other in the file without a gap."""
        begin = places[0].offset
        if begin >= _UNWRITTEN:
            return [_try_parse(self._unwritten.get(place.offset, b"")) for place in places]
        data = self._medium.read(begin, places[-1].offset + places[-1].length - begin)
        return [
            _try_parse(data[place.offset - begin : place.offset - begin + place.length])
            for place in places
        ]

    def _place(self, number: int) -> Place:
        return Place(self._times[number], self._offsets[number], self._lengths[number])

    def _add(self, place: Place) -> None:
        is_last = not self._times or self._times[-1] <= place.time
        number = len(self._times) if is_last else bisect_right(self._times, place.time)
        self._times.insert(number, place.time)
        self._offsets.insert(number, place.offset)
        self._lengths.insert(number, place.length)

    def _keep(self, line: bytes) -> int:
        """Keep a line in memory, and drop the oldest ones where there are too many."""
        offset = _UNWRITTEN + len(self)
        self._unwritten[offset] = line
        self._unwritten_bytes += len(line)
        while self._unwritten_bytes > MAX_UNWRITTEN_BYTES:
            if self._dropped:
                del self._unwritten[next(iter(self._unwritten))]
            oldest = next(iter(self._unwritten))
            self._dropped += 1
            self._unwritten_bytes -= len(self._unwritten[oldest])
            self._unwritten[oldest] = _mark(self._unwritten[oldest], self._dropped)
        return offset


def _is_next(first: Place, before: Place, place: Place) -> bool:
    """Whether a place follows another one in the file, and can be read together with it."""
    return (
        place.offset == before.offset + before.length + 1
        and place.offset + place.length - first.offset <= _READ_BYTES
    )


def _mark(line: bytes, count: int) -> bytes:
    """What stands in the place of the last entry that was dropped."""
    entry = {key: value for key, value in _parse(line).items() if not key.endswith("Payload")}
    text = f"{count} earlier lines were dropped: there was no room to store them."
    return json.dumps({**entry, "severity": "WARNING", "textPayload": text}).encode()


def _parse(line: bytes) -> Json:
    """An entry.

    Raises:
        ValueError: If it is none.
    """
    try:
        entry = json.loads(line)
    except RecursionError as exc:
        raise ValueError("it is nested too deeply") from exc
    if not isinstance(entry, dict) or not all(
        isinstance(entry.get(key), str) for key in ("insertId", "logName", "timestamp")
    ):
        raise ValueError("it is not a log entry")
    return entry


def _read_time(entry: Json) -> int:
    """The time of an entry; one that no log can have stands for the first or the last possible.

    Raises:
        ValueError: If it is none.
    """
    return max(-_LAST_TIME, min(parse_nanoseconds(entry["timestamp"]), _LAST_TIME))


def _try_parse(line: bytes) -> Json | None:
    try:
        return _parse(line)
    except ValueError:
        return None
