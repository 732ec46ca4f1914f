"""Requests to the ZenML server while steps wait.

As a program, on a stack: lets steps wait on a manual clock with the real client of
ZenML, and prints how many requests that client has sent.
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import requests

from benchmarks.lags import hold_step
from benchmarks.samples import OPERATORS, Operator, Samples, Say
from benchmarks.simulated_vertex import MINUTE, PARENT, RUN_ID, name_step_run
from benchmarks.stacks import Stacks
from zenml_vertex.following.follower import JobFollower
from zenml_vertex.following.protocols import JobList
from zenml_vertex.following.watcher import Watcher
from zenml_vertex.job.identity import STEP_RUN_LABEL, Attempt, JobName

if TYPE_CHECKING:
    from zenml_vertex.job.request import JobJson


def measure_questions(
    stacks: Stacks, counts: Iterable[int], minutes: int, say: Say
) -> dict[int, Samples]:
    """Requests for each step and minute.

    Args:
        stacks: The stacks.
        counts: How many steps wait in one process; more than one is measured for each.
        minutes: How long they wait.
        say: Is told what happens.

    Returns:
        Samples by the number of steps.
    """
    from benchmarks.processes import run_on_stack

    found: dict[Operator, dict[int, float]] = {operator: {} for operator in OPERATORS}
    for operator in OPERATORS:
        with hold_step(stacks, operator) as step:
            for steps in counts:
                sent = run_on_stack(
                    "server_requests",
                    *(operator, str(steps), str(minutes), step.id),
                    stack=stacks[operator],
                    emulator_host="127.0.0.1:9",
                )
                say(f"{operator}: {sent} requests for {steps} steps in {minutes} min")
                found[operator][steps] = sent / steps / minutes
    return {steps: Samples(*((found[op][steps],) for op in OPERATORS)) for steps in counts}


class _TimeIsUpError(Exception):
    """Somebody would wait on."""


class _Clock:
    """Time that passes when someone sleeps, and ends; a clock, and the module `time` for ZenML.

    Args:
        end: When it ends, in seconds.
    """

    def __init__(self, end: float) -> None:
        self._now = 0.0
        self._end = end

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds
        if self._now >= self._end:
            raise _TimeIsUpError


class _RunningJobs:
    """Jobs that all run; implements what a watcher needs of `protocols.Jobs`.

    Args:
        step_run_ids: Their step runs.
    """

    def __init__(self, step_run_ids: Sequence[str]) -> None:
        self.jobs: list[JobJson] = [
            {
                "name": f"{PARENT}/customJobs/{number}",
                "state": "JOB_STATE_RUNNING",
                "labels": {STEP_RUN_LABEL: step_run_id},
            }
            for number, step_run_id in enumerate(step_run_ids)
        ]

    def list(self, parent: str, job_filter: str, *, first_page_only: bool = False) -> JobList:
        del parent, job_filter, first_page_only
        return JobList(tuple(self.jobs), is_complete=True)


class _Counter:
    """Counts the requests of this process to the ZenML server."""

    def __init__(self) -> None:
        self.sent = 0
        self._send = requests.Session.send
        counter = self

        def send(self: requests.Session, request: Any, **options: Any) -> Any:
            if request.url.startswith(os.environ["ZENML_STORE_URL"]):
                counter.sent += 1
            return counter._send(self, request, **options)

        requests.Session.send = send


def count_own(clock: _Clock) -> int:
    """Requests of ZenML's own operator for one step; each step waits for itself."""
    from zenml.client import Client
    from zenml.step_operators import base_step_operator

    operator = Client().active_stack.step_operator
    running = SimpleNamespace(get_custom_job=lambda name: SimpleNamespace(name=name, state=3))
    operator.get_job_service_client = lambda: running
    base_step_operator.time = clock
    counter = _Counter()
    try:
        operator.wait(SimpleNamespace(id=uuid4(), run_metadata={"job_name": "any"}))
    except _TimeIsUpError:
        return counter.sent
    raise RuntimeError("ZenML's own operator did not wait.")


def count_ours(clock: _Clock, step_run_ids: Sequence[str]) -> int:
    """Requests of this operator for all steps of a process."""
    from zenml.client import Client

    operator = Client().active_stack.step_operator
    jobs = _RunningJobs(step_run_ids)
    watcher = Watcher(jobs, operator.step_runs, clock, PARENT)
    for step_run_id, job in zip(step_run_ids, jobs.jobs, strict=True):
        follower = JobFollower(
            name=JobName.parse(job["name"]),
            attempt=Attempt(step_run_id),
            run_id=RUN_ID,
            reports_itself=True,
            step_runs=operator.step_runs,
            clock=clock,
        )
        watcher.follow(follower)
    counter = _Counter()
    try:
        watcher.wait(step_run_ids[0])
    except _TimeIsUpError:
        return counter.sent
    raise RuntimeError("The watcher did not wait.")


def main() -> None:
    """Count for the operator, the steps and the minutes of the command line.

    The first step is one that the server knows; the others, it is not asked for.
    """
    operator, text, minutes, step_run_id = sys.argv[1:]
    clock, steps = _Clock(int(minutes) * MINUTE), int(text)
    if operator == "builtin":
        sent = count_own(clock) * steps
    else:
        others = (name_step_run(number) for number in range(1, steps))
        sent = count_ours(clock, [step_run_id, *others])
    print(json.dumps(sent))


if __name__ == "__main__":
    main()
