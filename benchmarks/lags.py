"""From the end of a step's code to the moment at which the pipeline notices."""

import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timezone
from pathlib import Path
from uuid import uuid4

from benchmarks.harness import Harness
from benchmarks.rows import Row, below, measures
from benchmarks.samples import OPERATORS, Operator, Samples, percentile
from benchmarks.stacks import PIPELINE, Stacks, open_emulator
from vertex_emulator import VertexEmulator
from zenml_vertex.local_stack.views.pipelines import PipelineProcess
from zenml_vertex.local_stack.views.zenml import StepRecord

_FIRST_LINE = "first line of user code"
_FINISHED = "Step `timed` has finished"
_SECONDS = 180.0
# Seconds for which the steps run: the built-in operator looks every 16 s after the first half
# minute, so that one length alone would measure where in its sleep the step ends.
_LENGTHS = (2.0, 6.0, 11.0, 19.0, 31.0)
# Pipelines that wait side by side. The built-in operator's ask the server nothing.
_SIDE_BY_SIDE: dict[Operator, int] = {"builtin": 15, "plugin": 1}
# Pipelines that start at the same time.
_BATCH = 2
# Seconds from the end of a container to that of its job.
_TEARDOWNS = (0, 15, 45)
_HOW = (
    f"of steps of {_LENGTHS[0]:.0f} to {_LENGTHS[-1]:.0f} s; ours with no other process that waits"
)
_ROWS = {
    teardown: Row(
        f"lag_seconds_{teardown}",
        "s",
        "From the end of a step's code to the moment at which the pipeline notices, where Vertex "
        f"AI takes {teardown} s to tear the job down",
        below(1.0, "s"),
        f"median of {len(_LENGTHS)} static pipelines, {_HOW}",
    )
    for teardown in _TEARDOWNS
}
_WORST = Row(
    "lag_seconds_p99",
    "s",
    "The same: the 99th percentile for all three, which is the worst",
    below(3.0, "s"),
    f"{len(_LENGTHS) * len(_TEARDOWNS)} static pipelines, {_HOW}",
)


@dataclass(slots=True)
class _Waiting:
    """A pipeline whose step waits for a file."""

    # Seconds from the end of its container to that of its job.
    teardown: int
    process: PipelineProcess
    gate: Path
    # When the pipeline said that the step has finished; seconds since 1970.
    finished: float | None = field(default=None)

    def listen(self) -> None:
        """Note when the pipeline says that the step has finished."""
        for line in self.process.lines(10 * _SECONDS):
            if _FINISHED in line:
                self.finished = time.time()

    def measure(self) -> float:
        """Seconds from the end that the step reported to the pipeline's line.

        Raises:
            RuntimeError: If the step did not succeed; with the pipeline's output.
        """
        step = self.process.wait(_SECONDS).run.step("timed")
        if step.status != "completed" or step.end_time is None or self.finished is None:
            raise RuntimeError(f"The step is {step.status}:\n{self.process.output}")
        return self.finished - step.end_time.replace(tzinfo=timezone.utc).timestamp()


@contextmanager
def hold_step(stacks: Stacks, operator: Operator) -> Iterator[StepRecord]:
    """A step that runs user code for the length of the context."""
    with open_emulator() as emulator, ExitStack() as running:
        (held,) = _start(stacks, operator, {0: emulator}, [0], running)
        run_id = held.process.run_id
        if run_id is None:
            raise RuntimeError(f"The pipeline has no run:\n{held.process.output}")
        yield stacks[operator].records.fetch_run(run_id).step("timed")
        held.gate.touch()
        held.process.wait(_SECONDS)


@measures(*_ROWS.values(), _WORST)
def measure_lags(harness: Harness, wanted: Collection[str]) -> Mapping[str, Samples]:
    """Let steps of both operators end, one operator after the other."""
    teardowns = [teardown for teardown, row in _ROWS.items() if {row.id, _WORST.id} & set(wanted)]
    with ExitStack() as running:
        emulators = {
            teardown: running.enter_context(open_emulator(teardown=teardown))
            for teardown in teardowns
        }
        lags = {operator: _measure(harness, operator, emulators) for operator in OPERATORS}
    found = {
        _ROWS[teardown].id: Samples(*(tuple(lags[operator][teardown]) for operator in OPERATORS))
        for teardown in teardowns
    }
    worst = [
        percentile([lag for each in lags[operator].values() for lag in each], 0.99)
        for operator in OPERATORS
    ]
    return {**found, _WORST.id: Samples(*((lag,) for lag in worst))}


def _measure(
    harness: Harness, operator: Operator, emulators: Mapping[int, VertexEmulator]
) -> dict[int, list[float]]:
    lags: dict[int, list[float]] = {teardown: [] for teardown in emulators}
    # The longest teardowns first.
    planned = [
        (teardown, length)
        for teardown in sorted(emulators, reverse=True)
        for length in reversed(_LENGTHS)
    ]
    together = _SIDE_BY_SIDE[operator]
    for first in range(0, len(planned), together):
        crowd = planned[first : first + together]
        with ExitStack() as running:
            waiting: list[_Waiting] = []
            for start in range(0, len(crowd), _BATCH):
                batch = crowd[start : start + _BATCH]
                teardowns = [teardown for teardown, _ in batch]
                started = _start(harness.stacks, operator, emulators, teardowns, running)
                for each, (_, length) in zip(started, batch, strict=True):
                    threading.Timer(length, each.gate.touch).start()
                waiting += started
            for each in waiting:
                lag = each.measure()
                lags[each.teardown].append(lag)
                harness.say(
                    f"{operator}: {lag:.2f} s after its end, with a teardown of {each.teardown} s"
                )
    return lags


def _start(
    stacks: Stacks,
    operator: Operator,
    emulators: Mapping[int, VertexEmulator],
    batch: Sequence[int],
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
