import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from tests.support.fake_gcloud import FakeGcloud
from vertex_emulator import Timings, VertexEmulator, build_key
from zenml_vertex.cloud.connection import Connection, connect
from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.jobs import Timeouts, VertexJobs

_OF_THE_PERSON = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
    "GCLOUD_PROJECT",
    "AIPLATFORM_EMULATOR_HOST",
    "CLOUDSDK_CONFIG",
    "CLOUDSDK_CORE_ACCOUNT",
    "CLOUDSDK_CORE_PROJECT",
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without credentials, on a machine whose PATH has only `sh`."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in _OF_THE_PERSON:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return folder


@pytest.fixture(scope="session")
def emulator() -> Iterator[VertexEmulator]:
    """An emulator whose jobs stay queued until they are cancelled."""
    with VertexEmulator(timings=Timings(queueing=3600, provisioning=0, teardown=0)) as emulator:
        yield emulator


@pytest.fixture
def jobs_at() -> Iterator[Callable[..., VertexJobs]]:
    """Open the jobs at a URL: `jobs_at(url, credentials=None, timeouts=None)`."""
    with ExitStack() as opened:

        def jobs_at(
            url: str, credentials: Any = None, timeouts: Timeouts | None = None
        ) -> VertexJobs:
            identity = Identity(credentials or AnonymousCredentials(), "my-project", "somebody")
            jobs = VertexJobs(identity, Endpoint(url), timeouts)
            opened.callback(jobs.close)
            return jobs

        yield jobs_at


@pytest.fixture
def connected() -> Iterator[Callable[..., Connection]]:
    """Call `connect` without any settings; the connection is closed at the end."""
    with ExitStack() as opened:

        def connected(**given: Any) -> Connection:
            nothing = dict.fromkeys(("project", "key_file", "api_endpoint", "connector"))
            connection = connect(**{"region": "us-central1", **nothing, **given})
            opened.callback(connection.jobs.close)
            return connection

        yield connected


@pytest.fixture
def write_key(tmp_path: Path, private_key: str) -> Callable[..., Path]:
    """Write a service account's key file: `write_key(token_url, project="my-project")`."""

    def write_key(token_url: str, project: str = "my-project", **changes: Any) -> Path:
        file = tmp_path / f"{project}.json"
        key = {**build_key(private_key, project=project, token_url=token_url), **changes}
        file.write_text(json.dumps(key), "utf-8")
        return file

    return write_key


@pytest.fixture
def fake_gcloud(home: Path, tmp_path: Path) -> FakeGcloud:
    """A fake gcloud on PATH whose answers the test sets."""
    del home
    return FakeGcloud(tmp_path / "bin")
