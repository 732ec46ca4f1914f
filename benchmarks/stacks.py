"""Both operators' stacks, and emulators of Vertex AI that both use."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.processes import ROOT
from benchmarks.samples import OPERATORS, Contender, Say
from vertex_emulator import Timings, VertexEmulator
from zenml_vertex.local_stack.registration import StackPlan
from zenml_vertex.local_stack.stack import LocalStack
from zenml_vertex.local_stack.start import start_local_stack

# Of the stacks' step operators.
PROJECT_OF_STACKS, REGION_OF_STACKS = StackPlan().project, StackPlan().region
FLOOR = "floor"
"""The name of the flavor, the component and the stack of `floor.py`."""
PIPELINE = Path(__file__).parent / "pipelines" / "timed.py"


@dataclass(frozen=True, slots=True)
class Stacks:
    """A stack for each operator."""

    # The emulator of each is not used here.
    stacks: Mapping[Contender, LocalStack]
    # For the files that steps wait for.
    folder: Path

    def __getitem__(self, operator: Contender) -> LocalStack:
        return self.stacks[operator]


@contextmanager
def open_stacks(say: Say) -> Iterator[Stacks]:
    """Start a stack for each operator; both are stopped at the end."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        stacks: dict[Contender, LocalStack] = {}
        for operator in OPERATORS:
            say(f"Starting a ZenML server with the step operator `{operator}`.")
            stack = start_local_stack(folder / operator, operator=operator)
            stacks[operator] = running.enter_context(stack)
        stacks["floor"] = register_floor(stacks["builtin"])
        yield Stacks(stacks, folder)


def register_floor(stack: LocalStack) -> LocalStack:
    """Register a stack with the same components and the operator of `floor.py`.

    Args:
        stack: Whose components they are; the server is shared.
    """
    create, stack_id = stack.records.create, stack.environment["ZENML_ACTIVE_STACK_ID"]
    create("/flavors", {
        "name": FLOOR,
        "type": "step_operator",
        "source": "benchmarks.floor.FloorStepOperatorFlavor",
        "config_schema": {"type": "object", "properties": {}},
        "integration": "custom",
        "is_custom": True,
    })  # fmt: skip
    component = {"name": FLOOR, "type": "step_operator", "flavor": FLOOR, "configuration": {}}
    known = stack.records.fetch(f"/stacks/{stack_id}", {"hydrate": "true"})
    members = {
        kind: [each["id"] for each in components]
        for kind, components in known["metadata"]["components"].items()
    }
    members["step_operator"] = [create("/components", component)["id"]]
    floor = create("/stacks", {"name": FLOOR, "components": members})
    variables = {
        "ZENML_ACTIVE_STACK_ID": floor["id"],
        "PYTHONPATH": str(ROOT),
        "BENCH_STEP_OPERATOR": FLOOR,
    }
    return replace(stack, environment={**stack.environment, **variables})


@contextmanager
def open_emulator(*, teardown: float = 0.0) -> Iterator[VertexEmulator]:
    """An emulator that runs jobs as processes of this machine.

    Args:
        teardown: Seconds from the container's end to that of its job.
    """
    with VertexEmulator(timings=Timings(provisioning=0.0, teardown=teardown)) as emulator:
        yield emulator
