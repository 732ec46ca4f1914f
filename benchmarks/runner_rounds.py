"""What it costs to get the status of a thousand steps in turn, as ZenML's dynamic runner does.

As a program, on a stack: gets the status of steps whose jobs run from the stack's step
operator, and prints the seconds of each round, and the memory and threads of the process.
"""

import json
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import requests

from benchmarks.harness import SAMPLES, Harness
from benchmarks.imports import read_resident_bytes
from benchmarks.rows import Row, below, measures
from benchmarks.samples import OPERATORS, Operator, Samples
from benchmarks.simulated_vertex import RUN_ID, build_job, connect_jobs, name_step_run
from benchmarks.stacks import PROJECT_OF_STACKS, REGION_OF_STACKS
from vertex_emulator import MemoryStore, Script, ScriptedRuntime, Timings, VertexEmulator
from vertex_emulator.faults import Delay
from zenml_vertex.local_stack.stack import LocalStack

_STEPS = 1000
# Of the built-in operator, one: it makes 1,000 equal calls.
_ROUNDS: Mapping[Operator, int] = {"builtin": 1, "plugin": SAMPLES}
# A call to Vertex AI from the same continent.
CALL_SECONDS = 0.1
# So that a poll is due in each round; the runner's own pause is 10 s.
PAUSE_SECONDS = 5.6
_PARENT = f"projects/{PROJECT_OF_STACKS}/locations/{REGION_OF_STACKS}"


@measures(
    Row(
        f"runner_round_seconds_{_STEPS}",
        "s",
        f"One round of the dynamic runner over {_STEPS:,} steps, at {1000 * CALL_SECONDS:.0f} ms "
        "for each call to Vertex AI",
        below(1.0, "s"),
        "median of 5 rounds; built-in: 1 round, 1,000 equal calls",
    ),
    Row(
        "kilobytes_per_step",
        "kB",
        f"Memory of the process for each of {_STEPS:,} steps that wait in it",
        below(50.0, "kB"),
        "mean over 1,000 steps",
    ),
    Row(
        "threads_per_step",
        "threads",
        f"Threads of the process for each of {_STEPS:,} steps that wait in it",
        below(0.01),
        "mean over 1,000 steps",
    ),
)
def measure_rounds(harness: Harness, wanted: Collection[str]) -> Mapping[str, Samples]:
    """Get the status of steps in turn, each operator in a process of its own."""
    del wanted
    emulator = VertexEmulator(
        timings=Timings(provisioning=0.0),
        runtime=ScriptedRuntime(lambda _: Script(None)),
        store=MemoryStore(),
    )
    found: dict[str, dict[Operator, tuple[float, ...]]] = {}
    with emulator:
        for operator in OPERATORS:
            stack = harness.stacks[operator]
            names = create_jobs(emulator.url, stack, _STEPS)
            waiting = _WaitingSteps(stack, emulator.host, names)
            with emulator.faults.planned(Delay("*", CALL_SECONDS, count=0, clock="machine")):
                many = waiting.run(_STEPS, _ROUNDS[operator])
            rounds = ", ".join(f"{seconds:.2f} s" for seconds in many["seconds"])
            harness.say(f"{operator}: rounds of {rounds}")
            one = waiting.run(1, 1)
            values = {
                f"runner_round_seconds_{_STEPS}": tuple(many["seconds"]),
                "kilobytes_per_step": ((many["bytes"] - one["bytes"]) / 1e3 / (_STEPS - 1),),
                "threads_per_step": ((many["threads"] - one["threads"]) / (_STEPS - 1),),
            }
            for row, value in values.items():
                found.setdefault(row, {})[operator] = value
    return {row: Samples(*(by[op] for op in OPERATORS)) for row, by in found.items()}


def create_jobs(url: str, stack: LocalStack, steps: int) -> list[str]:
    """Create the job of each step as a stack's step operator does, which takes no other for it.

    Args:
        url: Of an emulator.
        stack: The stack.
        steps: How many; 0 or more.

    Returns:
        Resource names of the jobs.
    """
    info = requests.get(f"{stack.zenml_url}/api/v1/info", timeout=60)
    info.raise_for_status()
    server_id = info.json()["id"]
    jobs = connect_jobs(url)
    try:
        return [
            jobs.create(_PARENT, build_job(name_step_run(number), server_id=server_id))["name"]
            for number in range(steps)
        ]
    finally:
        jobs.close()


@dataclass(frozen=True, slots=True)
class _WaitingSteps:
    """Steps that wait on a stack for their jobs."""

    stack: LocalStack
    emulator_host: str
    # Resource names of the steps' jobs.
    names: Sequence[str]

    def run(self, steps: int, rounds: int) -> Any:
        """Get the status of the first steps, in a process that holds the step runs of all."""
        from benchmarks.processes import run_on_stack

        return run_on_stack(
            "runner_rounds",
            str(steps),
            str(rounds),
            stack=self.stack,
            emulator_host=self.emulator_host,
            content=self.names,
        )


def build_step_run(number: int, job_name: str) -> Any:
    """A step run whose job was created, as ZenML's client returns it."""
    from zenml.config.step_configurations import StepConfiguration, StepSpec
    from zenml.enums import ExecutionStatus
    from zenml.models import StepRunResponse
    from zenml.models.v2.core.step_run import (
        StepRunResponseBody,
        StepRunResponseMetadata,
        StepRunResponseResources,
    )

    now = datetime.now(tz=timezone.utc)
    name = f"step-{number}"
    return StepRunResponse(
        id=UUID(name_step_run(number)),
        name=name,
        body=StepRunResponseBody(
            created=now,
            updated=now,
            project_id=UUID(int=0),
            status=ExecutionStatus.RUNNING,
            version=1,
            is_retriable=False,
        ),
        metadata=StepRunResponseMetadata(
            config=StepConfiguration(name=name, step_operator="vertex"),
            spec=StepSpec.model_validate(
                {"source": "benchmarks.runner_rounds.main", "upstream_steps": [], "inputs": {}}
            ),
            snapshot_id=UUID(int=0),
            pipeline_run_id=UUID(RUN_ID),
            # The operators' own keys.
            run_metadata={"job_name": job_name, "zenml_vertex.job_name": job_name},
        ),
        resources=StepRunResponseResources(),
    )


def main() -> None:
    """Run as many rounds as the command line says; the names of the jobs come as JSON."""
    from zenml.client import Client

    steps, rounds = (int(argument) for argument in sys.argv[1:])
    names = json.load(sys.stdin)
    step_runs = [build_step_run(number, name) for number, name in enumerate(names)]
    operator: Any = Client().active_stack.step_operator
    if hasattr(operator, "step_runs"):
        # The server does not know these step runs, and a single one is read by its ID.
        operator.step_runs.status = lambda _: "running"
    seconds = []
    for number in range(rounds):
        if number:
            time.sleep(PAUSE_SECONDS)
        start = time.perf_counter()
        statuses = {operator.get_status(step_run).value for step_run in step_runs[:steps]}
        seconds.append(time.perf_counter() - start)
        if not statuses <= {"provisioning", "running"}:
            raise RuntimeError(f"Steps are {statuses}, expected provisioning or running.")
    result = {
        "seconds": seconds,
        "bytes": read_resident_bytes(),
        "threads": threading.active_count(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
