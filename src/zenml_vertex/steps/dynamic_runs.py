"""Waking ZenML's dynamic runner when a step has finished.

The runner asks for the statuses of its steps every 10 s, and starts what comes after a step only
then. Its pause is an event that it waits for; whoever sets it has the runner ask now. It is
not part of ZenML's interface: where it is missing, the runner asks when it would have anyway.
"""

import logging
import threading
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass

from zenml.execution.pipeline.dynamic.run_context import DynamicPipelineRunContext

from zenml_vertex.clock import Clock
from zenml_vertex.following.watcher import Watcher

logger = logging.getLogger(__name__)

# The runner looks at a step a moment after it was submitted, and forgets it some requests to the
# ZenML server after it has finished.
_AGAIN_SECONDS = 1.0
# A runner that has been left by an exception looks at nothing any more.
_MOST_WAKES = 60
_PAUSE_AFTER_ERROR_SECONDS = 10.0


def find_runner_event() -> threading.Event | None:
    """What wakes the dynamic runner of the current pipeline; None in a static one."""
    context = DynamicPipelineRunContext.get()
    event = getattr(context.runner, "_monitoring_event", None) if context else None
    return event if isinstance(event, threading.Event) else None


def run_in_thread(task: Callable[[], None]) -> None:
    """Run a task beside the pipeline; its log lines go where the caller's go."""
    context = copy_context()
    threading.Thread(
        target=context.run, args=[task], name="zenml-vertex-following", daemon=True
    ).start()


@dataclass(slots=True)
class _Awaited:
    """A step that a runner waits for."""

    event: threading.Event
    # How often the runner was woken since the step has finished.
    wakes: int = 0


class RunnerWaker:
    """Polls for the steps of dynamic pipelines between the runner's questions.

    One thread for each watcher, as long as it has steps of a dynamic pipeline.

    Args:
        clock: Where time comes from.
        run_in_background: Starts a task that ends by itself, or with the process.
    """

    def __init__(
        self,
        clock: Clock,
        run_in_background: Callable[[Callable[[], None]], None] = run_in_thread,
    ) -> None:
        self._clock = clock
        self._run_in_background = run_in_background
        # Watcher -> step runs.
        self._followed: dict[int, dict[str, _Awaited]] = {}
        self._lock = threading.Lock()

    def follow(self, watcher: Watcher, step_run_id: str) -> None:
        """Wake the runner of the current pipeline when a step has finished; none if it is static.

        Args:
            watcher: Watches the step's job.
            step_run_id: The step run.
        """
        event = find_runner_event()
        if event is None:
            return
        with self._lock:
            is_running = id(watcher) in self._followed
            self._followed.setdefault(id(watcher), {})[step_run_id] = _Awaited(event)
        if not is_running:
            self._run_in_background(lambda: self._run(watcher))

    def _run(self, watcher: Watcher) -> None:
        while awaited := self._choose(watcher):
            try:
                watcher.poll_if_due()
            except Exception as error:  # noqa: BLE001 - the runner's next question raises it
                logger.debug("Could not poll: %s", type(error).__name__)
                self._clock.sleep(_PAUSE_AFTER_ERROR_SECONDS)
                continue
            finished = [each for step, each in awaited.items() if watcher.has_finished(step)]
            for each in finished:
                each.wakes += 1
                each.event.set()
            pause = watcher.next_due - self._clock.monotonic()
            self._clock.sleep(_AGAIN_SECONDS if finished else max(0.0, pause))

    def _choose(self, watcher: Watcher) -> dict[str, _Awaited]:
        """The steps that the runner still has to look at."""
        with self._lock:
            awaited = {
                step: each
                for step, each in self._followed.pop(id(watcher)).items()
                if watcher.find(step) and each.wakes < _MOST_WAKES
            }
            if awaited:
                self._followed[id(watcher)] = awaited
            return dict(awaited)
