"""`python -m campaign`: the campaign, for this operator and ZenML's built-in one."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run the campaign; 1 if anything is wrong with this operator."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="default: 1000")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    parser.add_argument("--only", type=int, help="run the trial of this number only")
    parser.add_argument(
        "--without-builtin", action="store_true", help="leave out ZenML's own operator"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-zenml-") as folder:
        os.environ["ZENML_CONFIG_PATH"] = folder
        builtin = None if options.without_builtin else _start_builtin(options)
        return _run(options, builtin)


def _start_builtin(options: argparse.Namespace) -> "subprocess.Popen[str]":
    command = [sys.executable, "-W", "ignore", "-m", "campaign.builtin"]
    command += ["--trials", str(options.trials), "--seed", str(options.seed)]
    environment = {**os.environ, "ZENML_VERTEX_DISABLE": "1"}
    return subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def _run(options: argparse.Namespace, builtin: "subprocess.Popen[str] | None") -> int:
    # Google warns about Python versions, and proto-plus about states that it does not know.
    warnings.simplefilter("ignore")
    import logging

    from campaign.campaign import open_runner, run_campaign, run_crowds
    from campaign.drawing import draw_trial
    from campaign.operators import PluginSubject
    from campaign.oracle import Verdict
    from campaign.tally import (
        Tally,
        render_failure,
        render_hits,
        render_summary,
        render_table,
    )
    from campaign.trial import Trial

    logging.disable(logging.CRITICAL)
    numbers = range(options.trials) if options.only is None else [options.only]
    start = time.monotonic()

    def show(trial: Trial, verdict: Verdict) -> None:
        print(f"seed {options.seed}, {render_failure(trial, verdict)}", flush=True)

    with open_runner(PluginSubject()) as run:
        tally = run_campaign(run, (draw_trial(options.seed, n) for n in numbers), show)
        crowds = run_crowds(run, options.seed, len(numbers))
    tallies = {"zenml-vertex": tally, "zenml-vertex, crowds": crowds}
    if builtin is not None:
        output, _ = builtin.communicate()
        read = [Tally.from_json(body) for body in json.loads(output.splitlines()[-1])]
        tallies |= zip(("ZenML's built-in", "ZenML's built-in, crowds"), read, strict=True)
    # A short campaign has no crowd.
    tallies = {name: one for name, one in tallies.items() if one.trials}
    for text in (render_hits(tally), _render_time(start), render_table(tallies)):
        print(text)
    print(render_summary(tally))
    return 0 if tally.is_clean and crowds.is_clean else 1


def _render_time(start: float) -> str:
    return f"\n{time.monotonic() - start:.0f} s\n"


if __name__ == "__main__":
    sys.exit(main())
