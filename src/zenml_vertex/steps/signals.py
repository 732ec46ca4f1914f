"""What ends a process ends its steps first, as Ctrl-C does.

ZenML handles SIGINT and SIGTERM while a step of a static pipeline runs, and nothing else: any
other signal would leave the jobs running and their step runs open. Its handler asks its server
before it interrupts anything. Python runs handlers in the main thread, where ZenML waits for a
pipeline, and lets no other thread set them.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from zenml.orchestrators.signal_handler import SignalHandler

# What Linux knows of the process, and its masks of signals that are caught and ignored.
_PROCESS_STATUS = Path("/proc/self/status")
_TAKEN = ("SigCgt:", "SigIgn:")

# `name_reason` shows the name of the class; ZenML takes each for a Ctrl-C.
_INTERRUPTIONS: dict[int, type[KeyboardInterrupt]] = {
    number: type(number.name, (KeyboardInterrupt,), {"__doc__": meaning, "__module__": __name__})
    for number, meaning in (
        (signal.SIGTERM, "The process was told to end."),
        (signal.SIGHUP, "Its terminal was closed, or the connection to it lost."),
        (signal.SIGQUIT, "Ctrl-\\ was pressed."),
    )
}


# The threads that are submitting steps, waiting for them or ending them.
_busy: list[threading.Thread] = []


@contextmanager
def busy() -> Iterator[None]:
    """Have signals interrupt this process while a step is submitted, waited for or ended."""
    _busy.append(threading.current_thread())
    try:
        yield
    finally:
        _busy.remove(threading.current_thread())


def is_busy() -> bool:
    """Whether a step is being submitted, waited for or ended in this process."""
    return bool(_busy)


def interrupt_on_signals(has_steps: Callable[[], bool]) -> None:
    """Have SIGTERM, SIGHUP and SIGQUIT interrupt the main thread while there are steps.

    Without steps they do what they did before. A signal that is ignored, as SIGHUP is under
    `nohup`, or that has a handler already, be it in C, keeps that. Outside the main thread this
    does nothing.

    Args:
        has_steps: Whether steps have been submitted that have not ended.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    process = os.getpid()

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        if os.getpid() == process and has_steps():
            raise _INTERRUPTIONS[number]
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    taken = _read_taken()
    for number in _INTERRUPTIONS:
        if number not in taken and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, handle)


def interrupt_at_once() -> None:
    """Have SIGINT and SIGTERM interrupt a step without asking the ZenML server first.

    ZenML's handler asks it why the step ends, and each further signal does so again inside the
    first: while the server hangs, no Ctrl-C gets through. Only that handler is replaced, until
    ZenML takes it away after the step, and what was there before it still runs.
    """
    replaced = _find_handlers_of_zenml()
    process = os.getpid()

    def handle(number: int, frame: FrameType | None) -> None:
        theirs = replaced[number]
        if os.getpid() != process:
            theirs._handle(number, frame)  # noqa: SLF001
            return
        before = theirs._previous.get(number)  # noqa: SLF001
        if callable(before):
            # It raises what it stands for, unless it is the user's.
            with suppress(Exception):
                before(number, frame)
        raise _INTERRUPTIONS.get(number, KeyboardInterrupt)

    for number in replaced:
        signal.signal(number, handle)


def _find_handlers_of_zenml() -> dict[int, SignalHandler]:
    """Signal -> what ZenML handles it with; empty outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    handlers = {
        number: getattr(signal.getsignal(number), "__self__", None)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    return {number: one for number, one in handlers.items() if isinstance(one, SignalHandler)}


def _read_taken() -> set[int]:
    """The signals that code beside Python catches or ignores, as `faulthandler.register` does.

    Python takes their handlers for the default. Where the system does not tell, that is
    assumed of SIGQUIT alone, the signal that is usual for it.
    """
    try:
        lines = _PROCESS_STATUS.read_text().splitlines()
        masks = [int(line.split()[1], 16) for line in lines if line.startswith(_TAKEN)]
    except (OSError, ValueError, IndexError):
        masks = []
    if not masks:
        return {signal.SIGQUIT}
    return {number for number in _INTERRUPTIONS if any(mask >> (number - 1) & 1 for mask in masks)}
