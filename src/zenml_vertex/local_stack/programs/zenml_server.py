"""Serves ZenML's own server application on the socket that is this process's standard input.

Uvicorn's `--fd` would do the same with every answer 40 ms late: it takes the socket
for a Unix one, and leaves Nagle's algorithm on.
"""

import socket
import sys

import uvicorn


def main() -> None:
    """Serve until SIGTERM."""
    listener = socket.socket(fileno=sys.stdin.fileno())
    config = uvicorn.Config(
        "zenml.zen_server.zen_server_api:app", log_level="warning", access_log=False
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
