"""HTTP to servers of this machine: no proxies, no redirects, JSON in and out."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

ADDRESS = "127.0.0.1"

# Connections that wait while a server still starts, or is busy.
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered."""

    # HTTP status.
    status: int
    # The body, read as JSON; None if it is not JSON.
    content: Any


def open_listener() -> socket.socket:
    """A socket that listens on a free port of this machine.

    A server that is started later takes it over, so that its address is known
    beforehand, and nothing else can take its port. Clients that connect early wait.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind((ADDRESS, 0))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """The address of a listener, as a URL without a path."""
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


def send_request(
    url: str,
    *,
    method: str = "GET",
    body: Mapping[str, Any] | None = None,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = 10.0,
) -> Response:
    """Send one request.

    Args:
        url: Where to, with path and query.
        method: HTTP method.
        body: Sent as JSON.
        form: Sent as a form, without a body.
        headers: More headers.
        seconds: How long each single read may take.

    Raises:
        OSError: If the server does not answer.
    """
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or ADDRESS, parts.port, timeout=seconds)
    sent = dict(headers or {})
    data = None
    if body is not None:
        data = json.dumps(body)
        sent["Content-Type"] = "application/json"
    elif form is not None:
        data = urlencode(form)
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    try:
        connection.request(method, path, body=data, headers=sent)
        response = connection.getresponse()
        return Response(response.status, _read_json(response.read()))
    finally:
        connection.close()


def _read_json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None
