"""One poll at a time, in a thread, so that a caller waits for it only as long as it wants to."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context


class SingleFlight:
    """Runs a task in a thread, never twice at a time.

    Args:
        task: What to run.
    """

    def __init__(self, task: Callable[[], None]) -> None:
        self._task = task
        self._in_flight: Future[None] | None = None
        self._lock = threading.Lock()

    def run(self, patience: float) -> None:
        """Start the task and wait for it; returns at once if it is running already.

        Args:
            patience: Seconds to wait; 0 or more. The task goes on after that.

        Raises:
            Exception: What the task raised, now or in an earlier run that ended after
                its caller had stopped waiting.
        """
        with self._lock:
            if self._in_flight and not self._in_flight.done():
                return
            unheard, self._in_flight = self._in_flight, None
            if unheard:
                unheard.result()
            self._in_flight = future = Future[None]()
        # ZenML keeps the destination of log lines in the caller's context. The thread is a
        # daemon: nothing is lost with a poll that is cut off by the end of the process.
        threading.Thread(
            target=copy_context().run,
            args=[self._run, future],
            name="zenml-vertex-poll",
            daemon=True,
        ).start()
        done, _ = wait([future], patience)
        if done:
            with self._lock:
                # Another caller may have started the next run.
                if self._in_flight is future:
                    self._in_flight = None
            future.result()

    def _run(self, future: "Future[None]") -> None:
        try:
            self._task()
        except BaseException as error:  # noqa: BLE001 - it is raised where the caller waits
            future.set_exception(error)
        else:
            future.set_result(None)
