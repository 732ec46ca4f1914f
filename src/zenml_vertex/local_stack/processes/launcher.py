"""Runs a function as a process that ends with the one that started it, however that ends.

Usage: `python -m zenml_vertex.local_stack.processes.launcher DESCRIPTOR MODULE:FUNCTION
[ARGUMENT ...]`.
The descriptor is the reading end of a pipe that nobody writes to: its end is the
end of the other process, also of one that was killed.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from types import FrameType

from zenml_vertex.installation import module_command

# https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
_PR_SET_PDEATHSIG = 1
# The target for a program that is not Python; its arguments are the command line.
RUN_PROGRAM = "zenml_vertex.local_stack.processes.launcher:run_program"


def build_command(descriptor: int, target: str, arguments: tuple[str, ...]) -> list[str]:
    """The command that runs a function.

    Args:
        descriptor: Reading end of the pipe; the new process inherits it.
        target: `module:function`; it takes no arguments and reads `sys.argv`.
        arguments: What it finds there.
    """
    return [*module_command(__name__), str(descriptor), target, *arguments]


def plan_end_with_parent(number: int) -> Callable[[], None] | None:
    """What a new process has to call before its program, to get a signal when this one ends.

    The program stays in the session and the process group of the terminal, which a shell needs
    for its jobs, and is nobody else's child. None where the kernel cannot do it.

    Args:
        number: The signal.
    """
    if sys.platform != "linux":
        return None
    parent, kernel = os.getpid(), ctypes.CDLL(None)

    def call() -> None:
        kernel.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os.kill(os.getpid(), number)

    return call


def main() -> None:
    """Run what the command line says."""
    descriptor, target, *arguments = sys.argv[1:]
    threading.Thread(target=_end_with_parent, args=[int(descriptor)], daemon=True).start()
    module, _, function = target.partition(":")
    sys.argv = [function, *arguments]
    getattr(import_module(module), function)()


def run_program() -> None:
    """Run a program as a child, and pass on to it what ends this process."""
    process = subprocess.Popen(sys.argv[1:])

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        process.terminate()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    status = process.wait()
    sys.exit(max(status, 0))


def _end_with_parent(descriptor: int) -> None:
    os.read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
