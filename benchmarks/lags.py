"""From a step's own end to the step's end for whoever runs the pipeline."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timezone
from pathlib import Path
from uuid import uuid4

from benchmarks.samples import OPERATORS, Operator, Samples, Say
from benchmarks.stacks import PIPELINE, Stacks, open_emulator
from vertex_emulator import VertexEmulator
from zenml_vertex.local_stack.views.pipelines import PipelineProcess
from zenml_vertex.local_stack.views.zenml import StepFacts

_FIRST_LINE = "first line of user code"
_FINISHED = "Step `timed` has finished"
_SECONDS = 180.0
# Pipelines that start at one time.
_AT_ONCE = 2
# Between two ends, so that one does not disturb the other.
_APART_SECONDS = 1.7


@dataclass(slots=True)
class _Waiting:
    """A pipeline whose step waits for a gate.

    Args:
        teardown: Seconds that its job needs after its container.
        process: The pipeline.
        gate: The file that the step waits for.
        finished: When the pipeline has said that the step is over; seconds since 1970.
    """

    teardown: float
    process: PipelineProcess
    gate: Path
    finished: float | None = field(default=None)

    def listen(self) -> None:
        """Take note of the moment at which the step is over for the pipeline."""
        for line in self.process.lines(10 * _SECONDS):
            if _FINISHED in line:
                self.finished = time.time()

    def measure(self) -> float:
        """Seconds from the end that the step has reported to the pipeline's line.

        Raises:
            RuntimeError: If the step did not succeed; shows the output.
        """
        step = self.process.wait(_SECONDS).run.step("timed")
        if step.status != "completed" or step.end_time is None or self.finished is None:
            raise RuntimeError(f"The step is {step.status}:\n{self.process.output}")
        return self.finished - step.end_time.replace(tzinfo=timezone.utc).timestamp()


@contextmanager
def hold_step(stacks: Stacks, operator: Operator) -> Iterator[StepFacts]:
    """A step that runs user code until the end of the context."""
    with open_emulator() as emulator, ExitStack() as running:
        (held,) = _start(stacks, operator, {0.0: emulator}, [0.0], running)
        run_id = held.process.run_id
        if run_id is None:
            raise RuntimeError(f"There is no run:\n{held.process.output}")
        yield stacks[operator].records.fetch_run(run_id).step("timed")
        held.gate.touch()
        held.process.wait(_SECONDS)


def measure_lags(
    stacks: Stacks, teardowns: Iterable[float], samples: int, say: Say
) -> dict[float, Samples]:
    """Let steps of both operators end, each operator in its turn.

    All pipelines of an operator wait first, so that nothing starts while one ends. The
    jobs with the longest teardown end first.

    Args:
        stacks: The stacks.
        teardowns: Seconds from the end of a container to that of its job.
        samples: Steps for each operator and teardown.
        say: Is told what happens.

    Returns:
        Seconds for each teardown.
    """
    ordered = sorted(teardowns, reverse=True)
    with ExitStack() as running:
        emulators = {
            teardown: running.enter_context(open_emulator(teardown=teardown))
            for teardown in ordered
        }
        found = {
            operator: _measure(stacks, operator, emulators, samples, say) for operator in OPERATORS
        }
    return {
        teardown: Samples(*(tuple(found[operator][teardown]) for operator in OPERATORS))
        for teardown in ordered
    }


def _measure(
    stacks: Stacks,
    operator: Operator,
    emulators: Mapping[float, VertexEmulator],
    samples: int,
    say: Say,
) -> dict[float, list[float]]:
    with ExitStack() as running:
        waiting: list[_Waiting] = []
        planned = [teardown for teardown in emulators for _ in range(samples)]
        for start in range(0, len(planned), _AT_ONCE):
            batch = planned[start : start + _AT_ONCE]
            waiting += _start(stacks, operator, emulators, batch, running)
            say(f"{operator}: {len(waiting)} of {len(planned)} steps wait")
        for each in waiting:
            each.gate.touch()
            time.sleep(_APART_SECONDS)
        lags: dict[float, list[float]] = {teardown: [] for teardown in emulators}
        for each in waiting:
            lag = each.measure()
            say(f"{operator}: {lag:.2f} s after its end, with a teardown of {each.teardown:.0f} s")
            lags[each.teardown].append(lag)
        return lags


def _start(
    stacks: Stacks,
    operator: Operator,
    emulators: Mapping[float, VertexEmulator],
    batch: Sequence[float],
    running: ExitStack,
) -> list[_Waiting]:
    """Start pipelines; returns when their steps run user code."""
    known = {id(emulator): len(emulator.jobs) for emulator in emulators.values()}
    started = []
    for teardown in batch:
        stack, emulator = stacks[operator], emulators[teardown]
        script = stack.make_project("lag", PIPELINE) / PIPELINE.name
        gate = stacks.folder / f"gate-{uuid4()}"
        variables = {"AIPLATFORM_EMULATOR_HOST": emulator.host}
        process = running.enter_context(
            stack.start_pipeline(script, str(gate), environment=variables)
        )
        each = _Waiting(teardown, process, gate)
        threading.Thread(target=each.listen, daemon=True).start()
        started.append(each)
    for teardown in set(batch):
        emulator = emulators[teardown]
        wanted = known[id(emulator)] + batch.count(teardown)
        emulator.wait_for(lambda: len(emulator.jobs) >= wanted, seconds=_SECONDS)  # noqa: B023
        for job in emulator.jobs[: batch.count(teardown)]:
            emulator.wait_for_line(job.name, _FIRST_LINE, seconds=_SECONDS)
    return started
