import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.emulators import PARENT
from vertex_emulator import JobState, ManualClock, VertexEmulator

Json = dict[str, Any]
Submit = Callable[[VertexEmulator, Json], Json]
JobOf = Callable[..., Json]


def call(emulator: VertexEmulator, method: str, path: str, **options: Any) -> requests.Response:
    """Send a request."""
    return requests.request(method, f"{emulator.url}{path}", timeout=10, **options)


def error_of(answer: requests.Response) -> Json:
    """Return the error of an answer, whose code has to be the HTTP status."""
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    error: Json = answer.json()["error"]
    assert error["code"] == answer.status_code
    return error


def test_a_created_job_is_shown_as_the_service_shows_it(
    emulator: VertexEmulator, job_of: JobOf
) -> None:
    """The answer has the project number, a numeric ID, the defaults and the state's name."""
    job = job_of("true", labels={"run": "1"})
    answer = call(emulator, "POST", f"/v1/{PARENT}/customJobs", json=job)
    shown = answer.json()
    prefix, job_id = shown.pop("name").rsplit("/", 1)
    number = emulator.job(job_id).number
    assert prefix == f"projects/{number}/locations/us-central1/customJobs"
    assert re.fullmatch(r"\d{12}", number)
    assert re.fullmatch(r"\d{19}", job_id)
    assert shown.pop("createTime") == shown.pop("updateTime")
    assert shown == {
        "displayName": "a job",
        "labels": {"run": "1"},
        "jobSpec": {
            "workerPoolSpecs": [
                {
                    "machineSpec": {"machineType": "n1-standard-4"},
                    "replicaCount": "1",
                    "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100},
                    "containerSpec": {
                        "imageUri": "registry.example/image:1",
                        "command": ["true"],
                    },
                }
            ]
        },
        "state": "JOB_STATE_QUEUED",
    }


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_job_is_found_by_id_and_number_of_its_project(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf, version: str
) -> None:
    """A job is found by project ID or number in both API versions, and in its own region only."""
    name = submit(emulator, job_of("true"))["name"]
    job_id = name.rsplit("/", 1)[-1]
    assert call(emulator, "GET", f"/{version}/{name}").json()["name"] == name
    by_id = call(emulator, "GET", f"/{version}/{PARENT}/customJobs/{job_id}")
    assert by_id.json()["name"] == name
    for elsewhere in (
        "projects/other/locations/us-central1",
        "projects/my-project/locations/us-east1",
    ):
        answer = call(emulator, "GET", f"/{version}/{elsewhere}/customJobs/{job_id}")
        assert error_of(answer)["status"] == "NOT_FOUND"


def test_an_invalid_job_gets_all_violations(emulator: VertexEmulator, job_of: JobOf) -> None:
    """All violations are in the message and in BadRequest details, and no job is created."""
    job = job_of(
        labels={"A": "b"},
        pool={"machineSpec": {"machineType": "n1-standard-4", "acceleratorType": "NVIDIA_L4"}},
    )
    error = error_of(call(emulator, "POST", f"/v1/{PARENT}/customJobs", json=job))
    field = "job_spec.worker_pool_specs[0].machine_spec.accelerator_type"
    text = "Both `accelerator_type` and `accelerator_count` should be specified or none."
    assert error["status"] == "INVALID_ARGUMENT"
    assert error["message"].startswith("List of found errors:\t1.Field: labels; Message: There can")
    assert f"\t2.Field: {field}; Message: {text}" in error["message"]
    (detail,) = error["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert detail["fieldViolations"][1] == {"field": field, "description": text}
    assert emulator.jobs == ()


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"pool": {"containerSpec": {"imageUri": "i"}}}, "container_spec.command"),
        ({"pool": {"containerSpec": {"imageUri": "i", "args": ["x"]}}}, "container_spec.command"),
    ],
)
def test_a_job_that_cannot_be_run_here_is_unimplemented(
    emulator: VertexEmulator, job_of: JobOf, spec: Json, named: str
) -> None:
    """A valid job that the emulator cannot run gets 501 that names the field."""
    answer = call(emulator, "POST", f"/v1/{PARENT}/customJobs", json=job_of(**spec))
    assert answer.status_code == 501
    assert named in error_of(answer)["message"]


