"""The generated service account."""

from pathlib import Path

from google.auth.transport.requests import Request
from google.oauth2 import service_account

from zenml_vertex.local_stack.credentials import write_key_file
from zenml_vertex.local_stack.stack import LocalStack

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]


def test_googles_library_accepts_the_key(local_stack: LocalStack) -> None:
    """google-auth exchanges the key for a token at the emulator and contacts no other server."""
    credentials = service_account.Credentials.from_service_account_file(
        local_stack.environment["GOOGLE_APPLICATION_CREDENTIALS"], scopes=SCOPES
    )
    credentials.refresh(Request())
    assert credentials.valid
    assert credentials.project_id == "demo-project"
    assert credentials.service_account_email == ("local-stack@demo-project.iam.gserviceaccount.com")


def test_only_the_owner_reads_the_key(tmp_path: Path) -> None:
    """The key file is private from its first byte, even if it replaces an older file."""
    path = tmp_path / "key.json"
    write_key_file(path, project="p", token_url="http://127.0.0.1:1/token")
    assert path.stat().st_mode & 0o777 == 0o600
