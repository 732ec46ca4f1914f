"""The end of a job's log, read from the emulator's Cloud Logging."""

from collections.abc import Callable, Iterator

import pytest
import requests
from google.auth.credentials import AnonymousCredentials

from tests.support.servers import Canned
from vertex_emulator import Timings, VertexEmulator
from vertex_emulator.faults import PermissionWithdrawn
from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.logs import MAX_LINES, VertexLogs
from zenml_vertex.errors import ServiceUnavailable, VertexApiError

NAME = "projects/1/locations/l/customJobs/2"
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
    logs = VertexLogs(WHO, Endpoint(running.url))
    refusal = r" answered 403 while .*\. Reading logs needs the role roles/logging\.viewer\.$"
    with (
        running.faults.planned(PermissionWithdrawn("entries:list")),
        pytest.raises(VertexApiError, match=refusal),
    ):
        logs.fetch_tail(NAME, TASK)


@pytest.mark.parametrize(
    "body", [b"[]", b"<html>Log in</html>", b"", {"entries": "none"}, {"entries": ["a line"]}]
)
def test_an_answer_of_somebody_else_is_an_outage(body: object) -> None:
    """A step whose job failed behind a proxy's login page had an AttributeError for a reason."""
    with (
        Canned(200, body) as server,
        pytest.raises(ServiceUnavailable, match="that is not Cloud Logging's while reading"),
    ):
        VertexLogs(WHO, Endpoint(server.url)).fetch_tail(NAME, TASK)