def test_several_replicas_are_unimplemented(emulator: VertexEmulator, job_of: JobOf) -> None:
    """A second worker pool gets 501, and so does a Python package."""
    job = job_of("true")
    job["jobSpec"]["workerPoolSpecs"].append(job["jobSpec"]["workerPoolSpecs"][0])
    answer = call(emulator, "POST", f"/v1/{PARENT}/customJobs", json=job)
    assert "only the first worker pool" in error_of(answer)["message"]
    package = {"executorImageUri": "i", "packageUris": ["gs://b/p"], "pythonModule": "m"}
    job = job_of("true")
    pool = job["jobSpec"]["workerPoolSpecs"][0]
    del pool["containerSpec"]
    pool["pythonPackageSpec"] = package
    answer = call(emulator, "POST", f"/v1/{PARENT}/customJobs", json=job)
    assert answer.status_code == 501
    assert "python_package_spec" in error_of(answer)["message"]


def test_lists_are_filtered_paged_and_masked(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf
) -> None:
    """Lists are newest first, with filters and masks.

    A page token is valid for its own query only.
    """
    names = [submit(emulator, job_of("true", labels={"n": str(n)}))["name"] for n in range(5)]
    seen: list[str] = []
    token = ""
    while True:
        query = {"pageSize": 2, "pageToken": token, "readMask": "name"}
        page = call(emulator, "GET", f"/v1/{PARENT}/customJobs", params=query).json()
        assert all(set(job) == {"name"} for job in page["customJobs"])
        seen += [job["name"] for job in page["customJobs"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert seen == names[::-1]
    found = call(emulator, "GET", f"/v1/{PARENT}/customJobs", params={"filter": "labels.n=3"})
    assert [job["name"] for job in found.json()["customJobs"]] == [names[3]]
    assert call(emulator, "GET", "/v1/projects/other/locations/us-central1/customJobs").json() == {}
    first = call(emulator, "GET", f"/v1/{PARENT}/customJobs", params={"page_size": 1}).json()
    query = {"pageToken": first["nextPageToken"], "filter": "labels.n:*"}
    answer = call(emulator, "GET", f"/v1/{PARENT}/customJobs", params=query)
    assert "another query" in error_of(answer)["message"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"filter": "labels.a=("}, "Invalid filter"),
        ({"pageSize": "-1"}, "page size"),
        ({"pageToken": "?"}, "page token"),
        ({"readMask": "colour"}, "`colour` is not a path"),
        ({"orderBy": "name"}, 'Unknown name "orderBy": Cannot bind query parameter.'),
    ],
)
def test_an_unknown_list_parameter_is_refused(
    emulator: VertexEmulator, query: Json, text: str
) -> None:
    """A query parameter that the service does not have gets 400 that names it."""
    error = error_of(call(emulator, "GET", f"/v1/{PARENT}/customJobs", params=query))
    assert text in error["message"]


def test_cancelling_is_asynchronous(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf, tmp_path: Path
) -> None:
    """A cancel returns at once, and so does a second one while the container is ending.

    The job ends CANCELLED, and a job in a terminal state cannot be cancelled.
    """
    gate = tmp_path / "gate"
    patient = f"trap '' TERM; echo deaf; until [ -e {gate} ]; do sleep 0.05; done"
    name = submit(emulator, job_of("sh", "-c", patient))["name"]
    emulator.wait_for_line(name, "deaf")
    answer = call(emulator, "POST", f"/v1/{name}:cancel", json={})
    assert (answer.status_code, answer.json()) == (200, {})
    assert call(emulator, "POST", f"/v1/{name}:cancel").status_code == 200
    gate.touch()
    emulator.wait_for_state(name)
    shown = call(emulator, "GET", f"/v1/{name}").json()
    assert (shown["state"], shown["error"]["code"]) == ("JOB_STATE_CANCELLED", 1)
    error = error_of(call(emulator, "POST", f"/v1/{name}:cancel"))
    assert error["status"] == "FAILED_PRECONDITION"


def test_a_delete_returns_an_operation(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf
) -> None:
    """The operation of a delete is done and can be read again, and the job no longer exists."""
    name = submit(emulator, job_of("true"))["name"]
    emulator.wait_for_state(name)
    operation = call(emulator, "DELETE", f"/v1/{name}").json()
    assert operation["done"] is True
    assert operation["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
    assert call(emulator, "GET", f"/v1/{operation['name']}").json() == operation
    assert error_of(call(emulator, "GET", f"/v1/{name}"))["status"] == "NOT_FOUND"
    assert error_of(call(emulator, "DELETE", f"/v1/{name}"))["status"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v1/{PARENT}/persistentResources"),
        ("POST", f"/v1/{PARENT}/trainingPipelines"),
        ("PATCH", f"/v1/{PARENT}/customJobs/1"),
        ("GET", f"/v2/{PARENT}/customJobs"),
        ("POST", "/v2/entries:write"),
        ("GET", f"/v1/{PARENT}/customJobs/"),
        ("GET", f"/v1/{PARENT}/customJobs/1%2F..%2F2"),
    ],
)
def test_a_route_that_is_not_served_is_named(
    emulator: VertexEmulator, method: str, path: str
) -> None:
    """Every unserved route gets 501 UNIMPLEMENTED with its name."""
    error = error_of(call(emulator, method, path))
    assert error["status"] == "UNIMPLEMENTED"
    assert f"{method} /" in error["message"]
    assert path.split("%", maxsplit=1)[0].rsplit("/", 1)[0] in error["message"]


