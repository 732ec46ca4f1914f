"""Shared fixtures: one local stack for the session, and pipelines that run on it.

`local_stack` is started by the first test that asks for it. Pipelines run in
processes of their own, because ZenML's client keeps its state in the process.
"""

import re
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.forkserver import ForkServer

if TYPE_CHECKING:
    from tests.support.pipelines import RunPipeline, StartPipeline
    from zenml_vertex.local_stack.stack import LocalStack
    from zenml_vertex.local_stack.views.pipelines import Completed, PipelineProcess


def pytest_configure() -> None:
    """Make the processes that tests start interruptible.

    What a shell starts in the background ignores SIGINT, and passes that on to its processes.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def private_key() -> str:
    """An RSA key in PEM, as in a service account's key file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """Whoever has its `variables` is a copy of a process that has ZenML imported."""
    with tempfile.TemporaryDirectory() as folder, ForkServer(Path(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def local_stack(
    tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer
) -> Iterator["LocalStack"]:
    """A ZenML server, a Vertex AI emulator and a Cloud Storage emulator, for the whole session.

    Its stack is active and has the step operator `vertex`. Its pipelines and steps are
    copies of processes that have ZenML imported.
    """
    from zenml_vertex.local_stack.start import start_local_stack

    folder = tmp_path_factory.mktemp("local-stack") / "stack"
    with start_local_stack(folder, variables=fork_server.variables) as stack:
        yield stack


@pytest.fixture
def start_pipeline(
    local_stack: "LocalStack", request: pytest.FixtureRequest
) -> Iterator["StartPipeline"]:
    """Start a pipeline script: `start_pipeline(script, *arguments, environment=None)`."""
    name = re.sub(r"\W+", "-", request.node.name).strip("-")
    with ExitStack() as running:

        def start(
            script: Path | str, *arguments: str, environment: Mapping[str, str] | None = None
        ) -> "PipelineProcess":
            if isinstance(script, Path):
                file = local_stack.make_project(name, script.parent) / script.name
            else:
                file = local_stack.make_project(name) / "pipeline.py"
                file.write_text(dedent(script), "utf-8")
            process = local_stack.start_pipeline(file, *arguments, environment=environment)
            return running.enter_context(process)

        yield start


@pytest.fixture
def run_pipeline(start_pipeline: "StartPipeline") -> "RunPipeline":
    """Run a pipeline script to its end: `run_pipeline(script, *arguments, environment=None)`."""

    def run(
        script: Path | str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        seconds: float = 120.0,
    ) -> "Completed":
        return start_pipeline(script, *arguments, environment=environment).wait(seconds)

    return run
