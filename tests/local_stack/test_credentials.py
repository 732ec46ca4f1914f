"""The generated service account."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from vertex_emulator import write_key_file
from zenml_vertex.job.identity import JobName
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


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
def test_the_commands_that_the_log_prints_work(local_stack: LocalStack) -> None:
    """In the stack, gcloud has the stack's account and project, without any login.

    The emulator answers the account: there is no such job.
    """
    name = JobName.parse("projects/1/locations/europe-west4/customJobs/404")
    command = name.created_in("projects/demo-project/locations/europe-west4").build_command(
        "describe"
    )
    done = subprocess.run(
        shlex.split(command),
        env=dict(local_stack.environment),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "NOT_FOUND: The CustomJob does not exist." in done.stderr, done.stderr
    listed = subprocess.run(
        ["gcloud", "ai", "custom-jobs", "list", "--region=europe-west4"],
        env=dict(local_stack.environment),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert listed.returncode == 0, listed.stderr


def test_only_the_owner_reads_the_key(tmp_path: Path) -> None:
    """The key file is private from its first byte, even if it replaces an older file."""
    path = tmp_path / "key.json"
    write_key_file(path, project="p", token_url="http://127.0.0.1:1/token")
    assert path.stat().st_mode & 0o777 == 0o600
