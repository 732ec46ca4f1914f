"""Compares the catalogue of machine types with tables of Google's, saved as HTML or CSV.

Run it as `make machines TABLES='configure-compute.html machinetypes.csv'`, with pages that a
browser has saved, such as
https://cloud.google.com/vertex-ai/docs/training/configure-compute and
https://cloud.google.com/vertex-ai/docs/general/locations, or the table of a CSV file. It asks
nothing of Google and changes nothing; it prints, for each file, the machine types, accelerators
and regions that the catalogue has not, sizes and counts that differ, and what the file has not.
"""

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

from zenml_vertex.job.machines import Machine, find_accelerator, load_catalogue

Row = list[str]

# Families of Compute Engine: `n1-standard-4`, `a4x-highgpu-4g`, `ct5lp-hightpu-4t`, `cloud-tpu`.
_MACHINE = re.compile(
    r"(?<![\w/.-])((?:ct|tpu)?[a-z]?\d[a-z]{0,2}-[a-z]+-\d+[a-z]?(?:-\w+)?|cloud-tpu)"
)
_ACCELERATOR = re.compile(r"\b(?:NVIDIA_[A-Z0-9_]+|TPU_V[A-Z0-9_]+)\b")
_REGION = re.compile(r"(?<![\w/.-])[a-z]+-(?:north|south|east|west|central)[a-z]*\d{1,2}\b(?!-)")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


class _Tables(HTMLParser):
    """The rows of the tables of a page, as texts of cells, and all of its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[Row]] = []
        self.text: list[str] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        del attrs
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.tables and self.tables[-1]:
            self.tables[-1][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self._in_cell:
            self.tables[-1][-1][-1] += data


def read_tables(path: Path) -> tuple[list[list[Row]], str]:
    """The tables of a file, and its text."""
    content = path.read_text("utf-8")
    if path.suffix == ".csv":
        dialect = csv.Sniffer().sniff(content[:4096], ",;\t")
        return [[*csv.reader(content.splitlines(), dialect)]], content
    page = _Tables()
    page.feed(content)
    return page.tables, " ".join(page.text)


def compare(path: Path) -> Iterator[str]:
    """What a file says otherwise than the catalogue; one line each."""
    catalogue = load_catalogue()
    known = {*catalogue.machines, *catalogue.tpu_machines}
    tables, text = read_tables(path)
    machines = {*_MACHINE.findall(text)}
    for name in sorted(machines - known):
        yield f"machine type that the catalogue has not: {name}"
    for name in sorted({*_ACCELERATOR.findall(text)} - catalogue.accelerators):
        if not any(name in found for found in catalogue.accelerators_by_region.values()):
            yield f"accelerator that the catalogue has not: {name}"
    regions = catalogue.regions | catalogue.accelerators_by_region.keys()
    for name in sorted({*_REGION.findall(text)} - regions):
        yield f"region that the catalogue has not: {name}"
    for table in tables:
        yield from _compare_table(table)
    if machines:
        for name in sorted(known - machines):
            yield f"machine type that the file has not: {name}"


def _compare_table(table: list[Row]) -> Iterator[str]:
    """Sizes and counts in a table whose rows are machine types and whose columns have headings."""
    rows = [row for row in table if row]
    for row in rows[1:]:
        name = next((found[1] for cell in row if (found := _MACHINE.search(cell))), "")
        if machine := load_catalogue().machines.get(name):
            for heading, cell in zip(rows[0], row, strict=False):
                if (known := _find_difference(machine, heading, cell)) is not None:
                    yield (
                        f"{name}: {heading.strip()} is {cell.strip()} in the file, and "
                        f"{known or 'none'} in the catalogue"
                    )


def _find_difference(machine: Machine, heading: str, cell: str) -> str | None:
    """What the catalogue has in place of a cell; None if it has the same, or nothing like it."""
    numbers = [float(text.replace(",", "")) for text in _NUMBER.findall(cell)]
    lower = heading.lower()
    if kind := find_accelerator(heading):
        counts = machine.accelerators.get(kind, ())
        return None if {*numbers} == {*counts} else "/".join(map(str, counts))
    if not numbers or "gpu" in lower:
        return None
    if "cpu" in lower:
        return None if numbers[0] == machine.cpus else str(machine.cpus)
    if "memory" in lower:
        # Some pages round it.
        return None if abs(numbers[0] - machine.memory_gib) <= 1 else f"{machine.memory_gib:g}"
    return None


def main(paths: Sequence[str]) -> int:
    """Print what each file says otherwise; 1 if there is anything, 2 without a file."""
    if not paths:
        sys.stderr.write("make machines TABLES='PAGE.html TABLE.csv'\n")
        return 2
    found = [f"{path}: {line}" for path in paths for line in compare(Path(path))]
    date = load_catalogue().date
    found.append(f"{len(found)} differences from the catalogue of {date}")
    sys.stdout.write("\n".join(found) + "\n")
    return int(len(found) > 1)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
