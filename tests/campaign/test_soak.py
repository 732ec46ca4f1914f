"""A step that runs for a long time."""

import re
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


HOURS = 12


def test_half_a_day_of_waiting_is_cheap_and_quiet() -> None:
    """It takes some calls an hour, one log line for each state, and no more memory."""
    command = [sys.executable, "-m", "campaign.soak", "--days", str(HOURS / 24)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = dict(re.findall(r"(\w+)=(\S+)", done.stdout))
    assert figures["status"] == "completed"
    assert HOURS * 60 / 2 < int(figures["vertex_calls"]) < HOURS * 60 * 1.2
    assert int(figures["server_calls"]) < HOURS * 60 * 60 / 7
    assert int(figures["log_lines"]) < 10
    assert int(figures["python_growth_kb"]) < 1024
