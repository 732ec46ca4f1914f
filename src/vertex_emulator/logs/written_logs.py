"""Log entries that clients have written: a log for each project, which belongs to no job."""

import threading

from vertex_emulator.core.clock import Clock
from vertex_emulator.core.documents import DocumentStore
from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import parse_nanoseconds
from vertex_emulator.logs.log_store import LogStore
from vertex_emulator.logs.shapes import write_base36
from vertex_emulator.logs.writes import is_listed, read_write

_COLLECTION = "logs"
_FILE = "log.jsonl"
_ID_DIGITS = 14
# The IDs that are made up begin in the middle, so that they look like Google's.
_FIRST_ID = 36**_ID_DIGITS // 2


class WrittenLogs:
    """What clients write to Cloud Logging; safe to use from several threads.

    Args:
        logs: Keeps the entries.
        documents: Says where.
        clock: Stamps entries that have no time.
    """

    def __init__(self, logs: LogStore, documents: DocumentStore, clock: Clock) -> None:
        self._logs = logs
        self._documents = documents
        self._clock = clock
        # Numbers of the projects that have a log.
        self._open: set[str] = set()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Find what an earlier emulator has kept."""
        with self._lock:
            for name in self._documents.names(_COLLECTION):
                self._open_log(name.split("/")[1])

    def write(self, body: Json) -> None:
        """Write the entries of a request.

        An entry with the time and `insertId` of one that is there already is the same one, and
        is not written again.

        Raises:
            ApiError: INVALID_ARGUMENT; with `partialSuccess`, the other entries are written.
            DataDirError: If the log of a project cannot be made.
        """
        now = self._clock.now()
        wanted = read_write(body, now)
        if not wanted.is_dry_run and not wanted.is_refused:
            with self._lock:
                for number, entries in wanted.entries.items():
                    self._open_log(number)
                    for entry in entries:
                        if is_listed(entry, now):
                            self._append(number, entry)
        wanted.tell()

    def clear(self) -> None:
        """Forget every entry."""
        with self._lock:
            for number in self._open:
                self._logs.forget(_name_of(number))
                self._documents.remove(_name_of(number))
            self._open.clear()

    def _open_log(self, number: str) -> None:
        if number in self._open:
            return
        name = _name_of(number)
        self._documents.put(name, {"project": number})
        self._logs.open(name, number=number, file=self._documents.file_of(name, _FILE))
        self._open.add(number)

    def _append(self, number: str, entry: Json) -> None:
        log_id = _name_of(number)
        if "insertId" not in entry:
            # Each is greater than the one before: entries of the same time keep their order.
            made_up = write_base36(_FIRST_ID + self._logs.count(log_id), _ID_DIGITS)
            self._logs.append(log_id, {**entry, "insertId": made_up})
            return
        same = self._logs.entries_at(log_id, parse_nanoseconds(entry["timestamp"]))
        if all(other["insertId"] != entry["insertId"] for other in same):
            self._logs.append(log_id, entry)


def _name_of(number: str) -> str:
    """What the log of a project is kept by. A name in the store has a region; a log has none."""
    return f"projects/{number}/locations/global/{_COLLECTION}/written"
