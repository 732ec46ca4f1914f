"""Both operators' stacks, and emulators of Vertex AI that both use."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.samples import OPERATORS, Operator, Say
from vertex_emulator import Timings, VertexEmulator
from zenml_vertex.local_stack.registration import StackPlan
from zenml_vertex.local_stack.stack import LocalStack
from zenml_vertex.local_stack.start import start_local_stack

# Of the stacks' step operators.
PROJECT_OF_STACKS, REGION_OF_STACKS = StackPlan().project, StackPlan().region
PIPELINE = Path(__file__).parent / "pipelines" / "timed.py"


@dataclass(frozen=True, slots=True)
class Stacks:
    """A stack for each operator."""

    # The emulator of each is not used here.
    stacks: Mapping[Operator, LocalStack]
    # For the files that steps wait for.
    folder: Path

    def __getitem__(self, operator: Operator) -> LocalStack:
        return self.stacks[operator]


@contextmanager
def open_stacks(say: Say) -> Iterator[Stacks]:
    """Start a stack for each operator; both are stopped at the end."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        stacks: dict[Operator, LocalStack] = {}
        for operator in OPERATORS:
            say(f"Starting a ZenML server with the step operator `{operator}`.")
            stack = start_local_stack(folder / operator, operator=operator)
            stacks[operator] = running.enter_context(stack)
        yield Stacks(stacks, folder)


@contextmanager
def open_emulator(*, teardown: float = 0.0) -> Iterator[VertexEmulator]:
    """An emulator that runs jobs as processes of this machine.

    Args:
        teardown: Seconds from the container's end to that of its job.
    """
    with VertexEmulator(timings=Timings(provisioning=0.0, teardown=teardown)) as emulator:
        yield emulator
