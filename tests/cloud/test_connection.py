"""Connecting: the log line about identity and place, hidden secrets, and the missing package."""

import json
import logging
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_gcloud import FakeGcloud
from vertex_emulator import VertexEmulator
from zenml_vertex.cloud import client_required
from zenml_vertex.cloud.connection import Connection
from zenml_vertex.cloud.credentials import ConnectorAccess
from zenml_vertex.errors import (
    CredentialsError,
    JobNotFound,
    RequestRejected,
    VertexStepOperatorError,
)
from zenml_vertex.installation import install_command

Connected = Callable[..., Connection]
WriteKey = Callable[..., Path]
TOKEN_URL = "https://oauth2.googleapis.com/token"


@pytest.mark.smoke
def test_one_line_names_the_identity_and_the_place(
    emulator: VertexEmulator,
    write_key: WriteKey,
    connected: Connected,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One line has the identity, its source, the project, the region and the address."""
    caplog.set_level(logging.INFO, logger="zenml_vertex")
    key = write_key(TOKEN_URL)
    connection = connected(key_file=str(key), region="europe-west4", api_endpoint=emulator.url)
    lines = [record.getMessage() for record in caplog.records if "zenml_vertex" in record.name]
    assert lines == [
        "Vertex AI: acting as local-stack@my-project.iam.gserviceaccount.com (key file "
        f"{key}) in project `my-project`, region `europe-west4` ({emulator.url})."
    ]
    assert connection.parent == "projects/my-project/locations/europe-west4"


ESCAPES = "\x1b]0;pwned\a\nStep `x`: SUCCEEDED"


def test_who_acts_is_said_without_escapes(
    emulator: VertexEmulator,
    write_key: WriteKey,
    connected: Connected,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever wrote a key file, or named a connector, could forge lines in others' terminals."""
    caplog.set_level(logging.INFO, logger="zenml_vertex")
    key = write_key(TOKEN_URL, client_email=f"a@b{ESCAPES}")
    connected(key_file=str(key), api_endpoint=emulator.url)
    connector = ConnectorAccess(f"gcp{ESCAPES}", "my-project", dict, f"a@b{ESCAPES}")
    connected(connector=connector, api_endpoint=emulator.url)
    lines = [record.getMessage() for record in caplog.records if "zenml_vertex" in record.name]
    assert len(lines) == 2
    assert [line for line in lines if not line.isprintable()] == []


def test_no_project_with_escapes_is_used(
    emulator: VertexEmulator, write_key: WriteKey, connected: Connected
) -> None:
    """Whoever may edit a step operator, connector or key file could do the same by its project.

    `zenml-vertex jobs list` wrote it as it was: only what steps do had checked it.
    """
    key = write_key(TOKEN_URL, project_id=f"p{ESCAPES}")
    connector = ConnectorAccess("gcp", f"p{ESCAPES}", dict)
    for given in (
        {"project": f"p{ESCAPES}", "key_file": str(write_key(TOKEN_URL, "other"))},
        {"key_file": str(key)},
        {"connector": connector},
        {"connector": connector, "project": "other"},
    ):
        with pytest.raises(CredentialsError) as caught:
            connected(api_endpoint=emulator.url, **given)
        assert str(caught.value).isprintable()
        assert "pwned" not in str(caught.value)


def test_the_address_is_the_regions_own(
    fake_gcloud: FakeGcloud, connected: Connected, caplog: pytest.LogCaptureFixture
) -> None:
    """Without an emulator or endpoint, jobs go to Google; connecting itself sends nothing."""
    caplog.set_level(logging.INFO, logger="zenml_vertex")
    connected(region="europe-west4")
    assert caplog.messages == [
        "Vertex AI: acting as ada@example.com (gcloud login) in project `gcloud-project`, region "
        "`europe-west4` (europe-west4-aiplatform.googleapis.com)."
    ]
    assert fake_gcloud.token_runs == 0


def test_no_secret_is_logged_or_shown(
    emulator: VertexEmulator,
    fake_gcloud: FakeGcloud,
    write_key: WriteKey,
    connected: Connected,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No token, key or environment value is logged, even at the DEBUG level."""
    caplog.set_level(logging.DEBUG)
    fake_gcloud.answer("auth", output="ya29.hunter2\n")
    job = {
        "displayName": "x" * 200,
        "jobSpec": {
            "workerPoolSpecs": [
                {"containerSpec": {"env": [{"name": "PASSWORD", "value": "hunter2"}]}}
            ]
        },
    }
    shown = []
    key = write_key(TOKEN_URL)
    for key_file in (str(key), None):
        connection = connected(key_file=key_file, api_endpoint=emulator.url)
        with pytest.raises(JobNotFound) as missing:
            connection.jobs.get(f"{connection.parent}/customJobs/1")
        with pytest.raises(RequestRejected) as refused:
            connection.jobs.create(connection.parent, job)
        transport: Any = connection.jobs._client.transport
        credentials = transport._session.credentials
        shown += [repr(connection), repr(connection.identity), repr(credentials), str(credentials)]
        shown += traceback.format_exception(missing.value)
        shown += traceback.format_exception(refused.value)
        assert credentials.token
        assert credentials.token not in caplog.text + "".join(shown)
    text = caplog.text + "".join(shown)
    assert "hunter2" not in text
    assert json.loads(key.read_text())["private_key"].splitlines()[1] not in text
    assert "acting as ada@example.com" in text


_WITHOUT_GOOGLE = """
import sys
from datetime import datetime, timezone
from functools import partial
from uuid import uuid4

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("google.auth", "google.cloud", "google.api_core", "google.oauth2")):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from zenml.enums import StackComponentType
from zenml_vertex import VertexStepOperatorConfig, VertexStepOperatorSettings
from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.steps.operator import VertexStepOperator
from zenml_vertex.steps.preflight import check_connector

now = datetime.now(timezone.utc)
operator = VertexStepOperator(
    name="v", id=uuid4(), config=VertexStepOperatorConfig(region="us-central1", project="p"),
    flavor="vertex", type=StackComponentType.STEP_OPERATOR, user=uuid4(), created=now,
    updated=now, connector=uuid4(),
)
settings = VertexStepOperatorSettings(project="p")
for call in (lambda _: operator.connect(), partial(check_connector, operator)):
    try:
        call(settings)
    except VertexStepOperatorError as error:
        print(error)
"""


@pytest.mark.smoke
def test_without_googles_client_the_operator_names_the_extra() -> None:
    """Without Google's client, both entry points name the extra that installs it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _WITHOUT_GOOGLE],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "not installed" in line]
    assert len(lines) == 2
    for line in lines:
        assert line.endswith(f"Run `{install_command('client')}`.")


def test_another_missing_module_is_reported_as_it_is() -> None:
    """The ImportError of any other missing module is raised unchanged."""
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), client_required():
        import no_such_module  # type: ignore[import-not-found]  # noqa: F401
    with pytest.raises(VertexStepOperatorError) as raised, client_required():
        import google.no_such_module  # noqa: F401
    assert str(raised.value).endswith(f"Run `{install_command('client')}`.")


SECRET = "k3Vb-ZpQ_0aYwLx7RtEoUm4s"


def test_an_emulator_behind_a_secret(
    connected: Connected, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Jobs, logs and secrets are reached below it; neither log nor errors show it."""
    caplog.set_level(logging.INFO, logger="zenml_vertex")
    parent = "projects/my-project/locations/us-central1"
    with VertexEmulator(secret=SECRET) as emulator:
        monkeypatch.setenv("AIPLATFORM_EMULATOR_HOST", emulator.host)
        connection = connected(project="my-project")
        assert connection.jobs.list(parent, "").jobs == ()
        connection.logs.fetch_tail(f"{parent}/customJobs/1", "service")
        assert {call.status for call in emulator.calls} == {200}
    raised = []
    for ask in (
        lambda: connection.jobs.list(parent, ""),
        lambda: connection.logs.fetch_tail(f"{parent}/customJobs/1", "service"),
    ):
        with pytest.raises(VertexStepOperatorError) as caught:
            ask()
        raised.append("".join(traceback.format_exception(caught.value)))
    assert f"(http://127.0.0.1:{emulator.port}/secret=***)" in caplog.text
    assert SECRET not in caplog.text + "".join(raised) + repr(connection)
