"""The figures: kept as JSON, shown as a table, and the machine that they come from."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from benchmarks.measurements import BY_ID, ROWS
from benchmarks.rows import Row
from benchmarks.samples import Samples

JSON_NAME, TABLE_NAME = "results.json", "RESULTS.md"
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured for a row: of ZenML's built-in operator, and of this one."""

    builtin: float
    ours: float

    @classmethod
    def of(cls, samples: Samples) -> "Figure":
        """The medians, with as many digits as they are worth."""
        return cls(*map(round_figure, samples.medians))


@dataclass(frozen=True, slots=True)
class Machine:
    """What figures depend on; no names and no paths."""

    # Cores that this process can use.
    cores: int
    # The model.
    cpu: str
    # Versions.
    python: str
    zenml: str
    aiplatform: str

    def describe(self) -> str:
        """The machine in one line."""
        return (
            f"{self.cores} cores of {self.cpu}, Python {self.python}, ZenML {self.zenml}, "
            f"google-cloud-aiplatform {self.aiplatform}"
        )


@dataclass(frozen=True, slots=True)
class Results:
    """Figures of one machine."""

    machine: Machine
    # By the row's ID.
    figures: Mapping[str, Figure] = field(default_factory=dict)

    def updated(self, newer: "Results") -> "Results":
        """These figures, updated by newer ones; the newer ones alone if the machine differs."""
        if newer.machine != self.machine:
            return newer
        return replace(self, figures={**self.figures, **newer.figures})

    def to_json(self) -> str:
        """What `parse` reads."""
        rows = [
            {"id": row.id, "builtin": figure.builtin, "ours": figure.ours, "unit": row.unit}
            for row, figure in self.found()
        ]
        return json.dumps({"machine": asdict(self.machine), "rows": rows}, indent=2) + "\n"

    @classmethod
    def parse(cls, text: str) -> "Results":
        """Read what `to_json` wrote, without rows that no longer exist."""
        content = json.loads(text)
        figures = {
            row["id"]: Figure(row["builtin"], row["ours"])
            for row in content["rows"]
            if row["id"] in BY_ID
        }
        return cls(Machine(**content["machine"]), figures)

    def found(self) -> list[tuple[Row, Figure]]:
        """The rows that have figures, in the order of the table."""
        return [(row, self.figures[row.id]) for row in ROWS if row.id in self.figures]


def find_machine() -> Machine:
    """This machine."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        cpu=_find_cpu(Path("/proc/cpuinfo")),
        python=platform.python_version(),
        zenml=version("zenml"),
        aiplatform=version("google-cloud-aiplatform"),
    )


def _find_cpu(file: Path) -> str:
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.machine()


def round_figure(value: float) -> float:
    """A figure with three digits, and every digit before the point."""
    return float(round(value)) if abs(value) >= 10**_DIGITS else float(f"{value:.{_DIGITS}g}")


def format_figure(value: float) -> str:
    """A figure for people."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,}"


def format_ratio(figure: Figure) -> str:
    """This operator's figure as a share of the built-in one's."""
    if figure.builtin <= 0:
        return "-"
    share = figure.ours / figure.builtin
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"  # noqa: PLR2004 - a tenth


def render(results: Results) -> str:
    """The table as Markdown."""
    lines = [
        "# What the operators cost",
        "",
        "Written by `make bench`; the same figures are in [results.json](results.json). ZenML's",
        "built-in operator, unmodified, and this one run in one harness, in turn, against the same",
        "emulator of Vertex AI. `make bench ROWS=import_seconds,lag_seconds_45` measures some rows",
        "again. Compare ratios and counts, not seconds: those are this machine's.",
        "",
        f"Machine: {results.machine.describe()}.",
        "",
        *format_table(results.found()),
        "",
        "[Scale and quotas](../docs/explanation/scale.md) explains the figures.",
    ]
    return "\n".join(lines) + "\n"


def format_table(found: Sequence[tuple[Row, Figure]]) -> list[str]:
    """Rows of a table in Markdown."""
    lines = [
        "| Row | What | Unit | Built-in | Ours | Ours/built-in | Target | Met | How |",
        "|---|---|---|--:|--:|--:|---|---|---|",
    ]
    for row, figure in found:
        is_met = row.target.is_met(figure.builtin, figure.ours)
        cells = [
            f"`{row.id}`",
            row.title,
            row.unit,
            format_figure(figure.builtin),
            format_figure(figure.ours),
            format_ratio(figure),
            row.target.text,
            "yes" if is_met else "**no**",
            row.how,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def load(folder: Path) -> Results | None:
    """The figures in a folder, if there are any."""
    file = folder / JSON_NAME
    return Results.parse(file.read_text("utf-8")) if file.exists() else None


def save(results: Results, folder: Path) -> None:
    """Write the figures, and their table, into a folder."""
    (folder / JSON_NAME).write_text(results.to_json(), "utf-8")
    (folder / TABLE_NAME).write_text(render(results), "utf-8")
