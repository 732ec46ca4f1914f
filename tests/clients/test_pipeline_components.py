"""The runner that Google's pipeline components start a job with, as their containers call it."""

import json
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import PIPELINE_TOOLS, PythonWith
from tests.support.pipelines import wait_until
from vertex_emulator import JobState, VertexEmulator
from vertex_emulator.faults import Interruption

_MODULE = "google_cloud_pipeline_components.container.v1.custom_job.launcher"
_SECONDS = 120.0

Launch = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def python(python_with: PythonWith) -> str:
    """A Python with the pipeline components."""
    return python_with(*PIPELINE_TOOLS)


@pytest.fixture
def resources(tmp_path: Path) -> Path:
    """The file in which the runner keeps what it has started."""
    return tmp_path / "outputs" / "gcp_resources"


@pytest.fixture
def launch(variables: Mapping[str, str], python: str, resources: Path) -> Iterator[Launch]:
    """Start the runner for a job with a command, as a pipeline does."""
    with ExitStack() as started:

        def launch(*command: str) -> subprocess.Popen[str]:
            pool = {
                "machine_spec": {"machine_type": "n1-standard-4"},
                "replica_count": "1",
                "container_spec": {"image_uri": "registry.example/image:1", "command": command},
            }
            job = {"display_name": "a component", "job_spec": {"worker_pool_specs": [pool]}}
            arguments = {
                "type": "CustomJob",
                "project": "my-project",
                "location": "us-central1",
                "payload": json.dumps(job),
                "gcp_resources": str(resources),
            }
            process = subprocess.Popen(
                [python, "-m", _MODULE, *(f"--{key}={text}" for key, text in arguments.items())],
                env=dict(variables),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield launch


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the runner's end, and return its status and what it has said."""
    out, _ = process.communicate(timeout=_SECONDS)
    return process.returncode, out


def read_uri(resources: Path) -> str:
    """The address of the job that the runner has started."""
    content: Any = json.loads(resources.read_text())
    (resource,) = content["resources"]
    return str(resource["resourceUri"])


def let_the_job_end(emulator: VertexEmulator) -> None:
    """Answer the runner's first look once the job has ended: it would look again 20 s later."""
    emulator.faults.plan(
        Interruption("get", lambda: emulator.wait_for_state(emulator.jobs[0].name))
    )


def test_a_component_succeeds(emulator: VertexEmulator, launch: Launch, resources: Path) -> None:
    """The runner creates a job, notes its name, and ends with it."""
    let_the_job_end(emulator)
    status, out = end_of(launch("true"))
    assert status == 0, out
    (job,) = emulator.jobs
    assert job.state is JobState.SUCCEEDED
    assert read_uri(resources) == f"https://us-central1-aiplatform.googleapis.com/v1/{job.name}"


def test_a_component_fails_with_its_job(emulator: VertexEmulator, launch: Launch) -> None:
    """The runner of a failed job fails, and takes code 3 for an error of its user's."""
    let_the_job_end(emulator)
    status, out = end_of(launch("sh", "-c", "exit 3"))
    assert emulator.jobs[0].state is JobState.FAILED
    assert status != 0
    assert "ValueError: Job failed with value error in error state: 5." in out


def test_a_runner_that_was_killed_is_resumed(
    emulator: VertexEmulator, launch: Launch, resources: Path, tmp_path: Path
) -> None:
    """The next runner finds the job in the file, follows it to its end, and creates no other."""
    go_on = tmp_path / "go-on"
    first = launch("sh", "-c", f"until test -e {go_on}; do sleep 0.05; done")
    wait_until(lambda: resources.exists() and emulator.jobs[0].state is JobState.RUNNING, _SECONDS)
    first.kill()
    go_on.touch()
    emulator.wait_for_state(emulator.jobs[0].name)
    status, out = end_of(launch("false"))
    assert status == 0, out
    (job,) = emulator.jobs
    assert job.state is JobState.SUCCEEDED


def test_a_pipeline_that_is_cancelled_cancels_the_job(
    emulator: VertexEmulator, launch: Launch
) -> None:
    """The runner cancels the job at SIGTERM, over REST."""
    runner = launch("sleep", "300")
    wait_until(
        lambda: any(call.route and "customJobs/{" in call.route for call in emulator.calls),
        _SECONDS,
    )
    runner.send_signal(signal.SIGTERM)
    end_of(runner)
    assert emulator.wait_for_state(emulator.jobs[0].name).state is JobState.CANCELLED
