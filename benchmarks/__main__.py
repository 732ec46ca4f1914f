"""The command of `make bench`."""

import argparse
import time
from pathlib import Path

from benchmarks.machine import find_machine
from benchmarks.measuring import measure
from benchmarks.results import Results, format_table, load, save
from benchmarks.rows import UnknownRowError, choose_rows

_FOLDER = Path(__file__).parent


def main() -> None:
    """Measure, and write the figures beside this file."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--rows", default="", help="IDs of rows, with commas; all by default")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="where the figures go")
    arguments = parser.parse_args()
    try:
        rows = choose_rows(arguments.rows)
    except UnknownRowError as error:
        parser.error(str(error))
    start = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - start:6.0f} s  {text}", flush=True)

    newer = Results(find_machine(), measure(rows, say))
    older = load(arguments.folder)
    save(older.updated(newer) if older else newer, arguments.folder)
    print("\n".join(format_table(newer.found())))
    say(f"Written to {arguments.folder.resolve().name}.")


if __name__ == "__main__":
    main()
