"""The end of a job's log, read from the emulator's Cloud Logging."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import requests
from google.auth.credentials import AnonymousCredentials

from tests.support.servers import Canned
from vertex_emulator import Timings, VertexEmulator
from vertex_emulator.faults import PermissionWithdrawn
from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.logs import MAX_LINES, VertexLogs, choose_first_start, read_line
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


def test_every_shape_of_an_entry_is_read() -> None:
    """Text, a message, and an object without one, or whose message is an object itself."""
    said: dict[str, dict[str, object]] = {
        "text": {"textPayload": "text"},
        "message": {"jsonPayload": {"message": "message", "levelname": "INFO", "attrs": {}}},
        '{"step": 40, "share": 0.5}': {"jsonPayload": {"step": 40, "share": 0.5}},
        '{"größe": 1}': {"jsonPayload": {"message": {"größe": 1}}},
        "": {},
    }
    assert [read_line(entry) for entry in said.values()] == list(said)


def build_entry(
    text: str, start: str = "0.log", node: str = "gk3-cml-node-09"
) -> dict[str, object]:
    """Build an entry of a replica, as recorded."""
    labels = {
        "compute.googleapis.com/resource_name": node,
        "log.file.name": start,
        "ml.googleapis.com/task_name": TASK,
    }
    return {"textPayload": text, "labels": labels}


def test_the_first_start_on_the_last_machine_says_why() -> None:
    """A recorded job raises in `0.log`; its last lines are those of a second, innocent start."""
    entries = [
        build_entry("preempted", node="gk3-cml-node-08"),
        build_entry("polars.exceptions.ColumnNotFoundError: x"),
        build_entry("Error in sitecustomize; set PYTHONVERBOSE for traceback:", "1.log"),
        build_entry("Rapid downloading 263 files", "1.log"),
        build_entry("once more", "10.log"),
    ]
    assert [read_line(entry) for entry in choose_first_start(entries)] == [
        "polars.exceptions.ColumnNotFoundError: x"
    ]
    assert choose_first_start([]) == []
    unlabelled = [{"textPayload": "a"}, {"textPayload": "b"}]
    assert choose_first_start(unlabelled) == unlabelled


def test_the_header_of_an_empty_line_is_no_line(
    running: VertexEmulator, run: Callable[[str], str]
) -> None:
    """What Google's agent makes of empty lines is left out; what looks like it is not."""
    name = run("print('a'); print(); print('  '); print('2026-05-10T02:24:21.5Z stdout F b')")
    tail = VertexLogs(WHO, Endpoint(running.url)).fetch_tail(name, TASK)
    assert tail == ["a", "2026-05-10T02:24:21.5Z stdout F b"]


def test_only_entries_since_the_creation_are_asked_for(
    running: VertexEmulator, run: Callable[[str], str]
) -> None:
    """The filter has the job's `createTime`, so that Cloud Logging need not search all it keeps."""
    name = run("print('a')")
    logs, created = VertexLogs(WHO, Endpoint(running.url)), running.job(name).create_time
    assert logs.fetch_tail(name, TASK, created) == ["a"]
    assert logs.fetch_tail(name, TASK, created + timedelta(hours=1)) == []


def test_a_second_start_that_fills_the_page_hides_nothing(
    running: VertexEmulator, run: Callable[[str], str]
) -> None:
    """If others have written a part of the newest lines, the first start's are asked for alone."""
    name = run("print('because'); print('of this')")
    (*_, last) = (
        entry
        for entry in running.log_entries(name)
        if entry["resource"]["labels"]["task_name"] == TASK
    )
    common = {
        "logName": last["logName"],
        "resource": last["resource"],
        "labels": {**last["labels"], "log.file.name": "1.log"},
    }
    entries = [{"textPayload": f"second {number}"} for number in range(MAX_LINES)]
    written = requests.post(
        f"{running.url}/v2/entries:write", json={**common, "entries": entries}, timeout=10
    )
    assert written.ok, written.text
    tail = VertexLogs(WHO, Endpoint(running.url)).fetch_tail(name, TASK)
    assert tail == ["because", "of this"]
