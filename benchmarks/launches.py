"""From a pipeline's call to its job, and from the job's container to user code."""

import re
from dataclasses import dataclass

from benchmarks.samples import OPERATORS, Operator, Samples, Say
from benchmarks.stacks import PIPELINE, Stacks, open_emulator
from vertex_emulator import VertexEmulator
from zenml_vertex.local_stack.views.vertex import read_time

_FIRST_LINE = "first line of user code"
_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Launch:
    """How one run began.

    Args:
        launch: Seconds from the pipeline's call to the creation of the job.
        container: Seconds from the container's start to user code.
        clients: What of Google's packages for Vertex AI was loaded then, as text.
    """

    launch: float
    container: float
    clients: str


def measure_launches(stacks: Stacks, samples: int, say: Say) -> dict[str, Samples]:
    """Run pipelines of both operators in turn, one at a time.

    Returns:
        Samples of the rows `launch_seconds` and `container_seconds`.

    Raises:
        RuntimeError: If this operator brings a client of Google's into the container.
    """
    found: dict[Operator, list[Launch]] = {operator: [] for operator in OPERATORS}
    with open_emulator() as emulator:
        for number in range(-1, samples):
            for operator in OPERATORS:
                launch = _run(stacks, operator, emulator)
                say(f"{operator}: job after {launch.launch:.2f} s, code {launch.container:.2f} s")
                # The first runs make the build, and the bytecode.
                if number >= 0:
                    found[operator].append(launch)
    for launch in found["plugin"]:
        if launch.clients != "[]":
            raise RuntimeError(f"A step's container has loaded {launch.clients}.")
    return {
        row: Samples(*(tuple(getattr(each, field) for each in found[op]) for op in OPERATORS))
        for row, field in (("launch_seconds", "launch"), ("container_seconds", "container"))
    }


def _run(stacks: Stacks, operator: Operator, emulator: VertexEmulator) -> Launch:
    stack = stacks[operator]
    script = stack.make_project("launch", PIPELINE) / PIPELINE.name
    known = len(emulator.jobs)
    variables = {"AIPLATFORM_EMULATOR_HOST": emulator.host}
    with stack.start_pipeline(script, "", environment=variables) as process:
        begin = float(process.wait_for_line(r"run begins at ([\d.]+)", _SECONDS)[1])
        emulator.wait_for(lambda: len(emulator.jobs) > known, seconds=_SECONDS)
        name = emulator.jobs[0].name
        emulator.wait_for_line(name, _FIRST_LINE, seconds=_SECONDS)
        # The built-in operator waits up to 16 s more for what is over.
        emulator.wait_for_state(name, seconds=_SECONDS)
    job = emulator.job(name)
    if job.start_time is None:
        raise RuntimeError(f"{name} has not started")
    line = next(
        entry
        for entry in emulator.log_entries(name)
        if _FIRST_LINE in str(entry.get("jsonPayload", {}).get("message"))
    )
    clients = re.search(r"with (\[.*\]) loaded", line["jsonPayload"]["message"])
    return Launch(
        launch=job.create_time.timestamp() - begin,
        container=(read_time(line["timestamp"]) - job.start_time).total_seconds(),
        clients=clients[1] if clients else "?",
    )
