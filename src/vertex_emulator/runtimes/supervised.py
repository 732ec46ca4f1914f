"""Starts and follows containers that a supervisor keeps while no emulator is there."""

import fcntl
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from vertex_emulator.runtimes import supervisor
from vertex_emulator.runtimes.contract import (
    Adopted,
    Container,
    DisownedError,
    Exit,
    NeverStarted,
    OutputSink,
    Replica,
)
from vertex_emulator.runtimes.markers import mark_replica
from vertex_emulator.runtimes.output import OutputLines
from vertex_emulator.runtimes.process_tree import end_tree, find_members, signal_all

_FILES = ("hold", "owner", "started", "started.draft", "output", "exit", "exit.draft")
_STREAMS = {b"o": "stdout", b"e": "stderr"}
_HEAD_BYTES = 5
_CHUNK = 1 << 20
_WAKE_SECONDS = 0.5
_POLL_SECONDS = 0.05
# How long another emulator of this process may take to let go, and a supervisor to begin.
_OWNER_SECONDS, _BEGIN_SECONDS = 2.0, 10.0


class SupervisorLostError(Exception):
    """A supervisor has ended without an exit status; the message says so."""


def start_supervised(
    container: Container,
    command: list[str],
    environment: Mapping[str, str],
    sink: OutputSink,
    grace: float,
) -> Replica:
    """Start a command under a supervisor of its own.

    Args:
        container: What it belongs to.
        command: Program and arguments.
        environment: All of its variables.
        sink: Takes its output.
        grace: Seconds between SIGTERM and SIGKILL.
    """
    program = container.command[0]
    variables = [f"{name}={value}" for name, value in environment.items()]
    if any("\0" in text for text in (*command, *variables)):
        return NeverStarted(describe_start_error(ValueError("embedded null byte"), program))
    folder = container.folder.absolute()
    marker = mark_replica(container)
    owner = _lock(folder / "owner", os.O_CREAT)
    # Inherited by the supervisor: it is locked from before its start to its end.
    hold = _lock(folder / "hold", os.O_CREAT)
    if owner is None or hold is None:
        raise BlockingIOError(f"{folder} is in use")
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__, str(folder), marker, str(hold)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            pass_fds=(hold,),
            start_new_session=True,
        )
    except BaseException:
        os.close(owner)
        raise
    finally:
        os.close(hold)
    fields = [str(len(command)), *command, *variables]
    body = b"\0".join(os.fsencode(field) for field in fields)
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    with suppress(BrokenPipeError), process.stdin as stream:
        stream.write(b"%d\n%s" % (len(body), body))
    first = _read_first(process)
    if first.startswith("exit:error "):
        _reap(process)
        os.close(owner)
        return NeverStarted(describe_start_error(_error_of(first), program))
    pid = int(first.removeprefix("started:")) if first.startswith("started:") else None
    return _Supervised(_Place(folder, marker, owner), sink, grace, pid, process)


def adopt_supervised(container: Container, sink: OutputSink, grace: float) -> Adopted | None:
    """Follow a container whose emulator has gone; None if nothing is known of it.

    Args:
        container: What was started.
        sink: Takes its output from the beginning.
        grace: As for `start_supervised`.
    """
    folder = container.folder.absolute()
    deadline = time.monotonic() + _OWNER_SECONDS
    try:
        while (owner := _lock(folder / "owner", 0)) is None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
    except FileNotFoundError:
        return None
    if owner is None:
        return None
    deadline = time.monotonic() + _BEGIN_SECONDS
    while True:
        is_over = _is_over(folder)
        started, end = _read(folder / "started"), _read(folder / "exit")
        if end or is_over or started.isdigit() or time.monotonic() > deadline:
            break
        time.sleep(_POLL_SECONDS)
    if end.startswith("error "):
        os.close(owner)
        never = NeverStarted(describe_start_error(_error_of(end), container.command[0]))
        return Adopted(never, has_ended=True)
    if is_over and not end.startswith("exit "):
        os.close(owner)
        return None
    # The supervisor reaps it last: until then, no other process can have its ID.
    pid = int(started) if started.isdigit() and not is_over else None
    marker = mark_replica(container)
    replica = _Supervised(_Place(folder, marker, owner), sink, grace, pid, None)
    return Adopted(replica, has_ended=bool(end))


def remove_files(folder: Path) -> None:
    """Remove what a supervisor keeps of a container: its output may hold secrets."""
    for name in _FILES:
        with suppress(OSError):
            (folder / name).unlink()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a container is: its folder, the mark of its processes, and its emulator's lock."""

    folder: Path
    marker: str
    owner: int


class _Supervised:
    def __init__(
        self,
        place: "_Place",
        sink: OutputSink,
        grace: float,
        pid: int | None,
        process: "subprocess.Popen[bytes] | None",
    ) -> None:
        self._folder, self._marker = place.folder, place.marker
        self._lines = OutputLines(sink)
        self._grace = grace
        self._owner: int | None = place.owner
        self._pid = pid
        # Of a supervisor that this process has started.
        self._process = process
        self._told = b""
        self._is_disowned = False
        self._has_exited = False
        self._killer: threading.Timer | None = None
        self._end: Exit | Exception | None = None
        self._lock = threading.Lock()
        self._follower = threading.Thread(target=self._follow, daemon=True)
        self._follower.start()

    def wait(self) -> Exit:
        self._follower.join()
        if self._killer:
            self._killer.join()
        if isinstance(self._end, Exit):
            return self._end
        raise self._end or SupervisorLostError(f"the container of {self._marker} is lost")

    def terminate(self) -> None:
        with self._lock:
            if self._has_exited or self._killer or not self._take_back():
                return
            self._killer = threading.Timer(self._grace, self.kill)
            self._killer.start()
        signal_all(find_members(self._marker, self._pid), signal.SIGTERM)

    def kill(self) -> None:
        with self._lock:
            if self._has_exited or not self._take_back() or self._pid is None:
                return
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def abandon(self) -> None:
        with self._lock:
            self._release()

    def _take_back(self) -> bool:
        """Own a container again that was abandoned, unless another emulator has taken it."""
        if self._owner is None:
            with suppress(OSError):
                self._owner = _lock(self._folder / "owner", 0)
            self._is_disowned = self._owner is None
        return self._owner is not None

    def _release(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            os.close(owner)

    def _follow(self) -> None:
        try:
            self._end = self._run()
        except Exception as error:  # noqa: BLE001 - `wait` raises it
            self._end = error
        finally:
            with self._lock:
                self._has_exited = True
                if self._killer:
                    self._killer.cancel()
                self._release()

    def _run(self) -> Exit:
        with closing(_OutputFile(self._folder / "output")) as output:
            while True:
                is_over = self._is_over()
                if is_over and self._process:
                    self._told += _reap(self._process)
                self._take_told(output)
                if self._owner is not None:
                    output.feed(self._lines)
                if self._is_disowned:
                    self._leave()
                    raise DisownedError(self._marker)
                if is_over:
                    break
                self._pause()
        with self._lock:
            self._has_exited = True
            is_owned = self._owner is not None
        if is_owned:
            self._lines.finish()
            # A container ends when its first process exits, whatever else runs in it.
            end_tree(self._marker, self._pid)
        return self._find_exit()

    def _find_exit(self) -> Exit:
        told = self._told.decode("ascii", "replace").rpartition("exit:")[2]
        for text in (told, _read(self._folder / "exit")):
            word, _, number = text.strip().partition(" ")
            if word == "exit" and number.isdigit():
                return Exit(int(number))
        raise SupervisorLostError(f"the supervisor of {self._marker} ended without an exit status")

    def _is_over(self) -> bool:
        return self._process.poll() is not None if self._process else _is_over(self._folder)

    def _pause(self) -> None:
        """Wait until there may be more output, or an exit."""
        if self._process is None:
            time.sleep(_POLL_SECONDS)
            return
        stream = self._process.stdout
        assert stream is not None  # noqa: S101 - it is a pipe
        if select.select([stream], [], [], _WAKE_SECONDS)[0]:
            told = os.read(stream.fileno(), _CHUNK)
            self._told += told
            if not told:
                self._process.wait()

    def _take_told(self, output: "_OutputFile") -> None:
        """Take the pieces of output that the disk had no room for; what follows is kept."""
        self._told = self._told.lstrip(b".")
        while self._told.startswith(b"!") and len(self._told) > _HEAD_BYTES:
            size = int.from_bytes(self._told[2 : 1 + _HEAD_BYTES], "big")
            end = 1 + _HEAD_BYTES + size
            if len(self._told) < end:
                return
            if self._owner is not None:
                output.feed(self._lines)
                self._lines.feed(_STREAMS[self._told[1:2]], self._told[1 + _HEAD_BYTES : end])
            self._told = self._told[end:].lstrip(b".")

    def _leave(self) -> None:
        """Let another emulator have it; what is this process's child is still reaped."""
        if self._process and self._process.poll() is None:
            threading.Thread(target=_reap, args=(self._process,), daemon=True).start()


class _OutputFile:
    """Reads the pieces of an output file as they come."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stream: IO[bytes] | None = None
        self._begin = 0

    def feed(self, lines: OutputLines) -> None:
        """Take all pieces that are whole by now; half a one may still be taken back."""
        if self._stream is None:
            with suppress(FileNotFoundError):
                self._stream = self._file.open("rb", buffering=0)
        at = -1 if self._stream else 0
        while at and self._stream:
            data = os.pread(self._stream.fileno(), _CHUNK, self._begin)
            at = 0
            while len(data) - at >= _HEAD_BYTES:
                end = at + _HEAD_BYTES + int.from_bytes(data[at + 1 : at + _HEAD_BYTES], "big")
                if end > len(data):
                    break
                lines.feed(_STREAMS[data[at : at + 1]], data[at + _HEAD_BYTES : end])
                at = end
            self._begin += at

    def close(self) -> None:
        if self._stream:
            self._stream.close()


def _is_over(folder: Path) -> bool:
    """Whether the supervisor of a container has ended."""
    try:
        hold = _lock(folder / "hold", 0)
    except OSError:
        return True
    if hold is not None:
        os.close(hold)
    return hold is not None


def _lock(file: Path, flags: int) -> int | None:
    """Lock a file, and return its descriptor; None if it is locked."""
    descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _read(file: Path) -> str:
    with suppress(OSError):
        return file.read_text("ascii", "replace")
    return ""


def _read_first(process: "subprocess.Popen[bytes]") -> str:
    """The first line of what a supervisor tells; bytes, since more may follow it at once."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(process.stdout.fileno(), 1)):
        line += byte
    return line.decode().strip()


def _reap(process: "subprocess.Popen[bytes]") -> bytes:
    """Wait for a supervisor, and return what it has still told."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    with process.stdout as stream:
        told = stream.read()
    process.wait()
    return told


def _error_of(text: str) -> OSError:
    number = text.rpartition(" ")[2]
    code = int(number) if number.isdigit() else 0
    return OSError(code, os.strerror(code))


def describe_start_error(error: Exception, program: str) -> str:
    """Why a command could not be started, in containerd's words."""
    if isinstance(error, FileNotFoundError):
        reason = "executable file not found in $PATH"
    else:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        reason = reason.lower()
    return (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
        f'runc create failed: unable to start container process: exec: "{program}": {reason}: '
        "unknown"
    )
