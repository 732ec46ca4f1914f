"""Ends a container that is still running after its step finished.

Threads that a step has left running, and exit handlers that hang, keep a Python process
alive. The step's result is known by then, and the machine costs money.
"""

import faulthandler
import os
import threading
from collections.abc import Mapping

# How long the process may run after the step, in seconds; set on the job.
LINGERING_VARIABLE = "ZENML_VERTEX_LINGERING_SECONDS"
# How much longer if no Python thread gets to run: C code may keep the GIL to itself.
STUCK_SECONDS = 5.0


def end_process_later(status: int, environment: Mapping[str, str]) -> None:
    """End this process after the time that the job allows, unless it has ended by then.

    Args:
        status: Exit status; a process that is stuck in C code ends with 1.
        environment: Environment variables of the container.
    """
    seconds = environment.get(LINGERING_VARIABLE, "")
    if not seconds.isdecimal():
        return
    interval = min(float(seconds), threading.TIMEOUT_MAX)
    timer = threading.Timer(interval, os._exit, args=[status])
    timer.daemon = True
    timer.start()
    # A thread of C code, which ends the process with status 1. It replaces what the step's code
    # may have had it do. What it writes is dropped: a write to a full pipe would hang too.
    faulthandler.dump_traceback_later(
        min(interval + STUCK_SECONDS, threading.TIMEOUT_MAX),
        exit=True,
        file=os.open(os.devnull, os.O_WRONLY),
    )
