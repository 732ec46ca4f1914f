"""Credentials files: a user's own, and those that google-auth does not load."""

import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_gcloud import FakeGcloud
from zenml_vertex.cloud.credentials import Identity, resolve_identity
from zenml_vertex.errors import CredentialsError

WriteKey = Callable[..., Path]
TOKEN_URL = "https://oauth2.googleapis.com/token"


def identify(*, key_file: str | None = None) -> Identity:
    """Call `resolve_identity` in the project `p`."""
    return resolve_identity(project="p", key_file=key_file, connector=None, is_emulator=False)


def test_a_users_default_credentials_are_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account is named if the file has one, and google-auth's quota advice is not a warning."""
    file = tmp_path / "adc.json"
    content = {
        "type": "authorized_user",
        # The OAuth client of the gcloud CLI, about which google-auth warns.
        "client_id": "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com",
        "client_secret": "not-a-secret",
        "refresh_token": "1//0ghunter2",
    }
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    for account, who in (("ada@example.com", "ada@example.com"), ("", "the user")):
        file.write_text(json.dumps({**content, "account": account}))
        found = identify()
        assert found.description == f"{who} (Application Default Credentials)"
        assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    "content",
    [
        {"type": "external_account"},
        {"type": "external_account_authorized_user"},
        {"type": "impersonated_service_account"},
        {"type": "authorized_user"},
        {"type": "external_account", "audience": "a", "subject_token_type": 1, "token_url": 2},
        {"private_key": "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----"},
        {"client_email": "hunter2", "private_key": "-----BEGIN hunter2"},
    ],
)
@pytest.mark.parametrize("variable", [False, True])
def test_a_file_that_google_does_not_load_is_named(
    tmp_path: Path,
    write_key: WriteKey,
    monkeypatch: pytest.MonkeyPatch,
    content: dict[str, Any],
    variable: bool,
) -> None:
    """The error names a file that google-auth does not load, and nothing in it."""
    file = tmp_path / "broken.json"
    key = {} if "type" in content else json.loads(write_key(TOKEN_URL).read_text())
    file.write_text(json.dumps({**key, **content}))
    if variable:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with pytest.raises(CredentialsError) as caught:
        identify(key_file=None if variable else str(file))
    assert str(file) in str(caught.value)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"[]", b"{", b'{"type": "hunter2"}'])
def test_invalid_default_credentials_are_an_error(
    tmp_path: Path,
    fake_gcloud: FakeGcloud,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes | None,
) -> None:
    """Invalid default credentials are an error; gcloud's login is not used instead."""
    file = tmp_path / "adc.json"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with pytest.raises(CredentialsError, match="unset GOOGLE_APPLICATION_CREDENTIALS") as caught:
        identify()
    assert str(file) in str(caught.value)
    assert fake_gcloud.runs == []
