"""Calls that are not waited for longer than a moment, however long they hang."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")


class TooSlow(Exception):
    """A call has not returned in time; it goes on as long as the process lives."""


def call_briefly(call: Callable[[], T], seconds: float) -> T:
    """What a call returns.

    Args:
        call: Is run in a thread.
        seconds: How long to wait for it.

    Raises:
        TooSlow: If it takes longer.
        BaseException: What the call raised.
    """
    future = Future[T]()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where the caller waits
            future.set_exception(error)

    thread = threading.Thread(
        target=copy_context().run, args=[run], name="zenml-vertex-brief", daemon=True
    )
    try:
        thread.start()
    except RuntimeError:
        # Some releases of Python 3.12 start no thread at the end of the process.
        return call()
    if not wait([future], seconds).done:
        raise TooSlow(f"no answer within {seconds:.0f} s")
    return future.result()
