"""Runs a program of this machine as a server that ends with whoever started it.

`Server` runs functions of Python; a program that knows nothing of this package is
the child of such a function, which passes on what ends it.
"""

import signal
import subprocess
import sys
from types import FrameType


def main() -> None:
    """Run the command line, and end it at SIGTERM."""
    process = subprocess.Popen(sys.argv[1:])

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        process.terminate()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    status = process.wait()
    sys.exit(max(status, 0))
