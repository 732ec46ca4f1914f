"""The end of a job's log, read from the emulator's Cloud Logging."""

from collections.abc import Callable, Iterator

import pytest
import requests
from google.auth.credentials import AnonymousCredentials

from vertex_emulator import Timings, VertexEmulator
from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.logs import MAX_LINES, VertexLogs
from zenml_vertex.errors import VertexApiError

TASK = "workerpool0-0"
WHO = Identity(AnonymousCredentials(), "my-project", "somebody")


@pytest.fixture(scope="module")
def running() -> Iterator[VertexEmulator]:
    """An emulator that runs jobs at once."""
    with VertexEmulator(timings=Timings(queueing=0, provisioning=0, teardown=0)) as emulator:
        yield emulator


@pytest.fixture
def run(running: VertexEmulator) -> Callable[[str], str]:
    """Run Python code as a job to its end, and return the job's name."""

    def run(code: str) -> str:
        pool = {
            "machineSpec": {"machineType": "n1-standard-4"},
            "replicaCount": "1",
            "containerSpec": {"imageUri": "i:1", "command": ["python", "-c", code]},
        }
        answer = requests.post(
            f"{running.url}/v1/projects/my-project/locations/us-central1/customJobs",
            json={"displayName": "j", "jobSpec": {"workerPoolSpecs": [pool]}},
            timeout=10,
        )
        name = str(answer.json()["name"])
        running.wait_for_state(name)
        return name

    return run


def test_the_last_lines_come_in_their_order(
    running: VertexEmulator, run: Callable[[str], str]
) -> None:
    """The last lines of a long log are read, oldest first, without the service's own."""
    name = run(f"for n in range({MAX_LINES + 5}): print('line', n)")
    tail = VertexLogs(WHO, Endpoint(running.url)).fetch_tail(name, TASK)
    assert tail == [f"line {n}" for n in range(5, MAX_LINES + 5)]


def test_a_job_that_wrote_nothing_has_no_lines(
    running: VertexEmulator, run: Callable[[str], str]
) -> None:
    """A job without output has no lines, and that is not an error."""
    assert VertexLogs(WHO, Endpoint(running.url)).fetch_tail(run("pass"), TASK) == []


def test_a_refusal_names_the_role(running: VertexEmulator) -> None:
    """Without permission to read logs, the error names the role that grants it."""
    logs = VertexLogs(WHO, Endpoint(f"{running.url}/nowhere"))
    with pytest.raises(VertexApiError, match=r"roles/logging\.viewer"):
        logs.fetch_tail("projects/1/locations/l/customJobs/2", TASK)
