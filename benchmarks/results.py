"""The figures: kept as JSON, shown as a table, and the machines that they come from."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from string import ascii_uppercase

from benchmarks.measurements import BY_ID, ROWS
from benchmarks.rows import Row
from benchmarks.samples import Figure

JSON_NAME, TABLE_NAME = "results.json", "RESULTS.md"


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
class Measured:
    """A row's figure, and where it was measured."""

    figure: Figure
    machine: Machine


@dataclass(frozen=True, slots=True)
class Results:
    """Figures, each with its machine."""

    # By the row's ID.
    measured: Mapping[str, Measured] = field(default_factory=dict)

    @classmethod
    def of(cls, machine: Machine, figures: Mapping[str, Figure]) -> "Results":
        """Figures of one machine."""
        return cls({row: Measured(figure, machine) for row, figure in figures.items()})

    def updated(self, newer: "Results") -> "Results":
        """These figures, and newer ones in their place; what was not measured again stays."""
        return Results({**self.measured, **newer.measured})

    @property
    def missing(self) -> list[str]:
        """The IDs of rows that have no figures."""
        return [row.id for row in ROWS if row.id not in self.measured]

    @property
    def machines(self) -> list[Machine]:
        """The machines, in the order of the rows."""
        return list(dict.fromkeys(each.machine for _, each in self.found()))

    def to_json(self) -> str:
        """What `parse` reads."""
        machines = self.machines
        rows = [
            {
                "id": row.id,
                "builtin": each.figure.builtin,
                "ours": each.figure.ours,
                **({} if each.figure.floor is None else {"floor": each.figure.floor}),
                "unit": row.unit,
                "machine": machines.index(each.machine),
            }
            for row, each in self.found()
        ]
        content = {"machines": [asdict(machine) for machine in machines], "rows": rows}
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def parse(cls, text: str) -> "Results":
        """Read what `to_json` wrote, without rows that no longer exist."""
        content = json.loads(text)
        machines = [Machine(**machine) for machine in content["machines"]]
        return cls(
            {
                row["id"]: Measured(
                    Figure(row["builtin"], row["ours"], row.get("floor")),
                    machines[row["machine"]],
                )
                for row in content["rows"]
                if row["id"] in BY_ID
            }
        )

    def found(self) -> list[tuple[Row, Measured]]:
        """The rows that have figures, in the order of the table."""
        return [(row, self.measured[row.id]) for row in ROWS if row.id in self.measured]


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
        "emulator of Vertex AI. The floor is an operator that does only what ZenML asks of each.",
        "`make bench ROWS=import_seconds,lag_seconds_45` measures some rows again, and leaves the",
        "others. Compare ratios and counts, not seconds: those are the machine's.",
        "",
        *format_machines(results.machines),
        "",
        *format_table(results),
        "",
        *format_missing(results.missing),
        "[Scale and quotas](../docs/explanation/scale.md) explains the figures.",
    ]
    return "\n".join(lines) + "\n"


def format_machines(machines: Sequence[Machine]) -> list[str]:
    """The machines, with the letters that a table has of them if there are several."""
    if len(machines) == 1:
        return [f"Machine: {machines[0].describe()}."]
    return [
        f"- Machine {letter}: {machine.describe()}."
        for letter, machine in zip(ascii_uppercase, machines, strict=False)
    ]


def format_missing(rows: Sequence[str]) -> list[str]:
    """The rows without figures, if there are any."""
    return [f"Not measured yet: {', '.join(f'`{row}`' for row in rows)}.", ""] if rows else []


def format_table(results: Results) -> list[str]:
    """Rows of a table in Markdown."""
    machines = results.machines
    header = "| Row | What | Unit | Built-in | Ours | Ours/built-in | Floor | Target | Met | How |"
    ruler = "|---|---|---|--:|--:|--:|--:|---|---|---|"
    several = len(machines) > 1
    lines = [f"{header} Machine |" if several else header, f"{ruler}---|" if several else ruler]
    for row, each in results.found():
        figure = each.figure
        cells = [
            f"`{row.id}`",
            row.title,
            row.unit,
            format_figure(figure.builtin),
            format_figure(figure.ours),
            format_ratio(figure),
            "-" if figure.floor is None else format_figure(figure.floor),
            row.target.text,
            "yes" if row.target.is_met(figure) else "**no**",
            row.how,
        ]
        if several:
            cells.append(ascii_uppercase[machines.index(each.machine)])
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
