"""The table of `make bench`: its rows, its figures, and how both are stored."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measurements import BY_ID, ROWS, UnknownRowError, choose_rows
from benchmarks.results import (
    Machine,
    Results,
    find_machine,
    format_figure,
    format_ratio,
    load,
    render,
    save,
)
from benchmarks.rows import COUNTED, near_floor
from benchmarks.samples import Figure, Samples, percentile, round_figure

FOLDER = Path(__file__).parents[2] / "benchmarks"
MACHINE = Machine(2, "a CPU", "3.11.7", "0.98.0", "2.7.0")


def test_every_row_has_a_figure_or_is_said_to_have_none() -> None:
    """The committed table is rendered from the committed figures, and names rows without any."""
    assert len(BY_ID) == len(ROWS)
    results = load(FOLDER)
    assert results is not None
    assert set(results.measured) | set(results.missing) == set(BY_ID)
    table = (FOLDER / "RESULTS.md").read_text("utf-8")
    assert table == render(results)
    assert all(f"`{row}`" in table for row in BY_ID)
    assert (FOLDER / "results.json").read_text("utf-8") == results.to_json()


def test_every_committed_count_meets_its_target() -> None:
    """Each count on a manual clock, which is the same on every machine, meets its target."""
    results = load(FOLDER)
    assert results is not None
    counted = [(row, each.figure) for row, each in results.found() if row.how == COUNTED]
    assert len(counted) >= 12
    short = [row.id for row, each in counted if not row.target.is_met(each)]
    assert short == []


def test_the_results_do_not_identify_the_machine() -> None:
    """The results name cores, CPU and versions, but no host names and no paths."""
    text = (FOLDER / "results.json").read_text("utf-8")
    (machine,) = json.loads(text)["machines"]
    assert set(machine) == {"cores", "cpu", "python", "zenml", "aiplatform"}
    assert not re.search(r'": "/|/home/|/tmp/|/work', text)
    assert find_machine().cores >= 1


@pytest.mark.parametrize(
    ("row", "builtin", "ours", "is_met"),
    [
        ("import_seconds", 2.0, 0.039, True),
        ("import_seconds", 2.0, 0.04, False),
        ("lag_seconds_45", 60.0, 0.99, True),
        ("lag_seconds_45", 60.0, 1.0, False),
        ("reads_per_minute_1", 3.8, 12.0, True),
        ("reads_per_minute_100_peak", 700.0, 12.1, False),
        ("reads_per_minute_1000", 3750.0, 120.0, True),
        ("reads_per_minute_1000", 3750.0, 120.1, False),
        ("reads_per_minute_processes_1000", 3750.0, 600.0, False),
        ("threads_per_step", 0.0, 1.0, False),
        ("server_requests_per_step_minute_1", 0.0, 6.0, True),
        ("server_requests_per_step_minute_1", 0.0, 6.1, False),
        ("server_requests_per_step_minute_1000", 0.0, 0.0061, False),
    ],
)
def test_a_target_is_exact(row: str, builtin: float, ours: float, *, is_met: bool) -> None:
    """A target is 12 reads, plus 12 for each further hundred jobs, or a share of a figure."""
    assert BY_ID[row].target.is_met(Figure(builtin, ours)) == is_met


def test_rows_are_chosen_by_name() -> None:
    """Without IDs all rows are chosen, and a wrong ID is an error that lists all of them."""
    chosen = choose_rows(" lag_seconds_45, import_seconds,")
    assert [row.id for row in chosen] == ["import_seconds", "lag_seconds_45"]
    assert choose_rows("") == list(ROWS)
    with pytest.raises(UnknownRowError, match=r"lag_seconds_46.*lag_seconds_45"):
        choose_rows("lag_seconds_46")


def test_an_unknown_row_ends_the_command_before_anything_is_measured(tmp_path: Path) -> None:
    """The command exits with status 2 and writes no file."""
    command = [sys.executable, "-m", "benchmarks", "--rows=import", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Unknown row: import." in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_partial_run_replaces_only_its_rows(tmp_path: Path) -> None:
    """A partial run keeps the other rows, also those of another machine, which the table names."""
    first = {"import_seconds": Figure(2.0, 0.02), "lag_seconds_0": Figure(9.0, 0.5)}
    save(Results.of(MACHINE, first), tmp_path)
    older = load(tmp_path)
    assert older is not None
    again = Results.of(MACHINE, {"lag_seconds_0": Figure(8.0, 0.4)})
    assert older.updated(again) == Results.of(MACHINE, {**first, "lag_seconds_0": Figure(8.0, 0.4)})
    other = Machine(8, "b", "3.12.0", "0.98.0", "2.7.0")
    save(older.updated(Results.of(other, {"lag_seconds_0": Figure(8.0, 0.4)})), tmp_path)
    kept = load(tmp_path)
    assert kept is not None
    assert {row: each.machine for row, each in kept.measured.items()} == {
        "import_seconds": MACHINE,
        "lag_seconds_0": other,
    }
    table = (tmp_path / "RESULTS.md").read_text("utf-8")
    assert "- Machine A: 2 cores of a CPU" in table
    assert "- Machine B: 8 cores of b" in table
    assert re.search(r"`lag_seconds_0`.* B \|$", table, re.MULTILINE)


def test_written_results_are_read_back(tmp_path: Path) -> None:
    """The JSON has the fields of a row, and rows that no longer exist are left out."""
    written = Results.of(MACHINE, {"import_seconds": Figure(2.0, 0.02, 0.01)})
    save(written, tmp_path)
    content = json.loads((tmp_path / "results.json").read_text("utf-8"))
    row = {"id": "import_seconds", "builtin": 2.0, "ours": 0.02, "floor": 0.01, "unit": "s"}
    assert content["rows"] == [{**row, "machine": 0}]
    content["rows"].append({**row, "id": "gone", "machine": 0})
    results = Results.parse(json.dumps(content))
    assert results == written
    assert "2 cores of a CPU, Python 3.11.7, ZenML 0.98.0" in render(results)
    assert "| 2 | 0.02 | 1.0% | 0.01 | under 2% of the built-in's | yes |" in render(results)


def test_a_target_beside_the_floor_takes_a_floor() -> None:
    """A tenth more than the floor is allowed, and without a floor nothing is met."""
    target = near_floor()
    assert target.is_met(Figure(9.0, 2.2, 2.0))
    assert not target.is_met(Figure(9.0, 2.3, 2.0))
    assert not target.is_met(Figure(9.0, 0.1))


def test_the_99th_percentile_of_few_samples_is_the_worst() -> None:
    """No sample is left out where there are less than a hundred."""
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert percentile([float(number) for number in range(1, 201)], 0.99) == 198.0
    assert percentile([4.0], 0.5) == 4.0


def test_figures_have_three_digits() -> None:
    """Figures have three significant digits; counts keep every digit before the point."""
    assert [round_figure(value) for value in (0.0191234, 2.0749, 118.44, 3816.6667)] == [
        0.0191,
        2.07,
        118.0,
        3817.0,
    ]
    assert [format_figure(value) for value in (0.0191, 118.0, 3817.0)] == ["0.0191", "118", "3,817"]
    assert format_ratio(Figure(0.0, 114.0)) == "-"
    assert format_ratio(Figure(4.0, 3.0)) == "75%"
    assert format_ratio(Figure(200.0, 1.3)) == "0.7%"


def test_the_figure_of_a_row_is_the_median_of_its_samples() -> None:
    """One slow sample of five does not change the figure."""
    samples = Samples(builtin=(9.0, 1.0, 3.0, 2.0, 99.0), plugin=(0.1, 7.0, 0.3, 0.2, 0.2))
    assert Figure.of(samples) == Figure(builtin=3.0, ours=0.2)
