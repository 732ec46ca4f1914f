"""Another user of this machine, for tests that attack."""

import ctypes
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not sys.platform.startswith("linux"),
    reason="only root can act as another user, and only Linux tells whose a connection is",
)
"""Marks a test that acts as `NOBODY`."""


@contextmanager
def as_nobody() -> Iterator[None]:
    """Let this thread make sockets and files as `NOBODY`; the process and its uid stay as they are.

    https://man7.org/linux/man-pages/man2/setfsuid.2.html
    """
    change = ctypes.CDLL(None).setfsuid
    change(NOBODY)
    # It reports no failure; a second call tells what is so.
    assert change(NOBODY) == NOBODY
    try:
        yield
    finally:
        change(os.geteuid())


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """A folder that every user can reach, unlike pytest's, and only its owner can write to."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder
