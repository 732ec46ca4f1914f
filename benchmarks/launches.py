"""From a pipeline's call to its job, and from the start of the container to user code."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.bytecode import CACHE_VARIABLE, WRITES_VARIABLE, leave_stack_packages
from benchmarks.harness import SAMPLES, Harness
from benchmarks.rows import MEDIAN_OF_5, Row, measures, near_floor
from benchmarks.samples import CONTENDERS, Contender, Samples
from benchmarks.stacks import PIPELINE, Stacks, open_emulator
from vertex_emulator import VertexEmulator
from zenml_vertex.local_stack.views.vertex import read_text, read_time

_FIRST_LINE = "first line of user code"
_SECONDS = 120.0
# Without bytecode the built-in operator takes 20 s.
_SAMPLES_AS_BUILT = 3


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
        "A step's container, from its start to the first line of user code, in an image as ZenML "
        "builds it: ZenML's own packages have no bytecode, and the stack's have it with ours; ours "
        "is checked to load nothing of google-cloud-aiplatform",
        near_floor(),
        "median of 3, in turn; the bytecode of such an image imitated",
    ),
    Row(
        "container_seconds_compiled",
        "s",
        "The same in an image that has all bytecode",
        near_floor(),
        MEDIAN_OF_5,
    ),
    Row(
        "launch_seconds",
        "s",
        "The pipeline's call to the creation of its job, without an image build, with a client "
        "that is logged in to the ZenML server",
        near_floor(),
        MEDIAN_OF_5,
    ),
)
def measure_launches(harness: Harness, wanted: Collection[str]) -> Mapping[str, Samples]:
    """Run pipelines of both operators and of the floor in turn, one at a time.

    Raises:
        RuntimeError: If this operator loads one of Google's clients in the container.
    """
    found: dict[str, Samples] = {}
    with open_emulator() as emulator:
        if {"launch_seconds", "container_seconds_compiled"} & set(wanted):
            # The first runs make the build and the bytecode.
            launches = _run_in_turn(harness, emulator, SAMPLES, {})
            found["launch_seconds"] = _gather(launches, "launch")
            found["container_seconds_compiled"] = _gather(launches, "container")
        if "container_seconds" in wanted:
            folders = {each: harness.stacks.folder / f"bytecode-{each}" for each in CONTENDERS}
            _run(harness.stacks, "plugin", emulator, {
                CACHE_VARIABLE: str(folders["plugin"]), WRITES_VARIABLE: "1",
            })  # fmt: skip
            leave_stack_packages(folders["plugin"])
            variables = {each: {CACHE_VARIABLE: str(folder)} for each, folder in folders.items()}
            launches = _run_in_turn(harness, emulator, _SAMPLES_AS_BUILT, variables)
            found["container_seconds"] = _gather(launches, "container")
    return found


_Launches = Mapping[Contender, Sequence[Launch]]


def _run_in_turn(
    harness: Harness,
    emulator: VertexEmulator,
    samples: int,
    variables: Mapping[Contender, Mapping[str, str]],
) -> _Launches:
    """Run each once for nothing, and then as often as there are to be samples."""
    found: dict[Contender, list[Launch]] = {each: [] for each in CONTENDERS}
    for number in range(-1, samples):
        for each in CONTENDERS:
            launch = _run(harness.stacks, each, emulator, variables.get(each, {}))
            harness.say(f"{each}: job after {launch.launch:.2f} s, code {launch.container:.2f} s")
            if number >= 0:
                found[each].append(launch)
    for launch in found["plugin"]:
        if launch.clients != "[]":
            raise RuntimeError(f"The step's container loaded {launch.clients}.")
    return found


def _gather(launches: _Launches, field: Literal["launch", "container"]) -> Samples:
    return Samples(
        *(tuple(getattr(launch, field) for launch in launches[each]) for each in CONTENDERS)
    )


def _run(
    stacks: Stacks, operator: Contender, emulator: VertexEmulator, more: Mapping[str, str]
) -> Launch:
    begun: list[float] = []
    name = run_pipeline(stacks, operator, emulator, more, begun.append)
    job = emulator.job(name)
    if job.start_time is None:
        raise RuntimeError(f"{name} did not start")
    line = next(entry for entry in emulator.log_entries(name) if _FIRST_LINE in read_text(entry))
    clients = re.search(r"with (\[.*\]) loaded", read_text(line))
    return Launch(
        launch=job.create_time.timestamp() - begun[0],
        container=(read_time(line["timestamp"]) - job.start_time).total_seconds(),
        clients=clients[1] if clients else "?",
    )


def run_pipeline(
    stacks: Stacks,
    operator: Contender,
    emulator: VertexEmulator,
    variables: Mapping[str, str],
    begins: Callable[[float], object] = id,
) -> str:
    """Run a pipeline until its job has ended, and return the job's name.

    Args:
        stacks: The stacks.
        operator: On which of them.
        emulator: Its Vertex AI.
        variables: More variables of the pipeline's process.
        begins: Called with the time of the pipeline's call, in seconds since 1970.
    """
    stack = stacks[operator]
    script = stack.make_project("launch", PIPELINE) / PIPELINE.name
    known = len(emulator.jobs)
    environment = {"AIPLATFORM_EMULATOR_HOST": emulator.host, **variables}
    with stack.start_pipeline(script, "", environment=environment) as process:
        begins(float(process.wait_for_line(r"run begins at ([\d.]+)", _SECONDS)[1]))
        emulator.wait_for(lambda: len(emulator.jobs) > known, seconds=_SECONDS)
        name = emulator.jobs[0].name
        emulator.wait_for_line(name, _FIRST_LINE, seconds=_SECONDS)
        # The built-in operator notices the end up to 16 s later.
        emulator.wait_for_state(name, seconds=_SECONDS)
    return name
