"""The example of tests runs as its pages show it, the workflow in an environment of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.support.pages import DOCS, ROOT, read_blocks

TESTED = ROOT / "examples" / "tested"
UV = Path(sys.executable).with_name("uv")
# A minute on two idle cores, most of it for the installation.
_SECONDS = 880
# Of the user, or of the test run around this one.
_DROPPED = ("AIPLATFORM_", "CLOUDSDK_", "COV_", "GOOGLE_", "PYTEST", "UV_", "VIRTUAL_", "ZENML_")


def read_environment(**variables: str) -> dict[str, str]:
    """The environment of a new shell."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    return {**kept, **variables}


def run(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    """What a command prints; its end with an error is one here."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example as a repository of its own."""
    return Path(shutil.copytree(TESTED, tmp_path / "project", ignore=lambda *_: {"__pycache__"}))


def test_the_pages_show_the_example() -> None:
    """Each block of code on the two pages is in a file of the example, and each test is shown."""
    code = "".join(file.read_text("utf-8") for file in sorted(TESTED.glob("test_*.py")))
    page, of_ci = (
        DOCS / "how-to" / name for name in ("test-without-a-cloud.md", "test-a-pipeline-in-ci.md")
    )
    blocks = read_blocks(page, "python") + read_blocks(of_ci, "python")
    assert len(blocks) == 6
    assert [block for block in blocks if block not in code] == []
    assert read_blocks(of_ci, "yaml") == [(TESTED / "workflow.yaml").read_text("utf-8")]


def test_code_of_googles_sdk_is_tested(project: Path) -> None:
    """The tests of the submitting code pass, where nothing of the pipeline is asked for."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_submit.py"]
    assert "5 passed" in run(command, project, read_environment())


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this package."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [UV, "build", "--quiet", "--wheel", "--out-dir", folder]
    pinned = ["--require-hashes", "--build-constraints", "constraints.txt"]
    run([*map(str, command), *pinned], ROOT, read_environment())
    (file,) = folder.glob("*.whl")
    return file


@pytest.mark.timeout(900)
@pytest.mark.skipif(not UV.exists(), reason="uv is not installed: the workflow is not run")
def test_the_workflow_runs_as_it_stands(project: Path, wheel: Path) -> None:
    """Its steps, typed into a shell, make an environment with the wheel and run all tests there."""
    (project / "wheels").mkdir()
    shutil.copy(wheel, project / "wheels")
    workflow = yaml.safe_load((project / "workflow.yaml").read_text("utf-8"))
    (job,) = workflow["jobs"].values()
    script = "\n".join(step["run"] for step in job["steps"] if "run" in step)
    environment = read_environment(
        PATH=f"{UV.parent}:{os.environ['PATH']}",
        # Those that the other tests run with, which are in uv's cache.
        UV_CONSTRAINT=str(ROOT / "constraints.txt"),
    )
    # As GitHub's runners do: https://docs.github.com/actions/reference/workflow-syntax
    output = run(["bash", "-e", "-c", script], project, environment)
    assert "7 passed" in output
