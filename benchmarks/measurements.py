"""All measurements, in the order of the table."""

from collections.abc import Sequence

from benchmarks.container_requests import measure_container_requests
from benchmarks.dynamic_lags import measure_dynamic_lags
from benchmarks.harness import Harness
from benchmarks.imports import measure_imports
from benchmarks.lags import measure_lags
from benchmarks.launches import measure_launches
from benchmarks.reads import measure_reads
from benchmarks.rows import Measurement, Row
from benchmarks.runner_rounds import measure_rounds
from benchmarks.samples import Samples, Say
from benchmarks.server_requests import measure_server_requests
from benchmarks.waiting import measure_waiting

MEASUREMENTS: tuple[Measurement, ...] = (
    measure_imports,
    measure_launches,
    measure_container_requests,
    measure_lags,
    measure_dynamic_lags,
    measure_reads,
    measure_rounds,
    measure_server_requests,
    measure_waiting,
)
ROWS = tuple(row for measurement in MEASUREMENTS for row in measurement.rows)
BY_ID = {row.id: row for row in ROWS}


class UnknownRowError(Exception):
    """An ID that no row has."""


def choose_rows(text: str) -> list[Row]:
    """The rows of a list like `import_seconds,lag_seconds_45`; all, if it is empty.

    Raises:
        UnknownRowError: If no row has one of the IDs.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in BY_ID]:
        raise UnknownRowError(f"Unknown row: {', '.join(unknown)}. Rows: {', '.join(BY_ID)}.")
    return [row for row in ROWS if not names or row.id in names]


def measure(rows: Sequence[Row], say: Say) -> dict[str, Samples]:
    """Measure rows, and return their samples by ID."""
    wanted = {row.id for row in rows}
    found: dict[str, Samples] = {}
    harness = Harness(say)
    with harness.running:
        for measurement in MEASUREMENTS:
            if ids := wanted & {row.id for row in measurement.rows}:
                found.update(measurement.measure(harness, ids))
    return {row.id: found[row.id] for row in rows}
