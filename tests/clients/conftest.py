"""Programs that use Vertex AI, as they are, and an emulator that they take for it."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.emulators import NO_WAITING
from vertex_emulator import VertexEmulator

ROOT = Path(__file__).parents[2]
# Of the emulator's clients: no variable of the machine's own user leads them anywhere.
_KEPT = ("HOME", "LANG", "PATH", "TMPDIR")
_INSTALL_SECONDS, _RUN_SECONDS = 280.0, 120.0

# Those of other people whose job is to run Vertex AI's: one environment for all of them.
PIPELINE_TOOLS = ("prefect-gcp[aiplatform]==0.6.22", "google-cloud-pipeline-components==2.22.0")

Run = Callable[..., str]
PythonWith = Callable[..., str]


@pytest.fixture(scope="session")
def vertex() -> Iterator[VertexEmulator]:
    """An emulator under Google's own host names, for all clients."""
    with VertexEmulator(timings=NO_WAITING, as_google=True) as emulator:
        yield emulator


@pytest.fixture
def emulator(vertex: VertexEmulator) -> VertexEmulator:
    """The same without jobs."""
    vertex.reset()
    return vertex


@pytest.fixture
def variables(emulator: VertexEmulator) -> Mapping[str, str]:
    """The whole environment of a client: what `emulator --as-google` prints, and no more of it."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, **emulator.google_environment}


@pytest.fixture
def run_python(variables: Mapping[str, str], tmp_path: Path) -> Run:
    """Run Python code in an environment of packages, this one by default, as a client."""

    def run(code: str, *arguments: str, python: str = sys.executable) -> str:
        done = subprocess.run(
            [python, "-c", dedent(code), *arguments],
            env=dict(variables),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def python_with() -> PythonWith:
    """Make an environment with packages, and return its Python."""

    def python_with(*packages: str) -> str:
        def install(folder: Path) -> list[list[str]]:
            uv = str(Path(sys.executable).with_name("uv"))
            python = str(folder / "bin" / "python")
            return [
                [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
                [uv, "pip", "install", "--quiet", "--python", python, *packages],
            ]

        wanted = " ".join(packages)
        return str(keep_environment(wanted, install) / "bin" / "python")

    return python_with


def keep_environment(wanted: str, install: Callable[[Path], list[list[str]]]) -> Path:
    """Install programs into a folder, or find them there from an earlier run.

    The test is skipped, visibly, where they cannot be installed: without a network.

    Args:
        wanted: What is installed; another text is another folder.
        install: The commands that install it into a folder.

    Returns:
        The folder.
    """
    digest = hashlib.sha256(f"{sys.version} {wanted}".encode()).hexdigest()[:12]
    folder = ROOT / ".cache" / "clients" / digest
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{digest}.lock").open("w") as lock:
        # Tests of several processes share it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "installed").exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        for command in install(folder):
            try:
                subprocess.run(
                    command, capture_output=True, text=True, check=True, timeout=_INSTALL_SECONDS
                )
            except subprocess.SubprocessError as error:
                reason = getattr(error, "stderr", None) or error
                pytest.skip(f"{wanted} cannot be installed here: {str(reason)[-500:]}")
        (folder / "installed").touch()
    return folder
