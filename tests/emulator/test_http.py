import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support.emulators import PARENT, JobOf, Json, Submit, call, error_of
from vertex_emulator import JobState, VertexEmulator


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
    assert re.fullmatch(r"[1-9]\d{17,18}", job_id)
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
        "state": "JOB_STATE_PENDING",
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
    """A valid job that the emulator cannot run gets 400 UNIMPLEMENTED that names the field."""
    answer = call(emulator, "POST", f"/v1/{PARENT}/customJobs", json=job_of(**spec))
    error = error_of(answer)
    assert (error["code"], error["status"]) == (400, "UNIMPLEMENTED")
    assert named in error["message"]


def test_a_python_package_is_unimplemented(emulator: VertexEmulator, job_of: JobOf) -> None:
    """A job with a Python package, which would need Google's image, is UNIMPLEMENTED."""
    package = {"executorImageUri": "i", "packageUris": ["gs://b/p"], "pythonModule": "m"}
    job = job_of("true")
    pool = job["jobSpec"]["workerPoolSpecs"][0]
    del pool["containerSpec"]
    pool["pythonPackageSpec"] = package
    answer = call(emulator, "POST", f"/v1/{PARENT}/customJobs", json=job)
    error = error_of(answer)
    assert (error["code"], error["status"]) == (400, "UNIMPLEMENTED")
    assert "python_package_spec" in error["message"]


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
    lines = emulator.log_lines(name)
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
    written, printed = entries
    assert (written.get("severity"), written["textPayload"]) == (None, "out")
    assert (printed["severity"], printed["jsonPayload"]) == ("WARNING", {"message": "w"})
    assert written["resource"] == {
        "type": "ml_job",
        "labels": {
            "job_id": job_id,
            "project_id": emulator.job(name).number,
            "task_name": "workerpool0-0",
        },
    }
    assert entries == emulator.log_entries(name)[6:8]
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
        ("GET", "/v1/nothing", "anonymous", 404),
    ]
    assert [item.method for item in emulator.calls] == ["POST", "GET", "GET"]
    assert "s3cret" not in json.dumps(calls)


def test_a_reset_forgets_everything(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf
) -> None:
    """After a reset there are no jobs, logs, calls or processes, and the emulator still serves."""
    name = submit(emulator, job_of("sleep", "infinity"))["name"]
    emulator.wait_for_state(name, JobState.RUNNING)
    assert call(emulator, "POST", "/emulator/reset").json() == {}
    assert (emulator.jobs, emulator.calls) == ((), ())
    assert list(emulator.data_dir.rglob("customJobs/*")) == []
    assert call(emulator, "GET", "/emulator/health").json()["status"] == "ok"
    name = submit(emulator, job_of("true"))["name"]
    assert emulator.wait_for_state(name).state is JobState.SUCCEEDED


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
