"""Hands this Python's command line to a process that has imported ZenML, and waits for it.

Python imports a module of this name from PYTHONPATH when it starts, before the
program. Signals go on to the program, its exit status comes back, and it is killed
when this process is. Without a server that takes it, Python starts the program itself.
"""

# ruff: noqa: PTH109 - pathlib takes longer to import than all else here

import os
import sys

_LAUNCHER = "zenml_vertex.local_stack.processes.launcher"


def _find_arguments() -> "list[str]":
    """Return what a server can run: a program without options of Python before it."""
    arguments = sys.orig_argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"-m", "-c"}):
        return []
    if _LAUNCHER in arguments:
        # It passes on files that it has open. Jobs get nothing of their emulator's
        # environment; that their Python is this one, they have from `sys.executable`.
        if "emulator" in arguments:
            sys.executable = os.environ["FORKSERVER_PYTHON"]
        return []
    return arguments


def _hand_over(arguments: "list[str]") -> None:
    import json
    import signal
    import socket

    passed_on = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
    request = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
    signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
    try:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        server.connect(os.environ["FORKSERVER_SOCKET"])
        socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
        pid = int(server.recv(100) or b"0")
    except OSError:
        pid = 0
    if pid:
        for number in passed_on:
            signal.signal(number, lambda number, _: os.kill(pid, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
    if not pid:
        return
    status = int(server.recv(100) or b"-9")
    if status < 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-status})
        if -status not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if "FORKSERVER_SOCKET" in os.environ and (_arguments := _find_arguments()):
    _hand_over(_arguments)