@pytest.mark.parametrize("job_id", ["..", "0", "x", "%00", "1" * 30, "١٢", "-1", "1;2"])
def test_an_invalid_id_is_not_found(emulator: VertexEmulator, job_id: str) -> None:
    """A job ID that cannot be one is not looked up in the file system."""
    answer = call(emulator, "GET", f"/v1/{PARENT}/customJobs/{job_id}")
    assert answer.status_code in {404, 501}
    assert error_of(answer)["status"] in {"NOT_FOUND", "UNIMPLEMENTED"}


@pytest.mark.parametrize(
    ("parent", "status"),
    [
        ("projects/my-project/locations/global", "INVALID_ARGUMENT"),
        ("projects/my-project/locations/asia-south2", "INVALID_ARGUMENT"),
        ("projects/My Project/locations/us-central1", "PERMISSION_DENIED"),
    ],
)
def test_an_invalid_parent_is_refused(
    emulator: VertexEmulator, job_of: JobOf, parent: str, status: str
) -> None:
    """A region without training and an invalid project ID are errors."""
    answer = call(emulator, "POST", f"/v1/{parent}/customJobs", json=job_of("true"))
    assert error_of(answer)["status"] == status


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"x"', b"\xff", b"[" * 50_000, b'{"displayName": "\\ud800"}', b"",
     json.dumps({"displayName": {"a": 1}}).encode(), b'{"jobSpec": null}'],
)  # fmt: skip
def test_a_malformed_body_is_a_bad_request(emulator: VertexEmulator, body: bytes) -> None:
    """A malformed body gets 400 in Google's format."""
    error = error_of(call(emulator, "POST", f"/v1/{PARENT}/customJobs", data=body))
    assert error["status"] == "INVALID_ARGUMENT"


def test_a_huge_body_is_refused(emulator: VertexEmulator, job_of: JobOf) -> None:
    """A body above the size limit is refused without harm, and one just below it is accepted."""
    url = f"/v1/{PARENT}/customJobs"
    error = error_of(call(emulator, "POST", url, data=b" " * (11 * 1024 * 1024)))
    assert "exceeds the limit" in error["message"]
    env = [{"name": f"V{n}", "value": "x" * 50_000} for n in range(20)]
    job = job_of(pool={"containerSpec": {"imageUri": "i", "command": ["true"], "env": env}})
    name = call(emulator, "POST", url, json=job).json()["name"]
    assert emulator.wait_for_state(name).state is JobState.SUCCEEDED


def test_text_in_any_script_is_preserved(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf
) -> None:
    """Names, variables and output in any script are returned unchanged."""
    text = 'héllo 漢字 🚀 \u2028 \\ " $(NOT)'
    job = job_of(
        displayName=text,
        pool={
            "containerSpec": {
                "imageUri": "i",
                "command": ["python", "-c", "import os; print(os.environ['T'])"],
                "env": [{"name": "T", "value": text}],
            }
        },
    )
    name = submit(emulator, job)["name"]
    assert emulator.wait_for_state(name).state is JobState.SUCCEEDED
    shown = call(emulator, "GET", f"/v1/{name}").json()
    assert shown["displayName"] == text
    lines = [entry["jsonPayload"]["message"] for entry in emulator.log_entries(name)]
    assert text in lines


def test_logs_are_read_by_their_labels(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf
) -> None:
    """`entries:list` returns the lines of a job's service and replica in its own project only."""
    code = 'import sys; print(\'out\'); print(\'{"severity": "WARNING", "message": "w"}\')'
    name = submit(emulator, job_of("python", "-c", code))["name"]
    job_id = name.rsplit("/", 1)[-1]
    emulator.wait_for_state(name)
    body = {
        "resourceNames": ["projects/my-project"],
        "filter": f'resource.type="ml_job" AND resource.labels.job_id="{job_id}" '
        'AND resource.labels.task_name="workerpool0-0"',
        "orderBy": "timestamp asc",
    }
    entries = call(emulator, "POST", "/v2/entries:list", json=body).json()["entries"]
    assert [(entry["severity"], entry["jsonPayload"]["message"]) for entry in entries] == [
        ("INFO", "out"),
        ("WARNING", "w"),
    ]
    assert entries[0]["resource"] == {
        "type": "ml_job",
        "labels": {"job_id": job_id, "project_id": "my-project", "task_name": "workerpool0-0"},
    }
    body["resourceNames"] = ["projects/other"]
    assert call(emulator, "POST", "/v2/entries:list", json=body).json() == {}
    wrongs: tuple[Json, ...] = (
        {},
        {"resourceNames": []},
        {"resourceNames": [5]},
        {"colour": 1},
    )
    for wrong in wrongs:
        answer = call(emulator, "POST", "/v2/entries:list", json=wrong)
        assert error_of(answer)["status"] == "INVALID_ARGUMENT"


