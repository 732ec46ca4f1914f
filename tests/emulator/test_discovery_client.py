"""google-api-python-client, which is built from an API's discovery document."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from tests.support.emulators import PARENT, JobOf, Submit
from vertex_emulator import VertexEmulator


@pytest.fixture
def locations(emulator: VertexEmulator) -> Iterator[Any]:
    """What the client has of a project's regions."""
    with build(
        "aiplatform",
        "v1",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": emulator.url},
        static_discovery=True,
    ) as client:
        yield client.projects().locations()


def test_the_life_of_a_job(locations: Any, emulator: VertexEmulator, job_of: JobOf) -> None:
    """The client creates, reads, cancels and deletes a job, and waits for the operation."""
    jobs = locations.customJobs()
    name = jobs.create(parent=PARENT, body=job_of("true")).execute()["name"]
    emulator.wait_for_state(name)
    assert jobs.get(name=name).execute()["state"] == "JOB_STATE_SUCCEEDED"
    assert jobs.get(name=name, fields="state").execute() == {"state": "JOB_STATE_SUCCEEDED"}
    operation = jobs.delete(name=name).execute()
    operations = locations.operations()
    assert operations.wait(name=operation["name"], timeout="5s").execute() == operation
    assert operations.list(name=PARENT).execute() == {"operations": [operation]}
    assert operations.delete(name=operation["name"]).execute() == {}


def test_a_long_list_creates_nothing(
    locations: Any, emulator: VertexEmulator, submit: Submit, job_of: JobOf
) -> None:
    """A list whose address is too long is sent as a POST, and is a list all the same."""
    name = submit(emulator, job_of("true", labels={"n": "7"}))["name"]
    wanted = " OR ".join(f'labels.n="{n}"' for n in range(200))
    answer = locations.customJobs().list(parent=PARENT, filter=wanted).execute()
    assert [job["name"] for job in answer["customJobs"]] == [name]
    assert [job.name for job in emulator.jobs] == [name]


def test_a_refusal_has_its_details(locations: Any, job_of: JobOf) -> None:
    """The client shows the message, and the fields that are wrong."""
    with pytest.raises(HttpError, match="does not serve") as caught:
        locations.customJobs().create(parent=PARENT, body=job_of(pool={"containerSpec": {
            "imageUri": "i"}})).execute()  # fmt: skip
    assert caught.value.resp.status == 400
    with pytest.raises(HttpError) as caught:
        locations.customJobs().list(parent=PARENT, fields="colour").execute()
    assert caught.value.error_details[0]["fieldViolations"][0]["field"] == "colour"
