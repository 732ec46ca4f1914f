"""Ends a container that is still running after its step finished.

Threads that a step has left running, and exit handlers that hang, keep a Python process
alive. The step's result is known by then, and the machine costs money.
"""

import os
import threading

# How long the process may run after the step, in seconds; set on the job.
LINGERING_VARIABLE = "ZENML_VERTEX_LINGERING_SECONDS"


def end_process_later(status: int) -> None:
    """End this process after the time that the job allows, unless it has ended by then.

    Args:
        status: Exit status.
    """
    seconds = os.environ.get(LINGERING_VARIABLE, "")
    if not seconds.isdecimal():
        return
    interval = min(float(seconds), threading.TIMEOUT_MAX)
    timer = threading.Timer(interval, os._exit, args=[status])
    timer.daemon = True
    timer.start()
