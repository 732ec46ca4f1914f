"""Google's own client over REST, and Google's SDK on top of it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1 as api
from google.oauth2 import service_account

from tests.support.emulators import PARENT
from vertex_emulator import JobState, VertexEmulator

Json = dict[str, Any]
JobOf = Callable[..., Json]


@pytest.fixture
def client(emulator: VertexEmulator) -> Iterator[api.JobServiceClient]:
    """Google's client, connected to the emulator."""
    with api.JobServiceClient(
        credentials=AnonymousCredentials(),
        transport="rest",
        client_options={"api_endpoint": emulator.url},
    ) as client:
        yield client


def job_from(job: Json) -> api.CustomJob:
    """Build Google's CustomJob from JSON."""
    read: api.CustomJob = api.CustomJob.from_json(json.dumps(job))
    return read


def test_the_life_of_a_job(
    emulator: VertexEmulator, client: api.JobServiceClient, job_of: JobOf
) -> None:
    """The client creates, follows, reads, lists and deletes a job."""
    job = job_from(
        job_of(
            "python", "-c", "print(1)",
            labels={"run": "r1"},
            scheduling={"timeout": "3600s", "strategy": "SPOT"},
        )
    )  # fmt: skip
    created = client.create_custom_job(parent=PARENT, custom_job=job, timeout=10)
    assert created.state is api.JobState.JOB_STATE_PENDING
    assert created.job_spec.scheduling.strategy is api.Scheduling.Strategy.SPOT
    emulator.wait_for_state(created.name)
    done = client.get_custom_job(name=created.name, timeout=10)
    assert done.state is api.JobState.JOB_STATE_SUCCEEDED
    assert created.create_time <= done.start_time <= done.end_time <= done.update_time
    assert "error" not in done
    listed = list(
        client.list_custom_jobs(
            request={"parent": PARENT, "filter": 'labels.run="r1"', "page_size": 1}, timeout=10
        )
    )
    assert [item.name for item in listed] == [created.name]
    operation = client.delete_custom_job(name=created.name, timeout=10)
    assert operation.done()
    assert (
        operation.operation.name.split("/operations/")[0] == created.name.split("/customJobs/")[0]
    )
    with pytest.raises(exceptions.NotFound):
        client.get_custom_job(name=created.name, timeout=10)


def test_operations_can_be_read(
    emulator: VertexEmulator, client: api.JobServiceClient, job_of: JobOf
) -> None:
    """The client's `get_operation` reads the operation of a delete."""
    created = client.create_custom_job(parent=PARENT, custom_job=job_from(job_of()), timeout=10)
    emulator.wait_for_state(created.name)
    operation = client.delete_custom_job(name=created.name, timeout=10).operation
    assert client.get_operation({"name": operation.name}).done


def test_violations_are_in_the_details(client: api.JobServiceClient, job_of: JobOf) -> None:
    """A refused job is BadRequest (400), with the invalid fields in its details."""
    job = job_from(job_of(displayName="x" * 200, labels={"UPPER": "x"}))
    with pytest.raises(exceptions.BadRequest) as error:
        client.create_custom_job(parent=PARENT, custom_job=job, timeout=10)
    assert "List of found errors:\t1.Field: display_name;" in error.value.message
    (detail,) = error.value.details
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    fields = [item["field"] for item in detail["fieldViolations"]]
    assert fields == ["display_name", "labels"]


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["python", "-c", "raise SystemExit(1)"], "exited with a non-zero status of 1. Terminat"),
        (["bash", "-c", "no-such-command"], "exited with a non-zero status of 127. "),
        (["no-such-command"], "exited with a non-zero status of 128. Termination reason: StartEr"),
        (["bash", "-c", "kill -9 $$"], "exited with a non-zero status of 137. "),
    ],
)  # fmt: skip
def test_a_failed_job_has_an_error(
    emulator: VertexEmulator,
    client: api.JobServiceClient,
    job_of: JobOf,
    command: list[str],
    text: str,
) -> None:
    """The `error` of a failed job says how the program ended, with code 3."""
    job = job_from(job_of(*command))
    created = client.create_custom_job(parent=PARENT, custom_job=job, timeout=10)
    emulator.wait_for_state(created.name)
    failed = client.get_custom_job(name=created.name, timeout=10)
    assert failed.state is api.JobState.JOB_STATE_FAILED
    assert failed.error.code == 3
    assert f"The replica workerpool0-0 {text}" in failed.error.message


