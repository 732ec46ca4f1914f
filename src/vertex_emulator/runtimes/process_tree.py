"""Finds and kills all processes of a job.

A process belongs to a job if it is in the job's session, descends from one that
is, or has the job's ID in its environment, which it inherits however far it goes.
The last two need Linux's /proc; elsewhere only the group of the first process is
killed.

`python process_tree.py NAME=VALUE SESSION` kills the processes of a job.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
# How long a killed process may take to be gone; the kernel needs milliseconds.
_GONE_SECONDS = 10.0
_POLL_SECONDS = 0.01
_STATE, _PARENT, _SESSION = 0, 1, 3


def find_members(marker: str, session: int | None) -> set[int]:
    """The live processes of a job.

    Args:
        marker: `NAME=VALUE` of the environment that only this job's processes have.
        session: Session of the job's first process; None where it is not known.
    """
    stats = {pid: stat for pid in _list_pids() if (stat := _read_stat(pid))}
    live = {pid: stat for pid, stat in stats.items() if stat[_STATE] not in {"Z", "X"}}
    members = {
        pid
        for pid, stat in live.items()
        if (session is not None and int(stat[_SESSION]) == session) or _is_marked(pid, marker)
    }
    grown = True
    while grown:
        children = {pid for pid, stat in live.items() if int(stat[_PARENT]) in members}
        grown = not children <= members
        members |= children
    return members - {os.getpid()}


def end_tree(marker: str, session: int | None) -> None:
    """Kill every process of a job, and return when they are gone.

    Args:
        marker: As in `find_members`.
        session: As in `find_members`.
    """
    deadline = time.monotonic() + _GONE_SECONDS
    if session is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(session, signal.SIGKILL)
    while members := find_members(marker, session):
        signal_all(members, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(_POLL_SECONDS)


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to processes, except those that have ended."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _list_pids() -> list[int]:
    with suppress(OSError):
        return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    return []


def _read_stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, group, session."""
    with suppress(OSError):
        text = (_PROC / str(pid) / "stat").read_text("utf-8", "replace")
        return text.rpartition(")")[2].split()
    return []


def _is_marked(pid: int, marker: str) -> bool:
    with suppress(OSError):
        environment = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
        return marker.encode() in environment
    return False


if __name__ == "__main__":
    end_tree(sys.argv[1], int(sys.argv[2]))
