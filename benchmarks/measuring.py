"""Which part of the harness measures which rows."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property

from benchmarks.processes import run_alone
from benchmarks.results import Figure, round_figure
from benchmarks.rows import STEPS, TEARDOWNS, Row
from benchmarks.samples import Samples, Say
from benchmarks.simulated_vertex import count_by_minute, open_ground

SAMPLES = 5
HOUR = 60
# 1,000 jobs are created in 17 minutes; what is steady is seen after that.
_CROWD = 1000
_CROWD_MINUTES, _CROWD_STEADY_MINUTES = 35, 10
_QUESTION_MINUTES = 2

Part = Callable[["Harness", set[str]], dict[str, Figure]]


@dataclass
class Harness:
    """What the parts share.

    Args:
        say: Is told what happens.
        running: What is started here, and ends with it.
    """

    say: Say
    running: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def stacks(self) -> "object":
        """A stack for each operator; started when a row needs them."""
        from benchmarks.stacks import open_stacks

        return self.running.enter_context(open_stacks(self.say))


def measure(rows: Sequence[Row], say: Say) -> dict[str, Figure]:
    """Measure rows.

    Args:
        rows: Which.
        say: Is told what happens.

    Returns:
        Figures by the row's ID; a part that measures one row may give others with it.
    """
    wanted = {row.id for row in rows}
    figures: dict[str, Figure] = {}
    harness = Harness(say)
    with harness.running:
        for part in PARTS:
            figures |= part(harness, wanted)
    return {row.id: figures[row.id] for row in rows}


def _measure_imports(harness: Harness, wanted: set[str]) -> dict[str, Figure]:
    if not wanted & {"import_seconds", "import_megabytes"}:
        return {}
    from benchmarks.imports import measure_imports

    harness.say("Importing both operators.")
    return _take_medians(measure_imports(SAMPLES))


def _measure_launches(harness: Harness, wanted: set[str]) -> dict[str, Figure]:
    if not wanted & {"container_seconds", "launch_seconds"}:
        return {}
    from benchmarks.launches import measure_launches

    return _take_medians(measure_launches(harness.stacks, SAMPLES, harness.say))


def _measure_lags(harness: Harness, wanted: set[str]) -> dict[str, Figure]:
    teardowns = [seconds for seconds in TEARDOWNS if f"lag_seconds_{seconds}" in wanted]
    if not teardowns:
        return {}
    from benchmarks.lags import measure_lags

    found = measure_lags(harness.stacks, teardowns, SAMPLES, harness.say)
    return _take_medians({f"lag_seconds_{seconds:.0f}": each for seconds, each in found.items()})


def _measure_reads(harness: Harness, wanted: set[str]) -> dict[str, Figure]:
    ids = {steps: f"reads_per_minute_{steps}" for steps in STEPS}
    counts = [steps for steps, id_ in ids.items() if wanted & {id_, f"{id_}_peak"}]
    crowd = f"reads_per_minute_processes_{_CROWD}"
    is_crowd_wanted = bool(wanted & {crowd, f"{crowd}_peak"})
    if not counts and not is_crowd_wanted:
        return {}
    own = run_alone("own_wait", str(HOUR), operator="builtin")
    figures: dict[str, Figure] = {}
    for steps in counts:
        figures |= _measure_process(ids[steps], steps, own)
        harness.say(f"{steps} steps in one process: {figures[ids[steps]]}")
    if is_crowd_wanted:
        figures |= _measure_crowd(crowd, own)
        harness.say(f"{_CROWD} processes: {figures[crowd]}")
    return figures


def _measure_process(row: str, steps: int, own: Sequence[float]) -> dict[str, Figure]:
    from benchmarks.reads import count_reads

    # Each step of the built-in operator waits for itself.
    builtin = [steps * reads for reads in count_by_minute(own, HOUR)]
    ours = count_reads(steps, HOUR)
    return {
        row: _build_figure(sum(builtin) / HOUR, sum(ours) / HOUR),
        f"{row}_peak": _build_figure(max(builtin), max(ours)),
    }


def _measure_crowd(row: str, own: Sequence[float]) -> dict[str, Figure]:
    from benchmarks.crowd import run_crowd, spread_reads

    builtin = spread_reads(own, _CROWD, _CROWD_MINUTES)
    with open_ground() as ground:
        ours = run_crowd(ground, _CROWD, _CROWD_MINUTES)
    steady = _CROWD_STEADY_MINUTES
    return {
        row: _build_figure(sum(builtin[-steady:]) / steady, sum(ours[-steady:]) / steady),
        f"{row}_peak": _build_figure(max(builtin), max(ours)),
    }


def _measure_rounds(harness: Harness, wanted: set[str]) -> dict[str, Figure]:
    if not wanted & {"runner_round_seconds_1000", "kilobytes_per_step", "threads_per_step"}:
        return {}
    from benchmarks.runner_rounds import measure_rounds

    rounds = {"builtin": 1, "plugin": SAMPLES}
    found = measure_rounds(harness.stacks, STEPS[-1], rounds, harness.say)
    figures = _take_medians(found)
    figures["runner_round_seconds_1000"] = figures.pop("runner_round_seconds")
    return figures


def _measure_questions(harness: Harness, wanted: set[str]) -> dict[str, Figure]:
    ids = {steps: f"server_requests_per_step_minute_{steps}" for steps in (1, 1000)}
    counts = [steps for steps, id_ in ids.items() if id_ in wanted]
    if not counts:
        return {}
    from benchmarks.server_requests import measure_questions

    found = measure_questions(harness.stacks, counts, _QUESTION_MINUTES, harness.say)
    return _take_medians({ids[steps]: samples for steps, samples in found.items()})


def _take_medians(found: dict[str, Samples]) -> dict[str, Figure]:
    return {row: _build_figure(*samples.medians) for row, samples in found.items()}


def _build_figure(builtin: float, ours: float) -> Figure:
    return Figure(round_figure(builtin), round_figure(ours))


PARTS: tuple[Part, ...] = (
    _measure_imports,
    _measure_reads,
    _measure_launches,
    _measure_lags,
    _measure_rounds,
    _measure_questions,
)
