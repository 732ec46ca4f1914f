"""Ends processes with everything they started, and holds signals back meanwhile."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

# What ends a command: Ctrl-C, `kill`, a terminal that is closed.
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def hold_signals() -> Iterator[Sequence[int]]:
    """Put off what would end this process until the block is done; yields what has come so far.

    An exception out of a signal handler, between the start of a process and the
    line that remembers it, would leave it running forever. Python handles signals
    in the main thread only, so that others have nothing to put off. A signal that is ignored
    stays so: processes that start meanwhile inherit that, as under `nohup`.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def remember(number: int, frame: FrameType | None) -> None:
        del frame
        received.append(number)

    handlers = {
        number: signal.signal(number, remember)
        for number in ENDING_SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if received:
            signal.raise_signal(received[0])


def end_process(process: "subprocess.Popen[bytes]", *, patience: float) -> None:
    """End a process that has a session of its own, and what is left of its group.

    Args:
        process: The process; it may have ended already.
        patience: Seconds between SIGTERM and SIGKILL.
    """
    with hold_signals():
        if process.poll() is None:
            signal_group(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)
        signal_group(process, signal.SIGKILL)
        process.wait()


def signal_group(process: "subprocess.Popen[bytes]", number: int) -> None:
    """Send a signal to a process and its group; does nothing if they are gone."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
