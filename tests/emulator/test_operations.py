"""Long-running operations, at the addresses of Google's client and by that client."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import aiplatform_v1 as api
from google.longrunning import operations_pb2

from tests.support.emulators import PARENT, JobOf, Json, Submit, call, error_of
from tests.support.toys import SECONDS_TO_BUILD, SECONDS_TO_PAINTING, ToyApi
from vertex_emulator import ManualClock, MemoryStore, ScriptedRuntime, VertexEmulator

Connect = Callable[[VertexEmulator], api.JobServiceClient]
VERSIONS = ("/v1", "/v1beta1", "/ui")


@pytest.fixture
def clock() -> ManualClock:
    """The clock of an emulator with toys."""
    return ManualClock()


@pytest.fixture
def toys(clock: ManualClock) -> Iterator[VertexEmulator]:
    """An emulator with toys, whose operations take time."""
    with VertexEmulator(
        clock=clock, runtime=ScriptedRuntime(), store=MemoryStore(), services=[ToyApi]
    ) as emulator:
        yield emulator


def create(emulator: VertexEmulator, toy_id: str, colour: str = "red") -> Json:
    """Create a toy and return the operation."""
    answer = call(emulator, "POST", f"/v1/{PARENT}/toys?toyId={toy_id}", json={"colour": colour})
    assert answer.status_code == 200, answer.text
    operation: Json = answer.json()
    return operation


def test_an_operation_tells_how_far_it_is(toys: VertexEmulator, clock: ManualClock) -> None:
    """The metadata has the time of the last change and a message for each stage, as recorded."""
    operation = create(toys, "one")
    assert operation["name"].rsplit("/", 2)[0].endswith("/toys/one")
    shown = [operation]
    for seconds in (SECONDS_TO_PAINTING - 1, 1, SECONDS_TO_BUILD - SECONDS_TO_PAINTING):
        clock.advance(seconds)
        shown.append(call(toys, "GET", f"/v1/{operation['name']}").json())
    metadata = [one["metadata"] for one in shown]
    assert [one["progressMessage"] for one in metadata] == [
        *("Sawing.", "Sawing."),
        *("Painting.", "It is ready."),
    ]
    changes = [one["genericMetadata"]["updateTime"] for one in metadata]
    assert changes[0] == changes[1] < changes[2] < changes[3]
    assert [one.get("done") for one in shown] == [None, None, None, True]
    assert all(set(one) <= {"name", "metadata", "done", "response"} for one in shown)


def test_a_restart_ends_what_was_begun_before(tmp_path: Path) -> None:
    """An operation ends at its time with the next emulator, and at once if that has passed."""
    clock = ManualClock()
    options: Any = {"clock": clock, "data_dir": tmp_path, "runtime": ScriptedRuntime()}
    with VertexEmulator(**options, services=[ToyApi]) as first:
        name = create(first, "one")["name"]
        clock.advance(SECONDS_TO_PAINTING)
        first.crash()
    with VertexEmulator(**options, services=[ToyApi]) as second:
        shown = call(second, "GET", f"/v1/{name}").json()
        assert shown["metadata"]["progressMessage"] == "Painting."
        clock.advance(SECONDS_TO_BUILD - SECONDS_TO_PAINTING - 1)
        assert "done" not in call(second, "GET", f"/v1/{name}").json()
        clock.advance(1)
        assert call(second, "GET", f"/v1/{name}").json()["done"] is True
        late = create(second, "two")["name"]
        second.crash()
    clock.advance(SECONDS_TO_BUILD)
    with VertexEmulator(**options, services=[ToyApi]) as third:
        clock.settle()
        assert call(third, "GET", f"/v1/{late}").json()["response"]["state"] == "READY"


def test_an_emulator_without_its_service_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An operation whose kind nobody knows stays as it is, with a warning that names it."""
    options: Any = {"data_dir": tmp_path, "runtime": ScriptedRuntime()}
    with VertexEmulator(**options, services=[ToyApi]) as first:
        name = create(first, "one")["name"]
        first.crash()
    with VertexEmulator(**options) as second:
        assert "done" not in call(second, "GET", f"/v1/{name}").json()
    assert f"{name} will not end" in caplog.text
    assert "toys.create" in caplog.text


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_can_wait(toys: VertexEmulator, clock: ManualClock, version: str) -> None:
    """`wait` answers when the operation is done, or when its time-out is over."""
    name = create(toys, "one")["name"]
    answers: list[Json] = []

    def wait(timeout: str) -> threading.Thread:
        url = f"{version}/{name}:wait?timeout={timeout}"
        thread = threading.Thread(target=lambda: answers.append(call(toys, "POST", url).json()))
        thread.start()
        return thread

    def pass_until_over(thread: threading.Thread, seconds: float) -> None:
        while thread.is_alive():
            clock.advance(seconds)
            thread.join(0.05)

    for timeout in ("0s", "-1s"):
        wait(timeout).join()
    assert ["done" in one for one in answers] == [False, False]
    # The clock may be ahead of a request that is still on its way, but not by so much.
    pass_until_over(wait("0.001s"), 0.001)
    assert "done" not in answers[-1]
    pass_until_over(wait("60s"), 30)
    wait("60s").join()
    assert [one["done"] for one in answers[-2:]] == [True, True]
    wrong = error_of(call(toys, "POST", f"{version}/{name}:wait?timeout=soon"))
    assert "Invalid value at 'timeout'" in wrong["message"]


