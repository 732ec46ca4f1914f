"""A Python that has imported modules and runs each program in a copy of itself.

Used as `python server.py DESCRIPTOR`, where the descriptor is its end of a pair of
sockets. The first message says what to import and with which environment; the answer is
the names of the variables that were read meanwhile. Each later message is a program
to run, with its connection and its standard streams.
"""

# ruff: noqa: PTH109, PTH120, PTH123 - what the copies need is `os` as it is for Python itself

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
from typing import Any, NoReturn

_BYTES = 1 << 20
# They go through all variables: for those that begin with FSSPEC_, and for a server of CGI.
_READ_ALL = ("fsspec", "wsgiref.handlers")


class _Recording(type(os.environ)):  # type: ignore[misc]
    """An environment that records which variables were read."""

    names: "set[str]" = set()  # noqa: RUF012 - the object's class is exchanged, it has no __init__

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return super().__getitem__(name)  # type: ignore[no-any-return]


def _import_all(environment: "dict[str, str]", modules: "list[str]") -> "list[str]":
    plain = type(os.environ)
    os.environ.update(environment)
    for name in _READ_ALL:
        import_module(name)
    os.environ.__class__ = _Recording
    for name in modules:
        import_module(name)
    os.environ.__class__ = plain
    return sorted(_Recording.names)


class _Programs:
    """The running copies.

    Args:
        control: The socket over which programs arrive.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._connections: dict[int, socket.socket] = {}
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)  # noqa: FBT003 - the standard library's signature
        signal.set_wakeup_fd(self._waker.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def serve(self) -> "tuple[dict[str, Any], list[int]]":
        """Start programs until the control socket is closed; return in the copies only."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._control:
                    text, files, _, _ = socket.recv_fds(self._control, _BYTES, 4)
                    if not text:
                        self._end()
                    if self._fork(*files):
                        return json.loads(text), files[1:]
                elif key.fileobj is self._woken:
                    self._woken.recv(_BYTES)
                    self._report()
                elif key.data in self._connections:
                    # The process that the program stands for is gone.
                    self._selector.unregister(key.fileobj)
                    _kill(key.data)

    def _fork(self, connection: int, *streams: int) -> bool:
        """Return whether this process is the copy."""
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._selector.close()
            for one in (self._control, self._woken, self._waker, *self._connections.values()):
                one.close()
            os.close(connection)
            return True
        for stream in streams:
            os.close(stream)
        self._connections[pid] = socket.socket(fileno=connection)
        self._selector.register(self._connections[pid], selectors.EVENT_READ, pid)
        with suppress(OSError):
            self._connections[pid].send(str(pid).encode())
        return False

    def _report(self) -> None:
        """Report the exit statuses of programs that have ended."""
        while self._connections:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            connection = self._connections.pop(pid)
            with suppress(KeyError):
                self._selector.unregister(connection)
            with suppress(OSError):
                connection.send(str(os.waitstatus_to_exitcode(status)).encode())
            connection.close()

    def _end(self) -> NoReturn:
        for pid in self._connections:
            _kill(pid)
        os._exit(0)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _become(request: "dict[str, Any]", streams: "list[int]") -> None:
    """Take on the state of a process that has just been started."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
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
        # What `python -m` itself calls.
        runpy._run_module_as_main(arguments[1])  # type: ignore[attr-defined]
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
    _request, _streams = _Programs(_control).serve()
    _become(_request, _streams)
    _run(_request["arguments"])
