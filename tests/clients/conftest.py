"""Programs that use Vertex AI, as they are, and an emulator that they take for it."""

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

Run = Callable[..., str]


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
def python_with() -> Callable[..., str]:
    """Make an environment with packages, and return its Python; kept for the next run.

    The test is skipped, visibly, where the packages cannot be installed: without a network.
    """

    def python_with(*packages: str) -> str:
        digest = hashlib.sha256(" ".join([sys.version, *packages]).encode()).hexdigest()[:12]
        folder = ROOT / ".cache" / "clients" / digest
        python = folder / "bin" / "python"
        if (folder / "installed").exists():
            return str(python)
        shutil.rmtree(folder, ignore_errors=True)
        uv = str(Path(sys.executable).with_name("uv"))
        commands = [
            [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", str(python), *packages],
        ]
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
            if done.returncode:
                pytest.skip(f"{' '.join(packages)} cannot be installed here: {done.stderr[-500:]}")
        (folder / "installed").touch()
        return str(python)

    return python_with
