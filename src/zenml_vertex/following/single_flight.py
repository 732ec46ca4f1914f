"""A look that takes long goes on without whoever has asked for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context


class Looking:
    """Looks in a thread, one look at a time, so that nobody has to wait for its end.

    Args:
        look: Looks.
    """

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._under_way: Future[None] | None = None
        self._lock = threading.Lock()

    def begin(self, patience: float) -> None:
        """Begin a look and wait for it, unless one is under way.

        Args:
            patience: Seconds to wait. The look goes on after that.

        Raises:
            Exception: What this look has raised, or one that nobody waited for any more.
        """
        with self._lock:
            if self._under_way and not self._under_way.done():
                return
            unheard, self._under_way = self._under_way, None
            if unheard:
                unheard.result()
            self._under_way = future = Future[None]()
        # ZenML finds where log lines go in the context of the caller. Nothing is lost
        # with a look that the process's end cuts off.
        threading.Thread(
            target=copy_context().run,
            args=[self._run, future],
            name="zenml-vertex-look",
            daemon=True,
        ).start()
        done, _ = wait([future], patience)
        if done:
            with self._lock:
                # Somebody else may have begun the next one.
                if self._under_way is future:
                    self._under_way = None
            future.result()

    def _run(self, future: "Future[None]") -> None:
        try:
            self._look()
        except BaseException as error:  # noqa: BLE001 - it is raised where it can be heard
            future.set_exception(error)
        else:
            future.set_result(None)
