"""The signals that end a process, with steps and without, in a process of its own."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import faulthandler, os, pathlib, signal, sys
from zenml_vertex.steps import signals
from zenml_vertex.steps.signals import interrupt_on_signals
number, has_steps, before = int(sys.argv[1]), sys.argv[2] == "steps", sys.argv[3]
if before == "ignored":
    signal.signal(number, signal.SIG_IGN)
elif before == "handled":
    signal.signal(number, lambda *_: print("the user's"))
elif before == "dumping":
    faulthandler.register(number, file=sys.__stderr__)
elif before == "unknown":
    signals._PROCESS_STATUS = pathlib.Path("/nowhere")
interrupt_on_signals(lambda: has_steps)
try:
    os.kill(os.getpid(), number)
    print("goes on")
except KeyboardInterrupt as error:
    print(type(error).__name__)
"""

STATIC = """
import os, signal, sys, threading
from zenml.client import Client
from zenml.orchestrators.signal_handler import SignalHandler
from zenml_vertex.following.progress import StepLog, name_reason
from zenml_vertex.steps.interruptions import stopping_when_interrupted
number, before = int(sys.argv[1]), sys.argv[2]

def hang(*_, **__):
    print("asks the server", flush=True)
    os._exit(3)

class Server:
    def stop(self, *_):
        print("stops the step")
        return "stopped"

class StepRun:
    id = pipeline_run_id = name = "train"

Client.get_pipeline_run = hang
if before == "ignored":
    signal.signal(number, signal.SIG_IGN)
elif before == "handled":
    signal.signal(number, lambda *_: print("the user's"))
first = signal.getsignal(number)
with SignalHandler(StepRun(), None):
    try:
        with stopping_when_interrupted(Server(), "step", StepLog("train")):
            try:
                os.kill(os.getpid(), number)
            except KeyboardInterrupt:
                os.kill(os.getpid(), number)
    except Exception as error:
        print(error)
assert signal.getsignal(number) is first
"""


@pytest.mark.parametrize(
    ("number", "name", "before", "said"),
    [
        (signal.SIGINT, "Ctrl-C", "default", ""),
        (signal.SIGINT, "Ctrl-C", "ignored", ""),
        (signal.SIGTERM, "SIGTERM", "handled", "the user's\n" * 2),
    ],
)
def test_a_static_step_is_interrupted_while_the_zenml_server_hangs(
    number: signal.Signals, name: str, before: str, said: str
) -> None:
    """A second signal gets through as the first did, and the reason names it.

    ZenML's own handler asks its server first. It also took a Ctrl-C that a script's `&` had
    ignored for a SIGTERM.
    """
    done = subprocess.run(
        [sys.executable, "-c", STATIC, str(number), before],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{said}stops the step\nThe step was interrupted ({name}).\n"


def _signal(number: int, has_steps: str = "steps", before: str = "default") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(number), has_steps, before],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        signal.SIGHUP,
        pytest.param(
            signal.SIGQUIT,
            marks=pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux"),
        ),
    ],
)
def test_a_signal_interrupts_a_process_that_has_steps(number: signal.Signals) -> None:
    """Each of the three acts like Ctrl-C, and is called by its name."""
    assert _signal(number) == (0, f"{number.name}\n")


def test_without_steps_a_signal_ends_the_process() -> None:
    """A process without steps ends at a SIGTERM as any other does."""
    assert _signal(signal.SIGTERM, "none") == (-signal.SIGTERM, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_a_handler_in_c_stays(number: signal.Signals) -> None:
    """`faulthandler.register` still prints the stacks, though Python knows no handler."""
    assert _signal(number, before="dumping") == (0, "goes on\n")


@pytest.mark.parametrize(
    ("number", "ends"),
    [(signal.SIGQUIT, (-signal.SIGQUIT, "")), (signal.SIGTERM, (0, "SIGTERM\n"))],
)
def test_where_the_system_does_not_tell_sigquit_keeps_what_it_has(
    number: signal.Signals, ends: tuple[int, str]
) -> None:
    """On a system without `/proc`, SIGQUIT is left alone; SIGTERM interrupts all the same."""
    assert _signal(number, before="unknown") == ends


@pytest.mark.parametrize(("before", "said"), [("ignored", ""), ("handled", "the user's\n")])
def test_what_a_signal_did_before_stays(before: str, said: str) -> None:
    """`nohup` still keeps a process, and a handler of the user's still runs."""
    assert _signal(signal.SIGHUP, before=before) == (0, f"{said}goes on\n")
