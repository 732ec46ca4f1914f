"""A record of the calls that clients have made."""

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import format_time

# A week at one call in ten seconds is 60,480.
MAX_CALLS = 100_000
# Longer than any path of Vertex AI's that a client asks for.
_MOST_CHARACTERS = 500


def shorten(text: str) -> str:
    """A path or method as it may be kept and shown: not too long, and no terminal obeys it."""
    kept = text[:_MOST_CHARACTERS]
    kept = "".join(char if char.isprintable() else quote(char, errors="replace") for char in kept)
    return kept if len(text) <= _MOST_CHARACTERS else f"{kept} [...] ({len(text)} characters)"


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A request that the emulator has answered, without its token and body.

    Args:
        time: When it arrived.
        identity: Whose token it bore, `anonymous` or `unknown token`.
        method: HTTP method, shortened.
        path: Path without the query, shortened.
        route: Pattern of the route that served it; None if no route did.
        status: HTTP status of the answer; 0 where the connection was cut instead.
    """

    time: datetime
    identity: str
    method: str
    path: str
    route: str | None
    status: int

    def to_json(self) -> Json:
        """The call as `/emulator/requests` shows it."""
        return {
            "time": format_time(self.time),
            "identity": self.identity,
            "method": self.method,
            "path": self.path,
            "route": self.route,
            "status": self.status,
        }


class Calls:
    """Records of the last calls, the oldest first; safe to use from several threads."""

    def __init__(self) -> None:
        self._calls: deque[CallRecord] = deque(maxlen=MAX_CALLS)
        self._lock = threading.Lock()

    def add(self, call: CallRecord) -> None:
        """Add a record."""
        with self._lock:
            self._calls.append(call)

    def clear(self) -> None:
        """Drop all records."""
        with self._lock:
            self._calls.clear()

    def __iter__(self) -> Iterator[CallRecord]:
        with self._lock:
            return iter(list(self._calls))

    def __len__(self) -> int:
        return len(self._calls)
