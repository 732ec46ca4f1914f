"""Which emulator a container belongs to, so that another one can remove what a dead one left."""

import os
import socket
from pathlib import Path


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
