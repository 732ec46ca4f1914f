"""`python -m campaign.soak`: one step runs for days, polled at the real cadence.

Time is simulated; the operator, Google's client and the emulator of Vertex AI are real.
Prints one line of figures, and fails if the client's memory grew by a megabyte.
"""

import argparse
import gc
import logging
import os
import sys
import tempfile
import tracemalloc
import warnings
from dataclasses import dataclass
from pathlib import Path

_HOUR = 60 * 60.0
_DAY = 24 * _HOUR
_MOST_GROWTH_KB = 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of the process, which includes the emulator, in KiB."""

    # Allocated by Python.
    python: float
    # Resident set size.
    resident: float


def main() -> int:
    """Wait, and print the figures; 1 if memory grew too much."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--days", type=float, default=7.0, help="default: 7")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="soak-zenml-") as folder:
        os.environ["ZENML_CONFIG_PATH"] = folder
        return _soak(options.days)


def _soak(days: float) -> int:
    from campaign.campaign import open_world
    from campaign.launcher import Launcher
    from campaign.operators import PluginSubject, build_submit
    from campaign.process import Process
    from campaign.steps import build_play
    from campaign.trial import Step, Trial
    from campaign.zenml_server import ZenMLClient, ZenMLServer

    trial = Trial(index=0, seed="soak", mode="static", step=Step("reports", days * _DAY))
    lines = _Lines()
    logging.getLogger().handlers = [lines]
    memory: list[Memory] = []
    with open_world() as (world, current):
        server = ZenMLServer(now=world.now, begin=world.now())
        world.begin(build_play(trial.step, server, None))
        process = Process(
            (), world.sleep, world.monotonic, max_seconds=2 * days * _DAY, max_crossings=1e9
        )
        client = ZenMLClient(server, process)
        current.enter(process, client)

        def take(hours: float) -> None:
            # The emulator records its calls, which is not the client's memory.
            world.forget_calls()
            memory.append(_measure())
            if hours < days * 24:
                world.schedule(_HOUR, lambda: take(hours + 1))

        # By then, everything is imported and connected.
        world.schedule(_HOUR, lambda: take(1.0))
        operator = PluginSubject().build(process, trial, world, Path())
        tracemalloc.start(1)
        launcher = Launcher(process, client, operator, build_submit(operator))
        launcher.run_static(server.read())
        tracemalloc.stop()
    before, after = memory[0], memory[-1]
    growth = after.python - before.python
    calls = {
        kind: sum(n for name, n in process.crossed.items() if kind in name and "before" in name)
        for kind in (": jobs.", ": get_run_step")
    }
    print(
        f"soak: days={days:g} status={server.status.value} vertex_calls={calls[': jobs.']} "
        f"server_calls={calls[': get_run_step']} log_lines={lines.count} "
        f"python_growth_kb={growth:.0f} rss_growth_kb={after.resident - before.resident:.0f}"
    )
    has_grown = max(growth, after.resident - before.resident) > _MOST_GROWTH_KB
    return int(has_grown or server.status.value != "completed")


class _Lines(logging.Handler):
    """Counts the log lines that a person sees."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.name.startswith("zenml_vertex.")


def _measure() -> Memory:
    import psutil

    gc.collect()
    python, _ = tracemalloc.get_traced_memory()
    return Memory(python / 1024, psutil.Process().memory_info().rss / 1024)


if __name__ == "__main__":
    sys.exit(main())
