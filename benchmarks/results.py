"""The figures: kept as JSON, and shown as a table. Pure but for two files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from benchmarks.machine import Machine
from benchmarks.rows import BY_ID, ROWS, Row

JSON_NAME, TABLE_NAME = "results.json", "RESULTS.md"
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured for a row.

    Args:
        builtin: Of ZenML's built-in operator.
        ours: Of this one.
    """

    builtin: float
    ours: float


@dataclass(frozen=True, slots=True)
class Results:
    """Figures of one machine.

    Args:
        machine: The machine.
        figures: By the row's ID.
    """

    machine: Machine
    figures: Mapping[str, Figure] = field(default_factory=dict)

    def updated(self, newer: "Results") -> "Results":
        """These figures with newer ones over them; only those, if the machine is another."""
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
        """Read what `to_json` has written; rows that exist no longer are left out."""
        content = json.loads(text)
        figures = {
            row["id"]: Figure(row["builtin"], row["ours"])
            for row in content["rows"]
            if row["id"] in BY_ID
        }
        return cls(Machine(**content["machine"]), figures)

    def found(self) -> list[tuple[Row, Figure]]:
        """The rows that there are figures for, in order."""
        return [(row, self.figures[row.id]) for row in ROWS if row.id in self.figures]


def round_figure(value: float) -> float:
    """A figure with as many digits as it is worth: three, and all before the point."""
    return float(round(value)) if abs(value) >= 10**_DIGITS else float(f"{value:.{_DIGITS}g}")


def format_figure(value: float) -> str:
    """A figure for people."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,}"


def format_ratio(figure: Figure) -> str:
    """How much this operator needs of what the built-in one does."""
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
        is_met = row.is_met(figure.builtin, figure.ours)
        cells = [
            f"`{row.id}`",
            row.title,
            row.unit,
            format_figure(figure.builtin),
            format_figure(figure.ours),
            format_ratio(figure),
            row.target or "stated",
            ("yes" if is_met else "**no**") if row.target else "",
            row.how,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def load(folder: Path) -> Results | None:
    """The figures in a folder, if there are any."""
    file = folder / JSON_NAME
    return Results.parse(file.read_text("utf-8")) if file.exists() else None


def save(results: Results, folder: Path) -> None:
    """Write the figures, and the table of them, into a folder."""
    (folder / JSON_NAME).write_text(results.to_json(), "utf-8")
    (folder / TABLE_NAME).write_text(render(results), "utf-8")