def test_a_job_is_cancelled(
    emulator: VertexEmulator, client: api.JobServiceClient, job_of: JobOf
) -> None:
    """A cancelled job ends CANCELLED with code 1; a second cancel is refused."""
    job = job_from(job_of("sleep", "infinity"))
    created = client.create_custom_job(parent=PARENT, custom_job=job, timeout=10)
    emulator.wait_for_state(created.name, JobState.RUNNING)
    client.cancel_custom_job(name=created.name, timeout=10)
    emulator.wait_for_state(created.name)
    cancelled = client.get_custom_job(name=created.name, timeout=10)
    assert cancelled.state is api.JobState.JOB_STATE_CANCELLED
    assert (cancelled.error.code, cancelled.error.message) == (1, "CANCELED")
    with pytest.raises(exceptions.BadRequest, match="cannot be canceled"):
        client.cancel_custom_job(name=created.name, timeout=10)


def test_errors_are_googles_exceptions(client: api.JobServiceClient) -> None:
    """Each status is raised as the exception that Google's client has for it."""
    missing = f"{PARENT}/customJobs/123"
    for call in (client.get_custom_job, client.cancel_custom_job, client.delete_custom_job):
        with pytest.raises(exceptions.NotFound):
            call(name=missing, timeout=10)
    with pytest.raises(exceptions.BadRequest, match="Invalid filter"):
        client.list_custom_jobs(request={"parent": PARENT, "filter": "colour=red"}, timeout=10)
    with pytest.raises(exceptions.NotFound, match=r"does not serve GET .*hyperparameterTuningJobs"):
        client.list_hyperparameter_tuning_jobs(parent=PARENT, timeout=10)
    with pytest.raises(exceptions.Forbidden):
        client.list_custom_jobs(parent="projects/My Project/locations/us-central1", timeout=10)


def test_calls_with_a_key_have_its_identity(
    emulator: VertexEmulator, key_of: Callable[[str], Json]
) -> None:
    """Calls with a service account's key are recorded as that account's."""
    credentials = service_account.Credentials.from_service_account_info(key_of(emulator.url))
    with api.JobServiceClient(
        credentials=credentials, transport="rest", client_options={"api_endpoint": emulator.url}
    ) as client:
        assert list(client.list_custom_jobs(parent=PARENT, timeout=10)) == []
    (call,) = [call for call in emulator.calls if call.path.endswith("/customJobs")]
    assert call.identity == "trainer@my-project.iam.gserviceaccount.com"


def test_the_sdk_runs_a_job(emulator: VertexEmulator, tmp_path: Path) -> None:
    """`aiplatform.CustomJob(...).run()` returns when the job has succeeded, and can delete it."""
    from google.cloud import aiplatform

    aiplatform.init(
        project="my-project",
        location="us-central1",
        api_transport="rest",
        api_endpoint=emulator.url,
        credentials=AnonymousCredentials(),
        staging_bucket="gs://staging",
    )
    try:
        code = "import os, sys; open(sys.argv[1], 'w').write(os.environ['AIP_MODEL_DIR'])"
        made = tmp_path / "made"
        job = aiplatform.CustomJob(
            display_name="from the sdk",
            worker_pool_specs=[
                {
                    "machine_spec": {"machine_type": "n1-standard-4"},
                    "replica_count": 1,
                    "container_spec": {
                        "image_uri": "registry.example/image:1",
                        "command": ["python", "-c", code, str(made)],
                    },
                }
            ],
        )
        job.run(timeout=3600, create_request_timeout=10)
        assert job.state == api.JobState.JOB_STATE_SUCCEEDED
        assert made.read_text().startswith("gs://staging/aiplatform-custom-job")
        assert job.resource_name == emulator.jobs[0].name
        job.delete()
        assert emulator.jobs == ()
    finally:
        aiplatform.initializer.global_pool.shutdown()
