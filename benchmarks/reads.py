"""Reads of the API by one process, however many steps wait in it."""

from benchmarks.simulated_vertex import MINUTE, PARENT, Ground, count_by_minute, open_ground
from zenml_vertex.following.watcher import Watcher


class _TimeIsUpError(Exception):
    """The watcher would wait on."""


class _Until:
    """A ground's time that ends; implements `following.protocols.Clock`."""

    def __init__(self, ground: Ground, end: float) -> None:
        self._ground = ground
        self._end = end

    def monotonic(self) -> float:
        return self._ground.monotonic()

    def sleep(self, seconds: float) -> None:
        if self._ground.monotonic() + seconds >= self._end:
            raise _TimeIsUpError
        self._ground.sleep(seconds)


def count_reads(steps: int, minutes: int) -> list[int]:
    """Let one process wait for steps whose jobs run on.

    Args:
        steps: How many; their jobs are created at one time.
        minutes: How long they wait.

    Returns:
        Reads in each minute.
    """
    with open_ground() as ground:
        clock = _Until(ground, minutes * MINUTE)
        watcher = Watcher(ground.jobs, ground.step_runs, clock, PARENT)
        followers = [ground.submit(number) for number in range(steps)]
        for follower in followers:
            watcher.follow(follower)
        try:
            watcher.wait(followers[0].step_run_id)
        except _TimeIsUpError:
            return count_by_minute(ground.list_reads(), minutes)
        raise RuntimeError("The watcher did not wait.")
