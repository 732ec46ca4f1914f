"""From a pipeline's call to its job, and from the start of the container to user code."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from benchmarks.harness import SAMPLES, Harness
from benchmarks.rows import MEDIAN_OF_5, Row, below_share, measures
from benchmarks.samples import OPERATORS, Operator, Samples
from benchmarks.stacks import PIPELINE, Stacks, open_emulator
from vertex_emulator import VertexEmulator
from zenml_vertex.local_stack.views.vertex import read_time

_FIRST_LINE = "first line of user code"
_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Launch:
    """How one run began."""

    # Seconds from the pipeline's call to the creation of the job.
    launch: float
    # Seconds from the container's start to user code.
    container: float
    # Google's packages for Vertex AI that were loaded by then, as text.
    clients: str


@measures(
    Row(
        "container_seconds",
        "s",
        "A step's container, from its start to the first line of user code; ours is checked to "
        "load nothing of google-cloud-aiplatform",
        below_share(1.0),
        MEDIAN_OF_5,
    ),
    Row(
        "launch_seconds",
        "s",
        "The pipeline's call to the creation of its job, without an image build, with a client "
        "that is logged in to the ZenML server",
        below_share(0.5),
        MEDIAN_OF_5,
    ),
)
def measure_launches(harness: Harness, wanted: Collection[str]) -> Mapping[str, Samples]:
    """Run pipelines of both operators in turn, one at a time.

    Raises:
        RuntimeError: If this operator loads one of Google's clients in the container.
    """
    del wanted
    found: dict[Operator, list[Launch]] = {operator: [] for operator in OPERATORS}
    with open_emulator() as emulator:
        for number in range(-1, SAMPLES):
            for operator in OPERATORS:
                launch = _run(harness.stacks, operator, emulator)
                harness.say(
                    f"{operator}: job after {launch.launch:.2f} s, code {launch.container:.2f} s"
                )
                # The first runs make the build and the bytecode.
                if number >= 0:
                    found[operator].append(launch)
    for launch in found["plugin"]:
        if launch.clients != "[]":
            raise RuntimeError(f"The step's container loaded {launch.clients}.")
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
        # The built-in operator notices the end up to 16 s later.
        emulator.wait_for_state(name, seconds=_SECONDS)
    job = emulator.job(name)
    if job.start_time is None:
        raise RuntimeError(f"{name} did not start")
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
