"""A process for each step: many watchers that know nothing of each other, on one clock."""

import heapq
import random
from collections.abc import Sequence

from benchmarks.simulated_vertex import MINUTE, PARENT, Ground, count_by_minute
from zenml_vertex.following.watcher import Watcher

# Vertex AI takes 60 creations a minute in a project and region
# (https://cloud.google.com/vertex-ai/docs/quotas).
CREATIONS_PER_MINUTE = 60


def run_crowd(ground: Ground, steps: int, minutes: int, *, seed: int = 1) -> list[int]:
    """Let each step's process wait, from its job's creation on.

    Args:
        ground: The emulator, without jobs.
        steps: How many; their jobs are created as fast as the quota allows.
        minutes: From the first creation to the end.
        seed: Of the processes' jitter.

    Returns:
        Reads of jobs in each minute.
    """
    draw = random.Random(seed)
    pause = MINUTE / CREATIONS_PER_MINUTE
    watchers: list[tuple[Watcher, str]] = []
    due = [(0.0, -1)]
    while due[0][0] < minutes * MINUTE:
        moment, number = heapq.heappop(due)
        ground.sleep_until(moment)
        if number < 0:
            follower = ground.submit(len(watchers))
            watcher = Watcher(ground.jobs, ground.step_runs, ground, PARENT, draw=draw.random)
            watcher.follow(follower)
            number = len(watchers)
            watchers.append((watcher, follower.step_run_id))
            if len(watchers) < steps:
                heapq.heappush(due, (moment + pause, -1))
        watcher, step_run_id = watchers[number]
        watcher.poll(step_run_id)
        heapq.heappush(due, (watcher.next_due, number))
    return count_by_minute(ground.list_reads(), minutes)


def spread_reads(reads: Sequence[float], steps: int, minutes: int) -> list[int]:
    """Reads in each minute by processes that all read as one does, from their creation on.

    Args:
        reads: Moments of the one's reads, in seconds from its creation.
        steps: How many processes; created as in `run_crowd`.
        minutes: From the first creation to the end.
    """
    pause = MINUTE / CREATIONS_PER_MINUTE
    moments = (number * pause + read for number in range(steps) for read in reads)
    return count_by_minute(moments, minutes)
