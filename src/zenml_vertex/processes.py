"""This process, told from all others: on this machine, and everywhere else."""

import os
import platform
import secrets
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

_PROC = Path("/proc")
_MACHINE_ID = Path("/etc/machine-id")
# In a container, the machine's ID may be the image's. Linux numbers the table outside of all.
_OUTSIDE = "pid:[4026531836]"


@dataclass(frozen=True, slots=True)
class Process:
    """A process as others can recognize it."""

    # Random, so that no two processes have the same.
    client_id: str
    host: str
    pid: int
    # Which table of processes the number is from: the boot of the machine, and the container.
    # Empty where the system does not tell.
    table: str = ""
    # When it started, as its system counts; empty where it does not tell.
    started: str = ""
    # Hash of the machine's ID, which outlasts a boot; empty where there is none, or in a container.
    machine: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @property
    def fingerprint(self) -> str:
        """What fits this process only, and tells nothing of it."""
        return sha256(repr(astuple(self)).encode("utf-8", "replace")).hexdigest()[:32]

    def is_here(self) -> bool:
        """Whether its number is certainly from the table of processes that this process is in.

        Two machines can have the same name.
        """
        here = find_this_process()
        return bool(self.table) and (self.host, self.table) == (here.host, here.table)

    def is_of_earlier_boot(self) -> bool:
        """Whether this machine has started again since, which no process outlives."""
        here = find_this_process()
        is_same = bool(self.machine) and (self.host, self.machine) == (here.host, here.machine)
        return is_same and self.table != here.table

    def has_ended(self) -> bool:
        """Whether it has certainly ended; False, too, if that cannot be seen from here."""
        if os.name != "posix" or not self.is_here() or self.pid <= 0:
            return False
        try:
            # Asks only whether it exists.
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return True
        except PermissionError:
            # Another user's, which may be hidden in /proc.
            pass
        state, started = _read_stat(self.pid)
        if not started or not self.started:
            return False
        # A number is used again. One in state Z has ended, and its parent has not asked yet.
        return started != self.started or state in {"Z", "X"}


def find_this_process() -> Process:
    """The process that asks."""
    return _find(os.getpid())


# The argument, because a process that was forked is another one.
@lru_cache(maxsize=1)
def _find(pid: int) -> Process:
    table = machine = ""
    with suppress(OSError):
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = str((_PROC / "self/ns/pid").readlink())
        table = f"{boot} {namespace}"
        if namespace == _OUTSIDE:
            machine = _read_machine()
    return Process(
        client_id=secrets.token_hex(6),
        host=platform.node()[:253] or "unknown",
        pid=pid,
        table=table,
        started=_read_stat(pid)[1],
        machine=machine,
    )


def _read_machine() -> str:
    # Not the ID itself, which is for programs of this machine only, see machine-id(5).
    text = _MACHINE_ID.read_text().strip()
    return sha256(f"zenml-vertex {text}".encode()).hexdigest()[:32] if text else ""


def _read_stat(pid: int) -> tuple[str, str]:
    """State and start of a process on Linux; empty where they cannot be read."""
    with suppress(OSError, IndexError):
        # The name of the program comes before them, in parentheses, and may contain anything.
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[0], fields[19]
    return "", ""
