"""`VertexJobs`, which uses Google's client, against the emulator."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.servers import find_closed_port, silent_server
from vertex_emulator import VertexEmulator
from zenml_vertex.cloud.jobs import Timeouts, VertexJobs
from zenml_vertex.errors import (
    JobNotFound,
    RequestRejected,
    ServiceUnavailable,
    VertexApiError,
)

JobsAt = Callable[..., VertexJobs]
PARENT = "projects/my-project/locations/us-central1"
MISSING = f"{PARENT}/customJobs/404"
SECRET = "hunter2-is-secret"
SHORT = Timeouts(create=0.2, read=0.2, cancel=0.2)


def build_job(**changes: Any) -> dict[str, Any]:
    """Build a job as the operator does."""
    pool = {
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": "1",
        "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100},
        "containerSpec": {
            "imageUri": "registry.example/image:1",
            "command": ["true"],
            "env": [{"name": "PASSWORD", "value": SECRET}],
        },
        **changes.pop("pool", {}),
    }
    return {"displayName": "a job", "jobSpec": {"workerPoolSpecs": [pool]}, **changes}


@pytest.mark.smoke
def test_a_job_is_created_read_and_cancelled(emulator: VertexEmulator, jobs_at: JobsAt) -> None:
    """The request arrives unchanged, and the job comes back as API JSON with its state's name."""
    jobs = jobs_at(emulator.url)
    request = build_job(labels={"team": "ml"})
    created = jobs.create(PARENT, request)
    assert created["name"].startswith("projects/")
    assert created["state"] == "JOB_STATE_QUEUED"
    assert emulator.job(created["name"]).request == request
    assert jobs.get(created["name"])["displayName"] == "a job"
    jobs.cancel(created["name"])
    emulator.wait_for_state(created["name"])
    assert jobs.get(created["name"])["state"] == "JOB_STATE_CANCELLED"


@pytest.mark.smoke
@pytest.mark.parametrize("verb", ["get", "cancel"])
def test_a_missing_job_is_job_not_found(
    emulator: VertexEmulator, jobs_at: JobsAt, verb: str
) -> None:
    """The error names the job, not the client's URL, and offers no cure where there is none."""
    with pytest.raises(JobNotFound) as caught:
        getattr(jobs_at(emulator.url), verb)(MISSING)
    text = str(caught.value)
    assert caught.value.code == 404
    assert MISSING in text
    assert "does not exist" in text
    assert "http" not in text
    assert "roles/" not in text


@pytest.mark.smoke
def test_a_missing_persistent_resource_is_told(emulator: VertexEmulator, jobs_at: JobsAt) -> None:
    """A create on a persistent resource that is not there says so, and how to find one."""
    job = build_job()
    job["jobSpec"]["persistentResourceId"] = "gone"
    with pytest.raises(VertexApiError, match="The PersistentResource does not exist") as caught:
        jobs_at(emulator.url).create(PARENT, job)
    assert "creating a job in projects/my-project/locations/us-central1" in str(caught.value)
    assert "`gcloud ai persistent-resources list" in str(caught.value)


@pytest.mark.smoke
def test_a_refused_job_names_every_violation(emulator: VertexEmulator, jobs_at: JobsAt) -> None:
    """One refused create shows every violation."""
    wrong = build_job(displayName="x" * 200, labels={"UPPER": "x"}, pool={"replicaCount": "0"})
    with pytest.raises(RequestRejected) as caught:
        jobs_at(emulator.url).create(PARENT, wrong)
    text = str(caught.value)
    assert caught.value.code == 400
    assert "creating a job in projects/my-project/locations/us-central1" in text
    assert "Field: display_name" in text
    assert "Field: labels" in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("job", "named"),
    [
        (build_job(pool={"machineSpec": {"acceleratorType": "NVIDIA_B9000"}}), "NVIDIA_B9000"),
        (build_job(futureField=1), "futureField"),
        (build_job(pool={"replicaCount": "many"}), "many"),
        (build_job(labels={"a": "\udcff"}), "surrogate"),
    ],
    ids=["enum value", "field", "number", "text that is not UTF-8"],
)
def test_a_value_unknown_to_the_installed_client_is_named(
    emulator: VertexEmulator, jobs_at: JobsAt, job: dict[str, Any], named: str
) -> None:
    """An enum value that the client does not know is refused with a newer client as the cure."""
    seen = len(emulator.calls)
    with pytest.raises(RequestRejected, match="pip install -U google-cloud-aiplatform") as caught:
        jobs_at(emulator.url).create(PARENT, job)
    assert named in str(caught.value)
    assert SECRET not in str(caught.value)
    assert len(emulator.calls) == seen


@pytest.mark.parametrize("name", ["", "rubbish", f"{PARENT}/customJobs/1/more", "../../etc"])
def test_an_invalid_name_is_refused(emulator: VertexEmulator, jobs_at: JobsAt, name: str) -> None:
    """A job name that Google's client rejects with ValueError is an error of this package."""
    jobs = jobs_at(emulator.url)
    for call in (jobs.get, jobs.cancel):
        with pytest.raises(RequestRejected, match="Invalid request"):
            call(name)
    with pytest.raises(RequestRejected, match="Invalid request"):
        jobs.create(name, build_job())


def call_each(jobs: VertexJobs) -> list[ServiceUnavailable]:
    """Return the error of every call, which must be ServiceUnavailable."""
    errors = []
    for call in (
        lambda: jobs.create(PARENT, build_job()),
        lambda: jobs.get(MISSING),
        lambda: jobs.cancel(MISSING),
    ):
        with pytest.raises(ServiceUnavailable) as caught:
            call()
        errors.append(caught.value)
    return errors


def test_a_refused_connection_is_service_unavailable(jobs_at: JobsAt) -> None:
    """Every call says that it got no answer and why; a cancel is retried before it fails."""
    for error in call_each(jobs_at(f"http://127.0.0.1:{find_closed_port()}", timeouts=SHORT)):
        assert error.retryable
        assert error.code is None
        assert "Connection refused" in str(error)


@pytest.mark.timeout(20)
def test_every_call_times_out(jobs_at: JobsAt) -> None:
    """Every call has a timeout, so a silent server does not block it."""
    with silent_server() as url:
        for error in call_each(jobs_at(url, timeouts=SHORT)):
            assert error.retryable
            assert "timed out" in str(error)


def test_every_default_timeout_is_set() -> None:
    """No default timeout is None, which would disable it."""
    defaults = Timeouts()
    assert 0 < defaults.read <= 60
    assert 0 < defaults.create <= 60
    assert 0 < defaults.cancel <= 60
