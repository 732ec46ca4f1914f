"""ZenML's own commands for the component, where Google's client cannot be imported."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

# Python imports a module of this name when it starts.
_WALL = """
import sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root in ("grpc", "proto") or name.startswith(
            ("google.api_core", "google.auth", "google.cloud.")
        ):
            raise AssertionError(f"{name} was imported")
        return None

sys.meta_path.insert(0, Wall())
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a ZenML with its own database, in which Google's client is blocked."""
    folder = tmp_path_factory.mktemp("walled")
    (folder / "wall").mkdir()
    (folder / "wall" / "sitecustomize.py").write_text(_WALL, "utf-8")
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ZENML_")}
    return {
        **kept,
        "PYTHONPATH": str(folder / "wall"),
        "ZENML_CONFIG_PATH": str(folder / "config"),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "ZENML_ENABLE_RICH_TRACEBACK": "false",
        "HOME": str(folder),
        "COLUMNS": "200",
    }


def _run(environment: Mapping[str, str], *command: str) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name(command[0])
    return subprocess.run(
        [str(program), *command[1:]],
        cwd=environment["HOME"],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=180,
    )


def test_the_commands_work_without_google(environment: dict[str, str]) -> None:
    """Register, list and describe read the flavor and its config, and import no client."""
    for arguments, shown in (
        (("register", "gpu-jobs", "--flavor=vertex", "--region=europe-west4"), "gpu-jobs"),
        (("list",), "gpu-jobs"),
        (("describe", "gpu-jobs"), "europe-west4"),
    ):
        done = _run(environment, "zenml", "step-operator", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        # Tables go to stdout or stderr, as the terminal has it.
        assert shown in done.stdout + done.stderr, arguments
        assert "was imported" not in done.stdout + done.stderr, arguments


def test_the_block_works(environment: dict[str, str]) -> None:
    """With ZenML's built-in operator, the blocked import is noticed."""
    program = "import zenml.integrations.gcp.step_operators"
    done = _run({**environment, "ZENML_VERTEX_DISABLE": "1"}, "python", "-c", program)
    assert done.returncode != 0
    assert "was imported" in done.stdout + done.stderr
