"""A process that goes on after its step is ended, whatever it is doing."""

import os
import subprocess
import sys

import pytest

from zenml_vertex.container.exit_timer import LINGERING_VARIABLE

_SCRIPT = """
import os, re, threading, time
from zenml_vertex.container import exit_timer
exit_timer.STUCK_SECONDS = 1.0
exit_timer.end_process_later({status}, os.environ)
{rest}
"""
_IN_C = 're.match("(a+)+$", "a" * 40 + "b")'
_IN_A_THREAD = "threading.Thread(target=time.sleep, args=[3600]).start()"


def end(status: int, rest: str, seconds: str) -> int:
    """The exit status of a process that goes on with `rest` after its step."""
    return subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(status=status, rest=rest)],
        env={**os.environ, LINGERING_VARIABLE: seconds},
        timeout=30,
        check=False,
    ).returncode


@pytest.mark.parametrize("status", [0, 3])
def test_a_thread_of_the_step_does_not_keep_its_process(status: int) -> None:
    """The process ends with the status that the step has given it."""
    assert end(status, _IN_A_THREAD, "0") == status


def test_c_code_that_keeps_the_gil_does_not_keep_its_process() -> None:
    """No thread of Python gets to run, and the process ends nevertheless."""
    assert end(1, _IN_C, "1") == 1


def test_a_process_that_ends_in_time_is_left_alone() -> None:
    """Nothing is left of the timer, however long it is."""
    assert end(1, "", "9" * 30) == 0
