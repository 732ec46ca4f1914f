"""Runs one command, and keeps its output and exit status in files, whoever looks at them.

`python -I -S supervisor.py FOLDER MARKER HOLD`, with the command and its environment on
stdin. An emulator that is killed so leaves its containers as Vertex AI's control plane
would, and the next one finds them. It imports little: there is one for each container.

In FOLDER it keeps `started` (the process ID), `output` (pieces: `o` or `e`, four bytes of
length, data) and, at the end, `exit`: `exit STATUS`, or `error ERRNO` for a command that
cannot be started. HOLD is the descriptor of a locked file, which is locked for as long as
this process lives; `owner` is locked by the emulator that follows the container.
"""

# `pathlib`, `signal` and `contextlib` take longer to import than Python takes to start.
# ruff: noqa: PTH100, PTH104, PTH118, PTH120, SIM105

import fcntl
import os
import select
import sys
import time

# Without an emulator for so long, the container is ended.
AWAY_SECONDS = 3600.0
_LOOK_SECONDS = 2.0
# How long output may stay open after the exit until what else holds it is killed.
_LINGER_SECONDS = 0.05
_DRAIN_SECONDS = 2.0
_CHUNK = 65536
_SIGNAL_BASE = 128
_KILL = 9
# SIGPIPE and SIGXFSZ.
_IGNORED_BY_PYTHON = (13, 25)


class Supervisor:
    """The container of one start.

    Args:
        folder: Where its files are.
        marker: `NAME=VALUE` in the environment of its processes.
    """

    def __init__(self, folder: str, marker: str) -> None:
        self._folder = folder
        self._marker = marker
        self._streams: dict[int, bytes] = {}
        # Whether nobody will end what is left.
        self._is_given_up = False
        self._seen = self._looked = time.monotonic()
        os.set_blocking(1, False)

    def run(self, command: list[bytes], environment: list[bytes]) -> None:
        """Run the command to its end."""
        pairs = dict(item.split(b"=", 1) for item in environment)
        os.environ["PATH"] = os.fsdecode(pairs.get(b"PATH", b""))
        os.chdir(os.path.join(self._folder, "app"))
        output = os.open(
            os.path.join(self._folder, "output"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        ends = []
        for name in (b"o", b"e"):
            read, write = os.pipe()
            self._streams[read] = name
            ends.append(write)
        try:
            pid = os.posix_spawnp(
                command[0],
                command,
                pairs,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, ends[0], 1),
                    (os.POSIX_SPAWN_DUP2, ends[1], 2),
                ],
                setsid=True,
                setsigdef=_IGNORED_BY_PYTHON,
            )
        except OSError as error:
            self._keep("exit", f"error {error.errno}")
            return
        for end in ends:
            os.close(end)
        self._keep("started", str(pid))
        status = self._follow(pid, output)
        self._keep("exit", f"exit {status}")
        # Until here no other process could have its ID.
        os.waitpid(pid, 0)

    def _follow(self, pid: int, output: int) -> int:
        """Keep the output until the exit; the exit status, as a shell has it."""
        poll = select.poll()
        for stream in self._streams:
            poll.register(stream, select.POLLIN)
        # Where there is none, the process is looked at from time to time.
        pid_file = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
        if pid_file is not None:
            poll.register(pid_file, select.POLLIN)
        patience = _LOOK_SECONDS if pid_file is not None else _LINGER_SECONDS
        while True:
            self._copy_all(poll, output, patience)
            end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if end is not None:
                break
            self._look(pid)
        if pid_file is not None:
            poll.unregister(pid_file)
        try:
            os.killpg(pid, _KILL)
        except (ProcessLookupError, PermissionError):
            pass
        self._drain(poll, output)
        if self._streams or self._is_given_up:
            self._clear(pid)
            self._drain(poll, output)
        is_plain = end.si_code == os.CLD_EXITED
        return int(end.si_status) + (0 if is_plain else _SIGNAL_BASE)

    def _drain(self, poll: "select.poll", output: int) -> None:
        """Keep what comes until the end of output, or until nothing comes any more."""
        begin = time.monotonic()
        while self._streams and time.monotonic() - begin < _DRAIN_SECONDS:
            if not self._copy_all(poll, output, _LINGER_SECONDS):
                break

    def _copy_all(self, poll: "select.poll", output: int, seconds: float) -> bool:
        """Keep what there is, after a wait for it; whether there was some."""
        ready = poll.poll(1000 * seconds)
        for stream, _ in ready:
            if stream in self._streams and not self._copy(stream, output):
                poll.unregister(stream)
        return bool(ready)

    def _clear(self, pid: int) -> None:
        """Kill what the container has left in the background: it ends with its first process."""
        sys.path.append(os.path.dirname(os.path.abspath(__file__)))
        import process_tree  # type: ignore[import-not-found]

        process_tree.end_tree(self._marker, pid)

    def _copy(self, stream: int, output: int) -> bool:
        """Keep a piece of output; whether there can be more."""
        data = os.read(stream, _CHUNK)
        if not data:
            del self._streams[stream]
            return False
        piece = self._streams[stream] + len(data).to_bytes(4, "big") + data
        written = 0
        try:
            written = os.write(output, piece)
        except OSError:
            pass
        if 0 < written < len(piece):
            os.ftruncate(output, os.fstat(output).st_size - written)
        if written == len(piece):
            self._tell(b".")
        else:
            self._hand_over(b"!" + piece)
        return True

    @staticmethod
    def _hand_over(data: bytes) -> None:
        """Pass output that does not fit on the disk to the emulator; without one, it is lost."""
        os.set_blocking(1, True)
        try:
            while data:
                data = data[os.write(1, data) :]
        except OSError:
            pass
        os.set_blocking(1, False)

    def _look(self, pid: int) -> None:
        """End the container if its folder has gone, or if no emulator has come for long."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        try:
            owner = os.open(os.path.join(self._folder, "owner"), os.O_RDONLY)
        except OSError:
            self._give_up(pid)
            return
        try:
            fcntl.flock(owner, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            self._seen = now
        finally:
            os.close(owner)
        if now - self._seen > AWAY_SECONDS:
            self._give_up(pid)

    def _give_up(self, pid: int) -> None:
        self._is_given_up = True
        os.kill(pid, _KILL)

    def _keep(self, name: str, text: str) -> None:
        """Write a file as a whole, and tell the emulator that started this, if it is there."""
        path = os.path.join(self._folder, name)
        try:
            descriptor = os.open(f"{path}.draft", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            data = text.encode()
            is_whole = os.write(descriptor, data) == len(data)
            os.close(descriptor)
            if is_whole:
                os.rename(f"{path}.draft", path)
        except OSError:
            pass
        self._tell(f"{name}:{text}\n".encode())

    def _tell(self, data: bytes) -> None:
        # Nobody has to read it: a pipe that is full or broken is as good.
        try:
            os.write(1, data)
        except OSError:
            pass


def main() -> None:
    """Run what stdin describes; nothing, where its writer has died before the end."""
    folder, marker, hold = sys.argv[1:]
    os.set_inheritable(int(hold), False)  # noqa: FBT003 - it takes no keywords
    size, _, body = sys.stdin.buffer.read().partition(b"\n")
    if not size or int(size) != len(body):
        return
    count, *fields = body.split(b"\0")
    Supervisor(folder, marker).run(fields[: int(count)], fields[int(count) :])


if __name__ == "__main__":
    main()
