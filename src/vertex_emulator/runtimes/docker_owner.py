"""Which emulator a container belongs to, so that another one can follow or remove it."""

import fcntl
import os
import socket
import time
from pathlib import Path

OWNER = "owner"
"""Name of the file in a container's folder that is locked by the emulator that follows it."""
_POLL_SECONDS = 0.05


def lock_owner(folder: Path, *, is_new: bool = False, seconds: float = 2.0) -> int:
    """Lock a container for this emulator.

    Args:
        folder: The container's own.
        is_new: Whether the container is about to be started.
        seconds: How long another emulator of this process may take to let go.

    Returns:
        A descriptor, which holds the lock until it is closed.

    Raises:
        FileNotFoundError: If the container is not new, and has never been locked.
        BlockingIOError: If another emulator follows it.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if is_new else 0)
    descriptor = os.open(folder / OWNER, flags, 0o600)
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return descriptor


def describe_owner() -> str:
    """Identifies this process, so that another one can tell whether it has ended."""
    return f"{_place()}/{os.getpid()}/{_read_start(os.getpid())}"


def is_gone(owner: str) -> bool:
    """Whether a process has ended; False where that cannot be told from here.

    Args:
        owner: What `describe_owner` returned in that process.
    """
    place, _, rest = owner.rpartition("/")
    place, _, pid = place.rpartition("/")
    return place == _place() and pid.isdigit() and _read_start(int(pid)) != rest


def _place() -> str:
    """Where a process ID is valid: a machine, and a namespace on it."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
    return f"{socket.gethostname()}/{namespace}"


def _read_start(pid: int) -> str:
    """When a process has started, in the kernel's ticks; empty if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]