def test_calls_are_recorded_without_secrets(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf
) -> None:
    """The record of a call has its method, path and identity, and no token or body."""
    submit(emulator, job_of("true", pool={"machineSpec": {"machineType": "n1-standard-4"}}))
    headers = {"Authorization": "Bearer s3cret-token"}
    call(emulator, "GET", f"/v1/{PARENT}/customJobs?access_token=s3cret", headers=headers)
    call(emulator, "GET", "/v1/nothing")
    calls = call(emulator, "GET", "/emulator/requests").json()["requests"]
    assert [(item["method"], item["path"], item["identity"], item["status"]) for item in calls] == [
        ("POST", f"/v1/{PARENT}/customJobs", "anonymous", 200),
        ("GET", f"/v1/{PARENT}/customJobs", "unknown token", 200),
        ("GET", "/v1/nothing", "anonymous", 501),
    ]
    assert [item.method for item in emulator.calls] == ["POST", "GET", "GET"]
    assert "s3cret" not in json.dumps(calls)


def test_a_reset_forgets_everything(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf
) -> None:
    """After a reset there are no jobs, logs, calls or processes, and the emulator still serves."""
    name = submit(emulator, job_of("sleep", "300"))["name"]
    emulator.wait_for_state(name, JobState.RUNNING)
    assert call(emulator, "POST", "/emulator/reset").json() == {}
    assert (emulator.jobs, emulator.calls) == ((), ())
    assert list(emulator.data_dir.rglob("customJobs/*")) == []
    assert call(emulator, "GET", "/emulator/health").json()["status"] == "ok"
    name = submit(emulator, job_of("true"))["name"]
    assert emulator.wait_for_state(name).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "127.0.0.1.evil.example"},
    ],
)
def test_requests_from_web_pages_are_refused(
    emulator: VertexEmulator, job_of: JobOf, headers: dict[str, str]
) -> None:
    """A page in a browser cannot make the emulator run commands."""
    job = json.dumps(job_of("true"))
    answer = call(emulator, "POST", f"/v1/{PARENT}/customJobs", data=job, headers=headers)
    assert answer.status_code == 403
    assert emulator.jobs == ()


def test_many_clients_at_once(emulator: VertexEmulator, job_of: JobOf) -> None:
    """Jobs created from many threads all exist, each with its own ID."""

    def create(number: int) -> str:
        job = job_of("true", labels={"n": str(number)})
        answer = call(emulator, "POST", f"/v1/{PARENT}/customJobs", json=job)
        return str(answer.json()["name"])

    with ThreadPoolExecutor(8) as threads:
        names = list(threads.map(create, range(16)))
    assert len(set(names)) == 16
    assert {job.name for job in emulator.jobs} == set(names)
    for name in names:
        assert emulator.wait_for_state(name).state is JobState.SUCCEEDED


def test_an_expired_token_is_refused() -> None:
    """A token of the emulator is accepted until it expires, and gets 401 afterwards."""
    clock = ManualClock()
    with VertexEmulator(clock=clock, token_lifetime=5) as emulator:
        form = {"grant_type": "refresh_token", "refresh_token": "r", "client_id": "me"}
        token = call(emulator, "POST", "/token", data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        url = f"/v1/{PARENT}/customJobs"
        clock.advance(4.9)
        assert call(emulator, "GET", url, headers=headers).status_code == 200
        clock.advance(0.1)
        error = error_of(call(emulator, "GET", url, headers=headers))
        assert (error["code"], error["status"]) == (401, "UNAUTHENTICATED")
        assert [item.identity for item in emulator.calls] == ["anonymous", "me", "me"]


def test_answers_are_not_delayed(emulator: VertexEmulator) -> None:
    """An answer on a kept connection comes at once, without the 40 ms of a delayed ACK."""
    with requests.Session() as session:
        seconds = []
        for _ in range(50):
            start = time.monotonic()
            session.get(f"{emulator.url}/emulator/health", timeout=10)
            seconds.append(time.monotonic() - start)
        # A new connection acknowledges at once; later, every answer would be late. One that
        # is not proves it, also on a busy machine.
        assert min(seconds[-20:]) < 0.04
