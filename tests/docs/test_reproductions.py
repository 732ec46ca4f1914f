"""What pages call ZenML's own behaviour shows in ZenML without this package, by their scripts."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.pages import DOCS, read_blocks
from tests.support.pipelines import wait_until
from zenml_vertex.local_stack.environment import Layout, build_base_environment

LIST = """
from zenml.client import Client
(run,) = Client().list_pipeline_runs(hydrate=True)
print("RUN", run.status.value, *(f"{name}={step.status.value}" for name, step in run.steps.items()))
"""


@pytest.fixture
def plain_zenml(tmp_path: Path) -> dict[str, str]:
    """The environment of a ZenML with a database of its own, without this package's flavor."""
    base = build_base_environment(os.environ, Layout(tmp_path))
    return {**base, "ZENML_CONFIG_PATH": str(tmp_path), "ZENML_VERTEX_DISABLE": "1"}


def _write_script(page: str, pipeline: str, folder: Path) -> list[str]:
    """Write a page's script that has a pipeline; returns the command that runs it."""
    blocks = read_blocks(DOCS / "how-to" / page, "python")
    (script,) = (block for block in blocks if f"def {pipeline}(" in block)
    path = folder / "script.py"
    path.write_text(script, "utf-8")
    return [sys.executable, str(path)]


def _read_run(environment: Mapping[str, str], folder: Path) -> list[str]:
    """The statuses of the only run and of its steps."""
    command = [sys.executable, "-c", LIST]
    output = subprocess.check_output(command, cwd=folder, env=environment, text=True, timeout=60)
    return next(line for line in output.splitlines() if line.startswith("RUN ")).split()[1:]


def test_an_exit_ends_the_pipeline(plain_zenml: dict[str, str], tmp_path: Path) -> None:
    """`sys.exit(0)` in a step keeps the next one from starting, and looks like success."""
    command = _write_script("troubleshooting.md", "ended", tmp_path)
    done = subprocess.run(command, cwd=tmp_path, env=plain_zenml, check=False, timeout=60)
    assert done.returncode == 0
    assert _read_run(plain_zenml, tmp_path) == ["failed", "exits=failed"]


def test_a_submitted_step_is_left_running_by_sigterm(
    plain_zenml: dict[str, str], tmp_path: Path
) -> None:
    """ZenML handles no signal outside the main thread."""
    command = _write_script("stop-and-clean-up.md", "interrupted", tmp_path)
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=plain_zenml, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: "Step `sleeps` has started" in log.read_text("utf-8"))
        process.terminate()
        assert process.wait(30) == -15
    finally:
        process.kill()
        process.wait()
    assert _read_run(plain_zenml, tmp_path) == ["running", "sleeps=running"]
