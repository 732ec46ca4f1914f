"""A gate: a server that forwards every request to another server.

It can hold a request, like a network that gives no answer, or refuse it.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import SplitResult, urlsplit

from typing_extensions import Self

_SECONDS = 120.0
_HOP_BY_HOP = {"connection", "content-length", "keep-alive", "transfer-encoding"}


@dataclass(slots=True)
class Stop:
    """A rule that holds or refuses the matching requests.

    Args:
        method: HTTP method.
        path: Regular expression that the path has to contain.
        body: Text that the body has to contain.
        status: HTTP status of the refusal; None holds the request until the gate closes.
        answer: JSON body of the refusal.
        once: Whether only the first such request is stopped.
    """

    method: str
    path: str
    body: str = ""
    status: int | None = None
    answer: str = "{}"
    once: bool = True
    seen: int = 0
    has_come: threading.Event = field(default_factory=threading.Event)

    def takes(self, method: str, path: str, body: bytes) -> bool:
        """Return whether a request is stopped."""
        if method != self.method or not re.search(self.path, path):
            return False
        if self.body.encode() not in body:
            return False
        self.seen += 1
        return self.seen == 1 or not self.once

    def wait(self) -> None:
        """Wait until the first matching request has arrived."""
        assert self.has_come.wait(_SECONDS), f"no request {self.method} {self.path} arrived"


class Gate:
    """The server; a context manager.

    Args:
        target: URL of the server behind it.
        stops: The rules for requests that do not pass.
    """

    def __init__(self, target: str, *stops: Stop) -> None:
        self._is_closed = threading.Event()
        attributes = {"place": urlsplit(target), "stops": stops, "is_closed": self._is_closed}
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), attributes))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def host(self) -> str:
        """Address and port of the gate."""
        address, port = self._server.server_address[:2]
        return f"{address!s}:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Ignore clients that have disconnected, which these tests cause on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    place: SplitResult
    stops: tuple[Stop, ...]
    is_closed: threading.Event

    def __getattr__(self, name: str) -> Callable[[], None]:
        if not name.startswith("do_"):
            raise AttributeError(name)
        return self._handle

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        for stop in self.stops:
            if stop.takes(self.command, self.path, body):
                self._stop(stop)
                return
        behind = HTTPConnection(self.place.hostname or "", self.place.port, timeout=_SECONDS)
        try:
            behind.request(self.command, self.path, body, dict(self.headers))
            answer = behind.getresponse()
            self._answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            behind.close()

    def _stop(self, stop: Stop) -> None:
        stop.has_come.set()
        if stop.status is None:
            self.is_closed.wait()
            self.close_connection = True
        else:
            self._answer(stop.status, {}, stop.answer.encode())

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Write nothing."""
