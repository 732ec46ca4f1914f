"""Serves an emulator of Cloud Storage on the socket that is this process's standard input.

The `gcp-storage-emulator` package, pure Python, in memory: it starts in 0.1 s and
answers everything that ZenML's artifact store asks. Its own command names no port
that it has chosen itself, and answers everybody: whoever replaces the code archive of
a step runs code as its user. Here it answers whom the Vertex AI emulator answers.
"""

import re
import signal
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import HTTPServer
from typing import Any

from gcp_storage_emulator import server as emulator
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects
from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.storage import Storage

from vertex_emulator import find_objection, find_stranger

# What the package serves besides Cloud Storage's routes; a GET empties all buckets.
_WIPE = "/wipe"
# What a page can send in a form. Cloud Storage takes forms for signed policies only, which
# this emulator does not know.
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

# As Cloud Storage says it.
_CONDITION_NOT_MET = "At least one of the pre-conditions you specified did not hold."


class _Server(HTTPServer):
    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Drop a stranger's connection before it is read: one thread serves all connections."""
        del client_address
        stranger = find_stranger(request)
        if stranger is None:
            return True
        text = f"The storage emulator answers its own user and root; this is {stranger}.\n".encode()
        head = (
            f"HTTP/1.0 {HTTPStatus.FORBIDDEN} Forbidden\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(text)}\r\n\r\n"
        )
        # A client that has gone does not matter.
        with suppress(OSError):
            request.sendall(head.encode("ascii") + text)
        return False


class _Handler(emulator.RequestHandler):  # type: ignore[misc]
    # One thread serves all connections: an idle one must not block the rest.
    timeout = 10

    def parse_request(self) -> bool:
        """Read the head of a request, and refuse what no program of this machine sends."""
        if not super().parse_request():
            return False
        objection = find_objection(self.headers.items())
        media_type = self.headers.get_content_type() if "Content-Type" in self.headers else ""
        if objection is None and media_type in _FORMS:
            objection = (
                f"This server does not accept forms; the header Content-Type is `{media_type}`."
            )
        if objection is not None:
            self.close_connection = True
            self.send_error(HTTPStatus.FORBIDDEN, explain=objection)
            return False
        return True


def _insert(request: Any, response: Any, storage: Storage, **parameters: Any) -> None:
    """Upload an object; with `ifGenerationMatch=0` only if there is none, which decides claims.

    https://cloud.google.com/storage/docs/request-preconditions
    """
    if request.query.get("ifGenerationMatch") == ["0"]:
        meta = request.data if isinstance(request.data, dict) else {}
        name = request.query.get("name", [meta.get("meta", meta).get("name")])[0]
        with suppress(NotFound):
            storage.get_file_obj(request.params["bucket_name"], name)
            response.status = HTTPStatus.PRECONDITION_FAILED
            response.json({"error": {"code": response.status, "message": _CONDITION_NOT_MET}})
            return
    objects.insert(request, response, storage, **parameters)


# The package's handlers of requests -> these ones.
_REPLACED = {objects.insert: _insert}


def build_server(listener: socket.socket, buckets: Iterable[str]) -> HTTPServer:
    """A server that is ready to serve.

    Args:
        listener: What it serves on; closed with it.
        buckets: Names of the buckets that there are.
    """
    storage = Storage(use_memory_fs=True)
    for bucket in buckets:
        create_bucket(bucket, storage)
    emulator.HANDLERS = tuple(
        (path, {verb: _REPLACED.get(handler, handler) for verb, handler in handlers.items()})
        for path, handlers in emulator.HANDLERS
        if not re.fullmatch(path, _WIPE)
    )
    server = _Server(listener.getsockname(), partial(_Handler, storage), bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    return server


def main() -> None:
    """Serve the buckets that the command line names until SIGTERM."""
    server = build_server(socket.socket(fileno=sys.stdin.fileno()), sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()


if __name__ == "__main__":
    main()
