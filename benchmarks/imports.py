"""What the import of an operator's module costs, beyond `zenml.step_operators`.

As a program: imports one and prints seconds and megabytes.
"""

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path

from benchmarks.samples import OPERATORS, Operator, Samples

MODULES: dict[Operator, str] = {
    "builtin": "zenml.integrations.gcp.step_operators.vertex_step_operator",
    "plugin": "zenml_vertex.steps.operator",
}


def measure_imports(samples: int) -> dict[str, Samples]:
    """Import both in turn, each time in a new process.

    Returns:
        Samples of the rows `import_seconds` and `import_megabytes`.
    """
    from benchmarks.processes import run_alone

    found: dict[Operator, list[tuple[float, float]]] = {operator: [] for operator in OPERATORS}
    # The first import of each writes the bytecode.
    for number in range(-1, samples):
        for operator in OPERATORS:
            cost = run_alone("imports", MODULES[operator], operator=operator)
            if number >= 0:
                found[operator].append(tuple(cost))
    return {
        row: Samples(*(tuple(cost[index] for cost in found[op]) for op in OPERATORS))
        for index, row in enumerate(("import_seconds", "import_megabytes"))
    }


def read_resident_bytes() -> int:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Import the module that the command line names."""
    import zenml.step_operators  # noqa: F401 - what both need

    start, before = time.perf_counter(), read_resident_bytes()
    import_module(sys.argv[1])
    print(json.dumps([time.perf_counter() - start, (read_resident_bytes() - before) / 1e6]))


if __name__ == "__main__":
    main()
