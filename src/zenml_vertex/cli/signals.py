"""Commands that a signal ends: they clean up, and exit with the status that shells expect."""

import signal
import sys
from types import FrameType

# Shells report a process that a signal has ended as 128 + its number.
SIGNAL_BASE = 128
INTERRUPTED = SIGNAL_BASE + signal.SIGINT


def exit_cleanly_on_signals() -> None:
    """Turn SIGTERM and SIGHUP into a SystemExit, so that everything is cleaned up on the way."""
    for number in ending_signals():
        signal.signal(number, _exit)


def ending_signals() -> list[signal.Signals]:
    """SIGTERM, and SIGHUP unless `nohup` has told the command to outlive its terminal."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


def _exit(number: int, frame: FrameType | None) -> None:
    del frame
    sys.exit(SIGNAL_BASE + number)
