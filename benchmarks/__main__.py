"""The command of `make bench`."""

import argparse
import time
from pathlib import Path

from benchmarks.measurements import UnknownRowError, choose_rows, measure
from benchmarks.results import Results, find_machine, format_table, load, save
from benchmarks.samples import Figure

_FOLDER = Path(__file__).parent


def main() -> None:
    """Measure, and write the figures beside this file, or into another folder."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument(
        "--rows", default="", help="IDs of rows, separated by commas (default: all)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=_FOLDER,
        help="where to write the figures (default: beside this program)",
    )
    arguments = parser.parse_args()
    try:
        rows = choose_rows(arguments.rows)
    except UnknownRowError as error:
        parser.error(str(error))
    start = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - start:6.0f} s  {text}", flush=True)

    figures = {row: Figure.of(samples) for row, samples in measure(rows, say).items()}
    newer = Results.of(find_machine(), figures)
    older = load(arguments.folder)
    save(older.updated(newer) if older else newer, arguments.folder)
    print("\n".join(format_table(newer)))
    say(f"Written to {arguments.folder.resolve().name}.")


if __name__ == "__main__":
    main()
