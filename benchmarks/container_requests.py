"""Requests of a step's container, before the step's code and after it."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from benchmarks.harness import Harness
from benchmarks.launches import run_pipeline
from benchmarks.rows import Row, measures, more_than_floor
from benchmarks.samples import CONTENDERS, Contender, Samples
from benchmarks.stacks import open_emulator

# Read by `pipelines/timed.py`: the folder of the module that counts.
_COUNTS_VARIABLE = "BENCH_COUNTS"
_COUNTING = Path(__file__).parent / "counting"
_HOW = "1 container each; the floor and the built-in have ZenML's own entrypoint"
_WHOM = {"server": "the ZenML server", "storage": "the artifact store"}
# Whom, and when -> how many more than the floor's. Before: the claim. After: the removal of the
# claim, and the note that wakes the process which waits.
_MORE = {
    ("server", "before"): 0,
    ("storage", "before"): 1,
    ("server", "after"): 0,
    ("storage", "after"): 2,
}
_ROWS = {
    (whom, when): Row(
        f"container_{whom}_requests_{when}",
        "requests",
        f"Requests of a step's container to {_WHOM[whom]} "
        f"{'until user code runs' if when == 'before' else 'after user code'}",
        more_than_floor(more),
        _HOW,
    )
    for (whom, when), more in _MORE.items()
}
_BEFORE = re.compile(r"requests before user code: server (\d+), storage (\d+)")
_IN_ALL = re.compile(r"requests in all: server (\d+), storage (\d+)")


@measures(*_ROWS.values())
def measure_container_requests(harness: Harness, wanted: Collection[str]) -> Mapping[str, Samples]:
    """Run a pipeline of each, whose container counts what it sends."""
    del wanted
    found: dict[Contender, dict[tuple[str, str], int]] = {}
    with open_emulator() as emulator:
        for each in CONTENDERS:
            variables = {_COUNTS_VARIABLE: str(_COUNTING)}
            name = run_pipeline(harness.stacks, each, emulator, variables)
            lines = emulator.log_lines(name)
            before, in_all = (_read(pattern, lines) for pattern in (_BEFORE, _IN_ALL))
            harness.say(f"{each}: {before} requests before user code, {in_all} in all")
            found[each] = {
                **{(whom, "before"): before[whom] for whom in _WHOM},
                **{(whom, "after"): in_all[whom] - before[whom] for whom in _WHOM},
            }
    return {
        row.id: Samples(*((float(found[each][key]),) for each in CONTENDERS))
        for key, row in _ROWS.items()
    }


def _read(pattern: re.Pattern[str], lines: list[str]) -> dict[str, int]:
    match = next((match for line in lines if (match := pattern.search(line))), None)
    if match is None:
        raise RuntimeError("\n".join(["The container did not say what it sent:", *lines]))
    return {"server": int(match[1]), "storage": int(match[2])}
