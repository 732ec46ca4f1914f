"""Serves an emulator of Cloud Storage on the socket that is this process's standard input.

The `gcp-storage-emulator` package, pure Python, in memory: it starts in 0.1 s and
answers everything that ZenML's artifact store asks. Its own command names no port
that it has chosen itself.
"""

import signal
import socket
import sys
from functools import partial
from http.server import HTTPServer

from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage


class _Handler(RequestHandler):  # type: ignore[misc]
    # One thread serves all connections: an idle one must not block the rest.
    timeout = 10


def main() -> None:
    """Serve the buckets that the command line names until SIGTERM."""
    storage = Storage(use_memory_fs=True)
    for bucket in sys.argv[1:]:
        create_bucket(bucket, storage)
    listener = socket.socket(fileno=sys.stdin.fileno())
    server = HTTPServer(listener.getsockname(), partial(_Handler, storage), bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever()


if __name__ == "__main__":
    main()
