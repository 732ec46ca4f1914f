"""Key files that are invalid."""

import base64
import json
import os
from pathlib import Path

import pytest

from zenml_vertex.cloud.key_file import find_key_file_problem

KEY = {
    "type": "service_account",
    "client_email": "a@p.iam.gserviceaccount.com",
    "private_key": "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
    "token_uri": "https://oauth2.googleapis.com/token",
}


@pytest.mark.parametrize(
    "content",
    [
        KEY,
        {"type": "external_account"},
        {"type": "external_account_authorized_user"},
        {"type": "impersonated_service_account"},
        {"type": "authorized_user"},
    ],
)
def test_credentials_that_google_loads_are_not_a_problem(
    tmp_path: Path, content: dict[str, str]
) -> None:
    """Every kind of credentials file that the built-in operator takes is accepted."""
    file = tmp_path / "key.json"
    file.write_text(json.dumps(content))
    assert find_key_file_problem(str(file)) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[]", "is JSON but not a credentials file"),
        (b"null", "is JSON but not a credentials file"),
        (b"[" * 100_000, "is not JSON"),
        (b'\xef\xbb\xbf{"type": "service_account"}', "is not JSON"),
        (b'{"web": {}}', "`type` must be one of `service_account`"),
        (b'{"type": {"private_key": "hunter2"}}', "`type` must be one of"),
        (b'{"type": ["service_account"]}', "`type` must be one of"),
        (b'{"type": "hunter2"}', "`type` must be one of"),
        (json.dumps({**KEY, "client_email": 5}).encode(), "without `client_email`"),
        (json.dumps({**KEY, "private_key": ["hunter2"]}).encode(), "without `private_key`"),
        (json.dumps({**KEY, "private_key": "hunter2"}).encode(), "must start with `-----BEGIN`"),
        (json.dumps({**KEY, "private_key": ""}).encode(), "without `private_key`"),
    ],
)
def test_a_file_that_is_not_a_key_is_named_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    """The error gives the file, the reason and the command that creates a key."""
    file = tmp_path / "key.json"
    file.write_bytes(content)
    problem = find_key_file_problem(str(file))
    assert problem is not None
    assert reason in problem
    assert str(file) in problem
    assert "gcloud iam service-accounts keys create" in problem
    assert "hunter2" not in problem


def test_a_missing_file_and_a_folder_are_reported(tmp_path: Path) -> None:
    """A missing file and a folder each have their own error with the path."""
    assert "does not exist on this machine" in str(
        find_key_file_problem(str(tmp_path / "key.json"))
    )
    assert "cannot be read" in str(find_key_file_problem(str(tmp_path)))


@pytest.mark.parametrize("path", ["~nobody-has-this-home/key.json", "key\0.json"])
def test_an_invalid_path_is_reported(path: str) -> None:
    """A path for which Python raises something other than OSError is an error too."""
    assert "is not a valid path on this machine" in str(find_key_file_problem(path))


def test_a_name_that_is_too_long_is_reported() -> None:
    """A key pasted in place of its path is an error."""
    assert "cannot be read" in str(find_key_file_problem(f"/tmp/{'k' * 5000}"))


@pytest.mark.timeout(10)
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe is refused without being opened, because no one may ever write to it."""
    os.mkfifo(tmp_path / "key.json")
    assert "it is not a regular file" in str(find_key_file_problem(str(tmp_path / "key.json")))


def test_a_tilde_is_expanded(home: Path) -> None:
    """`~` in a path is the user's home, as in a shell."""
    (home / "key.json").write_text(json.dumps(KEY))
    assert find_key_file_problem("~/key.json") is None


@pytest.mark.parametrize(
    "given",
    [
        json.dumps(KEY),
        json.dumps(KEY)[:60],
        f" {json.dumps(KEY, indent=2)}",
        KEY["private_key"],
        base64.b64encode(json.dumps(KEY).encode()).decode(),
    ],
    ids=["json", "cut", "lines", "pem", "base64"],
)
def test_a_key_in_place_of_its_path_is_not_shown(given: str) -> None:
    """Whoever gives the key itself, as CI systems keep it, learns so and sees none of it."""
    problem = find_key_file_problem(given)
    assert problem is not None
    assert "is a key, not the path of one" in problem
    assert "hunter2" not in problem
    assert given[:20] not in problem
