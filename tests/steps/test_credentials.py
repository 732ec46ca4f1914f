"""A missing identity or project is reported before any request to Google."""

import json
from pathlib import Path

import pytest

from tests.support.components import make_operator
from zenml_vertex.errors import CredentialsError
from zenml_vertex.steps.operator import VertexStepOperator


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VertexStepOperator:
    """A component without a project, on a machine without a login."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AIPLATFORM_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    return make_operator()


def test_without_credentials_the_error_says_how_to_get_some(operator: VertexStepOperator) -> None:
    """The error names the login command, which Google's own exception does not."""
    with pytest.raises(CredentialsError) as raised:
        operator.connect()
    assert "`gcloud auth login`" in str(raised.value)
    assert "`zenml step-operator connect" in str(raised.value)


def test_credentials_without_a_project_are_refused(
    operator: VertexStepOperator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No job is created in `projects/None`, and the error shows nothing of the credentials."""
    file = tmp_path / "credentials.json"
    login = {
        "type": "authorized_user",
        "client_id": "hunter1",
        "client_secret": "hunter2",
        "refresh_token": "hunter3",
    }
    file.write_text(json.dumps(login))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with pytest.raises(CredentialsError) as raised:
        operator.connect()
    assert "No Google Cloud project" in str(raised.value)
    assert "zenml step-operator update" in str(raised.value)
    assert "hunter" not in str(raised.value)