def test_who_waits_is_answered_when_the_emulator_stops(toys: VertexEmulator) -> None:
    """Stopping does not wait for clients that wait, and they get what there is."""
    name = create(toys, "one")["name"]
    answers: list[int] = []
    url = f"/v1/{name}:wait"
    threads = [
        threading.Thread(target=lambda: answers.append(call(toys, "POST", url).status_code))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    # More than may wait: those are answered at once.
    while len(answers) < 4:
        threads[0].join(0.01)
    toys.stop()
    for thread in threads:
        thread.join()
    assert answers == [200] * 20


@pytest.mark.parametrize("version", VERSIONS)
def test_an_operation_can_be_cancelled(toys: VertexEmulator, version: str) -> None:
    """A cancelled operation ends with code 1, and what it was about is undone."""
    name = create(toys, "one")["name"]
    for _ in range(2):
        answer = call(toys, "POST", f"{version}/{name}:cancel")
        assert (answer.status_code, answer.json()) == (200, {})
    shown = call(toys, "GET", f"{version}/{name}").json()
    assert (shown["done"], shown["error"]["code"]) == (True, 1)
    assert call(toys, "GET", f"/v1/{PARENT}/toys/one").status_code == 404


def test_what_cannot_be_cancelled_says_so(toys: VertexEmulator) -> None:
    """An operation that no service cancels is not said to be cancelled."""
    region = create(toys, "any")["name"].partition("/toys/")[0]
    begun = toys._operations.begin(region, "example.Slow")
    error = error_of(call(toys, "POST", f"/v1/{begun['name']}:cancel"))
    assert error["status"] == "UNIMPLEMENTED"
    assert begun["name"] in error["message"]


def test_a_deleted_operation_goes_on(toys: VertexEmulator, clock: ManualClock) -> None:
    """Deleting an operation forgets it; what it does is done all the same."""
    name = create(toys, "one")["name"]
    assert call(toys, "DELETE", f"/v1/{name}").json() == {}
    assert error_of(call(toys, "GET", f"/v1/{name}"))["status"] == "NOT_FOUND"
    assert call(toys, "GET", f"/v1/{PARENT}/operations").json() == {}
    clock.advance(SECONDS_TO_BUILD)
    assert call(toys, "GET", f"/v1/{PARENT}/toys/one").json()["state"] == "READY"
    assert error_of(call(toys, "GET", f"/v1/{name}"))["status"] == "NOT_FOUND"
    assert error_of(call(toys, "DELETE", f"/v1/{name}"))["status"] == "NOT_FOUND"


def test_operations_are_listed(toys: VertexEmulator, clock: ManualClock) -> None:
    """A region has all operations, a resource its own; newest first, in pages."""
    names = []
    for toy in ("one", "two", "three"):
        names.append(create(toys, toy)["name"])
        clock.advance(1)
    for version in VERSIONS:
        seen, token = [], ""
        while True:
            query = {"pageSize": 2, "pageToken": token}
            page = call(toys, "GET", f"{version}/{PARENT}/operations", params=query).json()
            seen += [one["name"] for one in page["operations"]]
            if not (token := page.get("nextPageToken", "")):
                break
        assert seen == names[::-1]
        page = call(toys, "GET", f"{version}/{PARENT}/toys/two/operations").json()
        assert [one["name"] for one in page["operations"]] == [names[1]]
        assert call(toys, "GET", f"{version}/{PARENT}/toys/none/operations").json() == {}
    error = error_of(call(toys, "GET", f"/v1/{PARENT}/operations?filter=done=true"))
    assert "does not support filters" in error["message"]


def test_an_operation_is_found_by_its_resource_and_region(
    toys: VertexEmulator, emulator: VertexEmulator, submit: Submit, job_of: JobOf
) -> None:
    """A name is good in its region; that of no resource below each; and none elsewhere."""
    name = create(toys, "one")["name"]
    operation_id = name.rsplit("/", 1)[-1]
    assert call(toys, "GET", f"/v1/{PARENT}/operations/{operation_id}").json()["name"] == name
    for wrong in (
        f"/v1/{PARENT}/toys/two/operations/{operation_id}",
        f"/v1/{PARENT.replace('central1', 'east1')}/operations/{operation_id}",
        f"/v1/{PARENT}/operations/x",
    ):
        assert error_of(call(toys, "GET", wrong))["status"] == "NOT_FOUND"
    deeper = f"/ui/{PARENT}/a/b/c/operations"
    for wrong in ("/v1/projects/p/operations/1", "/v1/operations", deeper):
        error = error_of(call(toys, "GET", wrong))
        assert (error["code"], error["status"]) == (404, "UNIMPLEMENTED")
    job = submit(emulator, job_of("true"))["name"]
    emulator.wait_for_state(job)
    deleted = call(emulator, "DELETE", f"/v1/{job}").json()
    below = f"{job}/operations/{deleted['name'].rsplit('/', 1)[-1]}"
    for version in VERSIONS:
        assert call(emulator, "GET", f"{version}/{below}").json() == deleted


def test_a_damaged_operation_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that cannot be read is not found, not listed, and logged once; the others are served."""
    with VertexEmulator(data_dir=tmp_path, runtime=ScriptedRuntime(), services=[ToyApi]) as first:
        names = [create(first, toy)["name"] for toy in ("one", "two", "three")]
        first.crash()
    files = {path.parent.name: path for path in tmp_path.rglob("operations/*/document.json")}
    damaged = [name.rsplit("/", 1)[-1] for name in names[:2]]
    files[damaged[0]].write_text('{"name": ')
    files[damaged[1]].write_text('{"name": "x", "metadata": 5}')
    with VertexEmulator(data_dir=tmp_path, runtime=ScriptedRuntime(), services=[ToyApi]) as second:
        for name in (*names[:2], *names[:2]):
            error = error_of(call(second, "GET", f"/v1/{name}"))
            assert (error["code"], error["status"]) == (404, "NOT_FOUND")
        page = call(second, "GET", f"/v1/{PARENT}/operations").json()
        assert [one["name"] for one in page["operations"]] == [names[2]]
        logged = [record.getMessage() for record in caplog.records]
        assert [sum(one in line for line in logged) for one in damaged] == [1, 1]
        assert call(second, "POST", "/emulator/reset").status_code == 200
        assert list(tmp_path.rglob("operations/*/document.json")) == []


def test_googles_client_reads_operations(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf, google_client: Connect
) -> None:
    """The client's own methods list, read, wait for, cancel and delete an operation."""
    job = submit(emulator, job_of("true"))["name"]
    emulator.wait_for_state(job)
    with google_client(emulator) as client:
        operation = client.delete_custom_job(name=job, timeout=10).operation
        request = operations_pb2.ListOperationsRequest(name=PARENT, page_size=5)
        listed = client.list_operations(request, timeout=10)
        assert [one.name for one in listed.operations] == [operation.name]
        wait = operations_pb2.WaitOperationRequest(name=operation.name, timeout={"seconds": 5})
        assert client.wait_operation(wait, timeout=10) == operation
        client.cancel_operation({"name": operation.name}, timeout=10)
        assert client.get_operation({"name": operation.name}, timeout=10) == operation
        client.delete_operation({"name": operation.name}, timeout=10)
        with pytest.raises(exceptions.NotFound):
            client.get_operation({"name": operation.name}, timeout=10)
