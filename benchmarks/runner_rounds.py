"""What it costs to ask for each of a thousand steps in turn, as ZenML's dynamic runner does.

As a program, on a stack: asks the stack's step operator for the status of steps whose
jobs run, and prints the seconds of each round, and what the process has become.
"""

import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

from benchmarks.imports import read_resident_bytes
from benchmarks.samples import OPERATORS, Operator, Samples, Say
from benchmarks.simulated_vertex import RUN_ID, build_job, connect_jobs, name_step_run
from benchmarks.stacks import PROJECT_OF_STACKS, REGION_OF_STACKS, Stacks
from vertex_emulator import Timings, VertexEmulator
from vertex_emulator.core.documents import MemoryStore
from vertex_emulator.faults.call_faults import Delay
from vertex_emulator.runtimes.scripted import Script, ScriptedRuntime
from zenml_vertex.local_stack.stack import LocalStack

# A call to Vertex AI from the same continent.
CALL_SECONDS = 0.1
# So that a look is due in each round; the runner's own pause is 10 s.
PAUSE_SECONDS = 5.6
_PARENT = f"projects/{PROJECT_OF_STACKS}/locations/{REGION_OF_STACKS}"


def measure_rounds(
    stacks: Stacks, steps: int, rounds: dict[Operator, int], say: Say
) -> dict[str, Samples]:
    """Ask for steps in turn, each operator in a process of its own.

    Args:
        stacks: The stacks.
        steps: How many steps wait.
        rounds: Rounds of each operator.
        say: Is told what happens.

    Returns:
        Samples of `runner_round_seconds`, `kilobytes_per_step` and `threads_per_step`.
    """
    emulator = VertexEmulator(
        timings=Timings(provisioning=0.0),
        runtime=ScriptedRuntime(lambda _: Script(None)),
        store=MemoryStore(),
    )
    found: dict[str, dict[Operator, tuple[float, ...]]] = {}
    with emulator:
        jobs = connect_jobs(emulator.url)
        names = [
            jobs.create(_PARENT, build_job(name_step_run(number)))["name"]
            for number in range(steps)
        ]
        jobs.close()
        for operator in OPERATORS:
            on = _On(stacks[operator], emulator.host, names)
            with emulator.faults.planned(Delay("*", CALL_SECONDS, count=0, clock="machine")):
                asked = on.ask(steps, rounds[operator])
            say(f"{operator}: rounds of {', '.join(f'{s:.2f} s' for s in asked['seconds'])}")
            alone = on.ask(1, 1)
            others = steps - 1
            values = {
                "runner_round_seconds": tuple(asked["seconds"]),
                "kilobytes_per_step": ((asked["bytes"] - alone["bytes"]) / 1e3 / others,),
                "threads_per_step": ((asked["threads"] - alone["threads"]) / others,),
            }
            for row, value in values.items():
                found.setdefault(row, {})[operator] = value
    return {row: Samples(*(by[op] for op in OPERATORS)) for row, by in found.items()}


@dataclass(frozen=True, slots=True)
class _On:
    """Where steps wait.

    Args:
        stack: The operator's stack.
        emulator_host: Where Vertex AI is.
        names: Names of the steps' jobs.
    """

    stack: LocalStack
    emulator_host: str
    names: Sequence[str]

    def ask(self, steps: int, rounds: int) -> Any:
        """Ask for the first steps, in a process that has the step runs of all."""
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
    """A step run as ZenML's client has it, whose job was created."""
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
            spec=StepSpec(source="benchmarks.runner_rounds.main", upstream_steps=[], inputs={}),
            snapshot_id=UUID(int=0),
            pipeline_run_id=UUID(RUN_ID),
            # The operators' own keys.
            run_metadata={"job_name": job_name, "zenml_vertex.job_name": job_name},
        ),
        resources=StepRunResponseResources(),
    )


def main() -> None:
    """Ask as often as the command line says; the names of the jobs come as JSON."""
    from zenml.client import Client

    steps, rounds = (int(argument) for argument in sys.argv[1:])
    names = json.load(sys.stdin)
    step_runs = [build_step_run(number, name) for number, name in enumerate(names)]
    operator = Client().active_stack.step_operator
    if hasattr(operator, "step_runs"):
        # The server does not know these step runs; a single one is asked for by its ID.
        operator.step_runs.status = lambda _: "running"
    seconds = []
    for number in range(rounds):
        if number:
            time.sleep(PAUSE_SECONDS)
        start = time.perf_counter()
        statuses = {operator.get_status(step_run).value for step_run in step_runs[:steps]}
        seconds.append(time.perf_counter() - start)
        if not statuses <= {"provisioning", "running"}:
            raise RuntimeError(f"Steps are {statuses}.")
    result = {
        "seconds": seconds,
        "bytes": read_resident_bytes(),
        "threads": threading.active_count(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
