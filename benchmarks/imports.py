"""What the import of an operator's module costs, beyond `zenml.step_operators`.

As a program: imports a module and prints seconds and megabytes. Imports nothing else of
either operator, which would be missing in the figures.
"""

import json
import os
import sys
import time
from collections.abc import Collection, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.rows import MEDIAN_OF_5, Row, below_share, measures
from benchmarks.samples import OPERATORS, Operator, Samples

if TYPE_CHECKING:
    from benchmarks.harness import Harness

MODULES: dict[Operator, str] = {
    "builtin": "zenml.integrations.gcp.step_operators.vertex_step_operator",
    "plugin": "zenml_vertex.steps.operator",
}


@measures(
    Row(
        "import_seconds",
        "s",
        "Import of the operator's module, beyond `zenml.step_operators`",
        below_share(0.02),
        MEDIAN_OF_5,
    ),
    Row(
        "import_megabytes",
        "MB",
        "Memory that the import takes",
        below_share(0.02),
        MEDIAN_OF_5,
    ),
)
def measure_imports(harness: "Harness", wanted: Collection[str]) -> Mapping[str, Samples]:
    """Import both in turn, each time in a new process."""
    from benchmarks.harness import SAMPLES
    from benchmarks.processes import run_alone

    del wanted
    harness.say("Importing both operators.")
    found: dict[Operator, list[tuple[float, float]]] = {operator: [] for operator in OPERATORS}
    # The first import of each writes the bytecode.
    for number in range(-1, SAMPLES):
        for operator in OPERATORS:
            cost = run_alone("imports", MODULES[operator], operator=operator)
            if number >= 0:
                found[operator].append((cost[0], cost[1]))
    return {
        row: Samples(*(tuple(cost[index] for cost in found[op]) for op in OPERATORS))
        for index, row in enumerate(("import_seconds", "import_megabytes"))
    }


def read_resident_bytes() -> int:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Import the module that the command line names."""
    import zenml.step_operators  # noqa: F401 - both need it

    start, before = time.perf_counter(), read_resident_bytes()
    import_module(sys.argv[1])
    print(json.dumps([time.perf_counter() - start, (read_resident_bytes() - before) / 1e6]))


if __name__ == "__main__":
    main()
