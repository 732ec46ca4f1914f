"""The signals that end a process, with steps and without, in a process of its own."""

import signal
import subprocess
import sys

import pytest

CODE = """
import os, signal, sys
from zenml_vertex.steps.signals import interrupt_on_signals
number, has_steps, before = int(sys.argv[1]), sys.argv[2] == "steps", sys.argv[3]
if before == "ignored":
    signal.signal(number, signal.SIG_IGN)
elif before == "handled":
    signal.signal(number, lambda *_: print("the user's"))
interrupt_on_signals(lambda: has_steps)
try:
    os.kill(os.getpid(), number)
    print("goes on")
except KeyboardInterrupt as error:
    print(type(error).__name__)
"""


def _signal(number: int, has_steps: str = "steps", before: str = "default") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(number), has_steps, before],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_interrupts_a_process_that_has_steps(number: signal.Signals) -> None:
    """Each of the three acts like Ctrl-C, and is called by its name."""
    assert _signal(number) == (0, f"{number.name}\n")


def test_without_steps_a_signal_ends_the_process() -> None:
    """A process without steps ends at a SIGTERM as any other does."""
    assert _signal(signal.SIGTERM, "none") == (-signal.SIGTERM, "")


@pytest.mark.parametrize(("before", "said"), [("ignored", ""), ("handled", "the user's\n")])
def test_what_a_signal_did_before_stays(before: str, said: str) -> None:
    """`nohup` still keeps a process, and a handler of the user's still runs."""
    assert _signal(signal.SIGHUP, before=before) == (0, f"{said}goes on\n")
