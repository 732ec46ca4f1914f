"""Reads of Vertex AI while steps wait: all in one process, or in a process each.

As a program: lets ZenML's unmodified operator wait for one job on a manual clock, and
prints the moments of its reads.
"""

import heapq
import json
import random
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from benchmarks.rows import COUNTED, Row, at_most, below, measures
from benchmarks.samples import Samples
from benchmarks.simulated_vertex import (
    MINUTE,
    PARENT,
    REGION,
    SimulatedVertex,
    StoppingClock,
    count_by_minute,
    open_simulated_vertex,
    run_until_stopped,
)
from zenml_vertex.following.watcher import Watcher

if TYPE_CHECKING:
    from benchmarks.harness import Harness

# Vertex AI's quotas for a project and region, which everybody shares: reads a minute,
# and creations a minute (https://cloud.google.com/vertex-ai/docs/quotas).
READ_QUOTA = 600
CREATIONS_PER_MINUTE = 60

_STEPS = (1, 10, 100, 1000)
_HOUR = 60
# 1,000 jobs are created in 17 minutes; after that, the number of reads is steady.
_PROCESSES, _PROCESSES_MINUTES, _STEADY_MINUTES = 1000, 35, 10


def _build_rows(steps: int) -> tuple[Row, Row]:
    # 12 a minute for each page of 100 jobs.
    target = at_most(12 * -(-steps // 100))
    waiting = "1 step waits" if steps == 1 else f"{steps:,} steps wait"
    return (
        Row(
            f"reads_per_minute_{steps}",
            "reads/min",
            f"API reads a minute while {waiting} in one process: mean of the first hour",
            target,
            COUNTED,
        ),
        Row(
            f"reads_per_minute_{steps}_peak",
            "reads/min",
            "The same in the busiest minute of that hour",
            target,
            COUNTED,
        ),
    )


_ROWS_BY_STEPS = {steps: _build_rows(steps) for steps in _STEPS}
_PROCESSES_ROWS = (
    Row(
        f"reads_per_minute_processes_{_PROCESSES}",
        "reads/min",
        f"API reads a minute while {_PROCESSES:,} steps wait in a process each, all of them "
        f"together: mean of the last {_STEADY_MINUTES} minutes",
        below(READ_QUOTA),
        COUNTED,
    ),
    Row(
        f"reads_per_minute_processes_{_PROCESSES}_peak",
        "reads/min",
        f"The same in the busiest minute, counted from the first of {CREATIONS_PER_MINUTE} "
        "creations a minute",
        below(READ_QUOTA),
        COUNTED,
    ),
)


@measures(*(row for rows in _ROWS_BY_STEPS.values() for row in rows), *_PROCESSES_ROWS)
def measure_reads(harness: "Harness", wanted: Collection[str]) -> Mapping[str, Samples]:
    """Count the reads of each number of steps, for the mean and the busiest minute."""
    from benchmarks.processes import run_alone

    one: list[float] = run_alone("reads", str(_HOUR), operator="builtin")
    found: dict[str, Samples] = {}
    for steps, rows in _ROWS_BY_STEPS.items():
        if any(row.id in wanted for row in rows):
            # Each step of the built-in operator waits for itself.
            builtin = [steps * reads for reads in count_by_minute(one, _HOUR)]
            found |= _summarize(rows, builtin, count_reads(steps, _HOUR), _HOUR)
            harness.say(f"{steps} steps in one process: {found[rows[0].id].medians}")
    if any(row.id in wanted for row in _PROCESSES_ROWS):
        builtin = spread_reads(one, _PROCESSES, _PROCESSES_MINUTES)
        with open_simulated_vertex() as vertex:
            ours = count_reads_of_processes(vertex, _PROCESSES, _PROCESSES_MINUTES)
        found |= _summarize(_PROCESSES_ROWS, builtin, ours, _STEADY_MINUTES)
        harness.say(f"{_PROCESSES} processes: {found[_PROCESSES_ROWS[0].id].medians}")
    return found


def _summarize(
    rows: tuple[Row, Row], builtin: Sequence[int], ours: Sequence[int], minutes: int
) -> dict[str, Samples]:
    """The mean of the last minutes, and the busiest minute of all."""
    mean, peak = rows
    means = (sum(reads[-minutes:]) / minutes for reads in (builtin, ours))
    return {
        mean.id: Samples(*((each,) for each in means)),
        peak.id: Samples((max(builtin),), (max(ours),)),
    }


def count_reads(steps: int, minutes: int) -> list[int]:
    """Reads in each minute while one process waits for steps.

    Args:
        steps: How many; their jobs are created at the same time, and never end.
        minutes: How long they wait.
    """
    with open_simulated_vertex() as vertex:
        clock = StoppingClock(minutes * MINUTE, on_sleep=vertex.sleep)
        watcher = Watcher(vertex.jobs, vertex.step_runs, clock, PARENT)
        followers = [vertex.submit(number) for number in range(steps)]
        for follower in followers:
            watcher.follow(follower)
        run_until_stopped(lambda: watcher.wait(followers[0].step_run_id))
        return count_by_minute(vertex.list_reads(), minutes)


def count_reads_of_processes(
    vertex: SimulatedVertex, steps: int, minutes: int, *, seed: int = 1
) -> list[int]:
    """Reads in each minute while every step waits in a process of its own.

    Args:
        vertex: Vertex AI, without jobs.
        steps: How many; their jobs are created as fast as the quota allows.
        minutes: From the first creation to the end.
        seed: Of the processes' jitter.
    """
    draw = random.Random(seed)
    pause = MINUTE / CREATIONS_PER_MINUTE
    watchers: list[tuple[Watcher, str]] = []
    # Moments at which a process polls; number -1 creates the next process.
    due = [(0.0, -1)]
    while due[0][0] < minutes * MINUTE:
        moment, number = heapq.heappop(due)
        vertex.sleep_until(moment)
        if number < 0:
            follower = vertex.submit(len(watchers))
            watcher = Watcher(vertex.jobs, vertex.step_runs, vertex, PARENT, draw=draw.random)
            watcher.follow(follower)
            number = len(watchers)
            watchers.append((watcher, follower.step_run_id))
            if len(watchers) < steps:
                heapq.heappush(due, (moment + pause, -1))
        watcher, step_run_id = watchers[number]
        watcher.poll(step_run_id)
        heapq.heappush(due, (watcher.next_due, number))
    return count_by_minute(vertex.list_reads(), minutes)


def spread_reads(reads: Sequence[float], steps: int, minutes: int) -> list[int]:
    """Reads in each minute by processes that all read as one does, from their creation on.

    Args:
        reads: Moments of the one's reads, in seconds from its creation.
        steps: How many processes; created as in `count_reads_of_processes`.
        minutes: From the first creation to the end.
    """
    pause = MINUTE / CREATIONS_PER_MINUTE
    moments = (number * pause + read for number in range(steps) for read in reads)
    return count_by_minute(moments, minutes)


def list_builtin_reads(minutes: int) -> list[float]:
    """Moments at which ZenML's operator reads a job, in seconds from its creation.

    Args:
        minutes: How long the step waits.
    """
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.aiplatform_v1 import JobServiceClient
    from zenml.enums import StackComponentType
    from zenml.integrations.gcp.flavors.vertex_step_operator_flavor import (
        VertexStepOperatorConfig,
    )
    from zenml.integrations.gcp.step_operators.vertex_step_operator import VertexStepOperator
    from zenml.step_operators import base_step_operator

    now = datetime.now(tz=timezone.utc)
    with open_simulated_vertex() as vertex:
        name = str(vertex.submit(0).name)
        operator: Any = VertexStepOperator(
            name="vertex",
            id=uuid4(),
            config=VertexStepOperatorConfig(region=REGION),
            flavor="vertex",
            type=StackComponentType.STEP_OPERATOR,
            user=None,
            created=now,
            updated=now,
        )
        operator._job_service_client = JobServiceClient(
            credentials=AnonymousCredentials(),
            transport="rest",
            client_options={"api_endpoint": vertex.emulator.url},
        )

        def pass_time(seconds: float) -> None:
            vertex.sleep(seconds)
            vertex.synchronize()

        module: Any = base_step_operator
        module.time = StoppingClock(minutes * MINUTE, on_sleep=pass_time)
        step_run = SimpleNamespace(id=uuid4(), run_metadata={"job_name": name})
        run_until_stopped(lambda: operator.wait(step_run))
        return vertex.list_reads()


if __name__ == "__main__":
    print(json.dumps(list_builtin_reads(int(sys.argv[1]))))
