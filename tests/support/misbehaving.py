"""Processes that misbehave, for the tests."""

import os
import signal
import sys
from pathlib import Path

from zenml_vertex.local_stack.processes.servers import STAGE, Server


def _say(text: object) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def fail() -> None:
    """Exit at once, with a reason."""
    _say("there is no such database")
    sys.exit(3)


def hang() -> None:
    """Never become ready."""
    _say(f"{STAGE}thinking")
    while True:
        signal.pause()


def ignore_sigterm() -> None:
    """Exit on SIGKILL only."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _say("stubborn")
    hang()


def start_server(log: Path) -> None:
    """Start a server, print its process ID, and wait for its end."""
    target = f"{__spec__.name}:hang"
    server = Server("server", target, environment=os.environ, log=log)
    _say(server.pid)
    hang()


if __name__ == "__main__":
    if sys.argv[1] == "--stubborn":
        ignore_sigterm()
    start_server(Path(sys.argv[2]))
