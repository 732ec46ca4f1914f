"""Key files that are none."""

import json
from pathlib import Path

import pytest

from zenml_vertex.cloud.key_file import find_key_file_problem

KEY = {
    "type": "service_account",
    "client_email": "a@p.iam.gserviceaccount.com",
    "private_key": "hunter2",
    "token_uri": "https://oauth2.googleapis.com/token",
}


@pytest.mark.parametrize(
    "content", [KEY, {"type": "external_account"}, {"type": "authorized_user"}]
)
def test_what_google_loads_is_no_problem(tmp_path: Path, content: dict[str, str]) -> None:
    """Every kind of credentials file that the built-in operator takes."""
    file = tmp_path / "key.json"
    file.write_text(json.dumps(content))
    assert find_key_file_problem(str(file)) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[]", "is JSON but no key"),
        (b'{"web": {}}', "its `type` is None"),
        (json.dumps({**KEY, "private_key": ""}).encode(), "without `private_key`"),
    ],
)
def test_a_file_that_is_no_key_is_named_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    """And with the command that makes a key."""
    file = tmp_path / "key.json"
    file.write_bytes(content)
    problem = find_key_file_problem(str(file))
    assert problem is not None
    assert reason in problem
    assert str(file) in problem
    assert "gcloud iam service-accounts keys create" in problem
    assert "hunter2" not in problem


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    """The two most common slips."""
    assert "no such file on this machine" in str(find_key_file_problem(str(tmp_path / "key.json")))
    assert "cannot be read" in str(find_key_file_problem(str(tmp_path)))
