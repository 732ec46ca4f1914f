"""Prints what the emulator does otherwise than a recorded job: `make compare RECORDING=FILE`."""

import json
import sys
from pathlib import Path

from tests.support.recordings.replay import replay
from tests.support.recordings.trace import find_differences


def main() -> None:
    """Play the recordings that are named again, and exit with 1 if any differs."""
    differ = False
    for file in sys.argv[1:]:
        recorded = json.loads(Path(file).read_text("utf-8"))
        differences = find_differences(recorded, replay(recorded))
        differ = differ or bool(differences)
        said = [f"{file}: {'different' if differences else 'the same'}", *differences]
        sys.stdout.write("\n".join(said) + "\n")
    sys.exit(differ)


if __name__ == "__main__":
    main()
