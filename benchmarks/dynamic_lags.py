"""From the end of a step's code to what comes after it in a dynamic pipeline."""

import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timezone
from pathlib import Path
from uuid import uuid4

from benchmarks.harness import Harness
from benchmarks.rows import Row, below, measures
from benchmarks.samples import OPERATORS, Operator, Samples
from benchmarks.stacks import PIPELINE, Stacks, open_emulator
from zenml_vertex.local_stack.views.pipelines import Completed, PipelineProcess
from zenml_vertex.local_stack.views.zenml import StepRecord

_SCRIPT = PIPELINE.with_name("chained.py")
_FIRST_LINE = "first line of user code"
_TEARDOWN_SECONDS = 15.0
_SECONDS = 180.0
# How long user code runs.
_LENGTHS = (9.0, 24.0, 40.0)
_HOW = "median of 3 steps of 9 to 40 s"
# What says when the pipeline went on -> its row.
_ROWS = {
    "next step at": Row(
        "lag_dynamic_seconds",
        "s",
        "From the end of a step's code to the first line of the step that follows it in a dynamic "
        f"pipeline, where Vertex AI takes {_TEARDOWN_SECONDS:.0f} s to tear the job down",
        below(3.0, "s"),
        _HOW,
    ),
    "result at": Row(
        "lag_dynamic_result_seconds",
        "s",
        "The same to the moment at which the pipeline function has the step's result, for which "
        "ZenML itself looks after 1, 3, 7, 15, 31 ... s",
        below(32.0, "s"),
        _HOW,
    ),
}


@measures(*_ROWS.values())
def measure_dynamic_lags(harness: Harness, wanted: Collection[str]) -> Mapping[str, Samples]:
    """Let steps of dynamic pipelines end, one operator after the other."""
    found = {operator: _measure(harness, operator) for operator in OPERATORS}
    return {
        row.id: Samples(*(tuple(lags[text] for lags in found[op]) for op in OPERATORS))
        for text, row in _ROWS.items()
        if row.id in wanted
    }


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A dynamic pipeline whose step runs user code."""

    process: PipelineProcess
    # The file that the step waits for.
    gate: Path
    step: StepRecord

    def end(self) -> Completed:
        """Let the step end, and the pipeline."""
        self.gate.touch()
        return self.process.wait(_SECONDS)


@contextmanager
def hold_dynamic_step(stacks: Stacks, operator: Operator) -> Iterator[HeldRun]:
    """A step of a dynamic pipeline that runs user code until it is told to end."""
    stack = stacks[operator]
    gate = stacks.folder / f"gate-{uuid4()}"
    script = stack.make_project("chained", _SCRIPT) / _SCRIPT.name
    with open_emulator(teardown=_TEARDOWN_SECONDS) as emulator:
        variables = {"AIPLATFORM_EMULATOR_HOST": emulator.host}
        with stack.start_pipeline(script, str(gate), environment=variables) as process:
            emulator.wait_for(lambda: len(emulator.jobs) > 0, seconds=_SECONDS)
            emulator.wait_for_line(emulator.jobs[0].name, _FIRST_LINE, seconds=_SECONDS)
            if process.run_id is None:
                raise RuntimeError(f"The pipeline has no run:\n{process.output}")
            yield HeldRun(process, gate, stack.records.fetch_run(process.run_id).step("timed"))


def _measure(harness: Harness, operator: Operator) -> list[dict[str, float]]:
    found = []
    for length in _LENGTHS:
        with hold_dynamic_step(harness.stacks, operator) as held:
            time.sleep(length)
            completed = held.end()
        end = completed.run.step("timed").end_time
        if end is None:
            raise RuntimeError(f"The step has not finished:\n{completed.output}")
        ended = end.replace(tzinfo=timezone.utc).timestamp()
        lags = {text: _read_time(text, completed.output) - ended for text in _ROWS}
        harness.say(f"{operator}: after a step of {length:.0f} s, {lags}")
        found.append(lags)
    return found


def _read_time(text: str, output: str) -> float:
    match = re.search(rf"{text} ([0-9.]+)", output)
    if match is None:
        raise RuntimeError(f"The pipeline did not print `{text}`:\n{output}")
    return float(match[1])
