"""Requests to the ZenML server while steps wait.

As a program, on a stack: lets steps wait on a manual clock with ZenML's real client, and
prints how many requests that client sends.
"""

import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import requests

from benchmarks.harness import Harness
from benchmarks.lags import hold_step
from benchmarks.rows import COUNTED, Row, at_most, measures
from benchmarks.samples import OPERATORS, Operator, Samples
from benchmarks.simulated_vertex import (
    MINUTE,
    PARENT,
    RUN_ID,
    StoppingClock,
    name_step_run,
    run_until_stopped,
)
from zenml_vertex.following.follower import JobFollower
from zenml_vertex.following.progress import StepLog
from zenml_vertex.following.protocols import JobList
from zenml_vertex.following.watcher import Watcher
from zenml_vertex.job.identity import STEP_RUN_LABEL, Attempt, JobName
from zenml_vertex.job.request import JobJson

_MINUTES = 2
# Without a note, the server is asked four times a minute, for all steps of a process at once.
_MOST_A_MINUTE = 6
_ROWS = {
    1: Row(
        "server_requests_per_step_minute_1",
        "requests/min",
        "Requests to the ZenML server for each step and minute, while 1 step waits: mean of the "
        f"first {_MINUTES} minutes",
        at_most(_MOST_A_MINUTE),
        COUNTED,
    ),
    1000: Row(
        "server_requests_per_step_minute_1000",
        "requests/min",
        "The same while 1,000 steps wait in one process",
        at_most(_MOST_A_MINUTE / 1000),
        COUNTED,
    ),
}


@measures(*_ROWS.values())
def measure_server_requests(harness: Harness, wanted: Collection[str]) -> Mapping[str, Samples]:
    """Count the requests of each operator, in a process of its own."""
    from benchmarks.processes import run_on_stack

    rows = {steps: row for steps, row in _ROWS.items() if row.id in wanted}
    found: dict[str, dict[Operator, float]] = {row.id: {} for row in rows.values()}
    for operator in OPERATORS:
        with hold_step(harness.stacks, operator) as step:
            for steps, row in rows.items():
                sent = run_on_stack(
                    "server_requests",
                    *(operator, str(steps), str(_MINUTES), step.id),
                    stack=harness.stacks[operator],
                    emulator_host="127.0.0.1:9",
                )
                harness.say(f"{operator}: {sent} requests for {steps} steps in {_MINUTES} min")
                found[row.id][operator] = sent / steps / _MINUTES
    return {id_: Samples(*((by[op],) for op in OPERATORS)) for id_, by in found.items()}


class RunningJobs:
    """Jobs that run and never end; implements `protocols.Jobs` as far as a watcher needs it.

    Args:
        step_run_ids: Their step runs.
    """

    def __init__(self, step_run_ids: Sequence[str]) -> None:
        self.jobs: tuple[JobJson, ...] = tuple(
            {
                "name": f"{PARENT}/customJobs/{number}",
                "state": "JOB_STATE_RUNNING",
                "labels": {STEP_RUN_LABEL: step_run_id},
            }
            for number, step_run_id in enumerate(step_run_ids)
        )

    def create(self, parent: str, job: JobJson) -> JobJson:
        raise NotImplementedError(parent, job)

    def get(self, name: str) -> JobJson:
        raise NotImplementedError(name)

    def list(self, parent: str, job_filter: str, *, first_page_only: bool = False) -> JobList:
        del parent, job_filter, first_page_only
        return JobList(self.jobs, is_complete=True)

    def cancel(self, name: str) -> None:
        raise NotImplementedError(name)


class _NoNotes:
    """An artifact store without notes; implements `protocols.Notes`."""

    def take(self, run_id: str, attempts: Collection[Attempt]) -> Collection[Attempt]:
        del run_id, attempts
        return ()


class _RequestCounter:
    """Counts the requests of this process to the ZenML server."""

    def __init__(self) -> None:
        self.sent = 0
        session_class: Any = requests.Session
        send, url = session_class.send, os.environ["ZENML_STORE_URL"]

        def count(session: requests.Session, request: Any, **options: Any) -> Any:
            if request.url.startswith(url):
                self.sent += 1
            return send(session, request, **options)

        session_class.send = count


def count_builtin_requests(clock: StoppingClock) -> int:
    """Requests of ZenML's operator for one step; each step waits for itself."""
    from zenml.client import Client
    from zenml.step_operators import base_step_operator

    operator: Any = Client().active_stack.step_operator
    running = SimpleNamespace(get_custom_job=lambda name: SimpleNamespace(name=name, state=3))
    operator.get_job_service_client = lambda: running
    module: Any = base_step_operator
    module.time = clock
    counter = _RequestCounter()
    step_run = SimpleNamespace(id=uuid4(), run_metadata={"job_name": "any"})
    run_until_stopped(lambda: operator.wait(step_run))
    return counter.sent


def count_requests(clock: StoppingClock, step_run_ids: Sequence[str]) -> int:
    """Requests of this operator for all steps of a process."""
    from zenml.client import Client

    operator: Any = Client().active_stack.step_operator
    jobs = RunningJobs(step_run_ids)
    watcher = Watcher(jobs, operator.step_runs, clock, PARENT, notes=_NoNotes())
    for step_run_id, job in zip(step_run_ids, jobs.jobs, strict=True):
        follower = JobFollower(
            step=StepLog("train"),
            name=JobName.parse(job["name"]),
            attempt=Attempt(step_run_id),
            run_id=RUN_ID,
            reports_itself=True,
            step_runs=operator.step_runs,
            clock=clock,
        )
        watcher.follow(follower)
    counter = _RequestCounter()
    run_until_stopped(lambda: watcher.wait(step_run_ids[0]))
    return counter.sent


def main() -> None:
    """Count for the operator, the steps and the minutes of the command line.

    The server knows the first step only: the others are never read by their IDs.
    """
    operator, text, minutes, step_run_id = sys.argv[1:]
    clock, steps = StoppingClock(int(minutes) * MINUTE), int(text)
    if operator == "builtin":
        sent = count_builtin_requests(clock) * steps
    else:
        others = (name_step_run(number) for number in range(1, steps))
        sent = count_requests(clock, [step_run_id, *others])
    print(json.dumps(sent))


if __name__ == "__main__":
    main()
