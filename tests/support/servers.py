"""Servers other than Vertex AI that give one prepared answer, or none."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self


class Canned:
    """An HTTP server that gives every request the same answer.

    Args:
        status: HTTP status.
        content: The body; anything but bytes is written as JSON.
        length: What `Content-Length` says, where it is not the body's.
        echo: Whether the request's `Authorization` is put before the body, as some
            proxies do on their error pages.
    """

    def __init__(
        self,
        status: int,
        content: Any = b"",
        *,
        length: int | None = None,
        echo: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.requests: list[str] = []
        canned = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                canned.requests.append(f"{self.command} {self.path.partition('?')[0]}")
                sent = body
                if echo:
                    sent = self.headers.get("Authorization", "").encode() + b" " + body
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(sent) if length is None else length))
                self.send_header("Connection", "close")
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(sent)

            do_GET = _answer  # noqa: N815 - the name is http.server's
            do_POST = _answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Self":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        # A test whose prepared answer is never requested tests nothing.
        assert self.requests


def build_refusal(
    code: int, message: str, *details: Mapping[str, Any], status: str = "X"
) -> dict[str, Any]:
    """Build an error in the format of Google's APIs."""
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


@contextmanager
def silent_server() -> Iterator[str]:
    """The URL of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def find_closed_port() -> int:
    """Return a port without a listener; it was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
