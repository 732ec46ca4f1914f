"""A Python with modules imported, of which each program that it runs is a copy.

Used as `python server.py DESCRIPTOR`, where the descriptor is its end of a pair of
sockets. The first message says what to import and with which environment; the answer is
the names of the variables that were read meanwhile. Each later message is a program
to run, with its connection and its standard streams.
"""

import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import types
from contextlib import suppress
from importlib import import_module
from typing import Any

_BYTES = 1 << 20


class _Recording(type(os.environ)):  # type: ignore[misc]
    """An environment that remembers which variables were asked for."""

    names: "set[str]" = set()  # noqa: RUF012 - the object's class is exchanged, it has no __init__

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return super().__getitem__(name)  # type: ignore[no-any-return]


def _import_all(environment: "dict[str, str]", modules: "list[str]") -> "list[str]":
    plain = type(os.environ)
    os.environ.update(environment)
    os.environ.__class__ = _Recording
    for name in modules:
        import_module(name)
    os.environ.__class__ = plain
    return sorted(_Recording.names)


def _serve(control: socket.socket) -> "tuple[dict[str, Any], list[int]]":
    """Run programs until nobody needs them any more; returns in the copies only."""
    awake, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(awake, selectors.EVENT_READ)
    running: dict[int, socket.socket] = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj is control:
                text, files, _, _ = socket.recv_fds(control, _BYTES, 4)
                if not text:
                    for pid in running:
                        _kill(pid)
                    os._exit(0)
                connection, *streams = files
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    selector.close()
                    for one in (control, awake, waker, *running.values()):
                        one.close()
                    os.close(connection)
                    return json.loads(text), streams
                for one in streams:
                    os.close(one)
                running[pid] = socket.socket(fileno=connection)
                selector.register(running[pid], selectors.EVENT_READ, pid)
                with suppress(OSError):
                    running[pid].send(str(pid).encode())
            elif key.fileobj is awake:
                awake.recv(_BYTES)
                _reap(selector, running)
            elif key.data in running:
                # Who started it is gone.
                selector.unregister(key.fileobj)
                _kill(key.data)


def _reap(selector: selectors.BaseSelector, running: "dict[int, socket.socket]") -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        connection = running.pop(pid)
        with suppress(KeyError):
            selector.unregister(connection)
        with suppress(OSError):
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())
        connection.close()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _become(request: "dict[str, Any]", streams: "list[int]") -> None:
    """Be as a process that has just been started."""
    os.setsid()
    for number, one in enumerate(streams):
        os.dup2(one, number)
        os.close(one)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if "FORKSERVER_PYTHON" not in os.environ:
        # A job: its container has neither. What it starts is started by Python itself.
        for name in ("FORKSERVER_SOCKET", "PYTHONPATH"):
            del os.environ[name]


def _run(arguments: "list[str]") -> None:
    """Run a program as Python runs its command line."""
    first = arguments[0]
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    if first == "-m":
        sys.path[0] = os.getcwd()
        sys.argv = arguments[:1] + arguments[2:]
        runpy._run_module_as_main(arguments[1])
    elif first == "-c":
        sys.path[0] = ""
        sys.argv = arguments[:1] + arguments[2:]
        exec(compile(arguments[1], "<string>", "exec"), main.__dict__)
    else:
        sys.path[0] = os.path.dirname(os.path.realpath(first))
        sys.argv = arguments
        main.__file__ = first
        with open(first, "rb") as stream:
            code = compile(stream.read(), first, "exec")
        exec(code, main.__dict__)


if __name__ == "__main__":
    _control = socket.socket(fileno=int(sys.argv[1]))
    _setup = json.loads(_control.recv(_BYTES))
    _names = _import_all(_setup["environment"], _setup["modules"])
    gc.freeze()
    _control.send(json.dumps(_names).encode())
    _request, _streams = _serve(_control)
    _become(_request, _streams)
    _run(_request["arguments"])
