"""The login of the gcloud CLI: a fake one that counts its runs and fails, and the real one."""

import os
import shutil
import subprocess
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.auth.exceptions import RefreshError

from tests.support.fake_gcloud import FakeGcloud
from vertex_emulator import ManualClock, VertexEmulator
from zenml_vertex.cloud.connection import Connection
from zenml_vertex.cloud.gcloud_login import GcloudCredentials, GcloudLogin, find_gcloud_login
from zenml_vertex.cloud.jobs import VertexJobs
from zenml_vertex.errors import CredentialsError, JobNotFound, ServiceUnavailable

JobsAt = Callable[..., VertexJobs]
Connected = Callable[..., Connection]
REAL_PATH = os.environ["PATH"]
NAME = "projects/my-project/locations/us-central1/customJobs/1"
TOKEN = "ya29.a0AfB_secret-token"


def read(jobs: VertexJobs) -> None:
    """Read a job that does not exist."""
    with pytest.raises(JobNotFound):
        jobs.get(NAME)


def statuses(emulator: VertexEmulator) -> list[int]:
    """Return the status of each read."""
    return [call.status for call in emulator.calls if call.path == f"/v1/{NAME}"]


def identities(emulator: VertexEmulator) -> set[str]:
    """Return the identities that have read."""
    return {call.identity for call in emulator.calls if call.path == f"/v1/{NAME}"}


@pytest.mark.smoke
def test_the_cli_starts_once_for_many_calls(
    emulator: VertexEmulator, fake_gcloud: FakeGcloud, jobs_at: JobsAt
) -> None:
    """One run of the CLI serves many calls, because it takes half a second."""
    emulator.reset()
    fake_gcloud.mint_at(emulator.url)
    jobs = jobs_at(emulator.url, GcloudCredentials("ada@example.com"))
    for _ in range(20):
        read(jobs)
    assert identities(emulator) == {"ada@example.com"}
    assert fake_gcloud.runs == ["auth print-access-token ada@example.com --quiet"]


@pytest.mark.smoke
def test_an_expired_token_is_sent_once(fake_gcloud: FakeGcloud, jobs_at: JobsAt) -> None:
    """A 401 makes the CLI run again, and the same call succeeds with the new token."""
    clock = ManualClock()
    with VertexEmulator(clock=clock) as emulator:
        fake_gcloud.mint_at(emulator.url)
        jobs = jobs_at(emulator.url, GcloudCredentials("ada@example.com"))
        for _ in range(3):
            read(jobs)
            read(jobs)
            clock.advance(3601)
        assert statuses(emulator) == [404, 404, 401, 404, 404, 401, 404, 404]
        assert fake_gcloud.token_runs == 3


def test_threads_share_one_run(
    emulator: VertexEmulator, fake_gcloud: FakeGcloud, jobs_at: JobsAt
) -> None:
    """Ten threads that need a token at the same time run the CLI once."""
    fake_gcloud.mint_at(emulator.url)
    jobs = jobs_at(emulator.url, GcloudCredentials("ada@example.com"))
    together = threading.Barrier(10)

    def start() -> None:
        together.wait()
        read(jobs)

    threads = [threading.Thread(target=start) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fake_gcloud.token_runs == 1


@pytest.mark.parametrize(
    ("sections", "login"),
    [
        (
            {"core": {"account": "ada@example.com", "project": "p"}},
            GcloudLogin("ada@example.com", "p"),
        ),
        ({"core": {"account": "ada@example.com"}}, GcloudLogin("ada@example.com", "")),
        (
            {
                "core": {"account": "ada@example.com", "project": None},
                "auth": {"impersonate_service_account": "trainer@p.iam.gserviceaccount.com"},
            },
            GcloudLogin("ada@example.com", "", "trainer@p.iam.gserviceaccount.com"),
        ),
        ({"core": {"project": "p"}}, None),
        ({"core": {}}, None),
        ({"core": None}, None),
        ({}, None),
    ],
)
def test_the_active_configuration_is_read(
    fake_gcloud: FakeGcloud, sections: dict[str, Any], login: GcloudLogin | None
) -> None:
    """Account, project and impersonation are read; without an account there is no login."""
    fake_gcloud.configure(**sections)
    assert find_gcloud_login() == login


def test_without_the_cli_there_is_no_login() -> None:
    """A machine without the CLI has no login, and that is not an error."""
    assert find_gcloud_login() is None


@pytest.mark.parametrize("output", ["", "null", "[]", "WARNING: {", '{"core": 5}', '{"core": "x"}'])
def test_an_unreadable_configuration_is_an_error(fake_gcloud: FakeGcloud, output: str) -> None:
    """A configuration that cannot be read is an error, and does not count as logged out."""
    fake_gcloud.answer("config", output=output)
    with pytest.raises(RefreshError, match="did not print JSON"):
        find_gcloud_login()


@pytest.mark.timeout(20)
def test_a_cli_that_hangs_is_ended(fake_gcloud: FakeGcloud, jobs_at: JobsAt) -> None:
    """A hanging CLI is ended; the error says so, and fetching a token can be retried."""
    fake_gcloud.answer("config", hangs=True)
    fake_gcloud.answer("auth", hangs=True)
    with pytest.raises(RefreshError, match=r"`gcloud config list` did not finish within 0\.3 s"):
        find_gcloud_login(timeout_seconds=0.3)
    jobs = jobs_at("http://127.0.0.1:1", GcloudCredentials("ada@example.com", 0.3))
    with pytest.raises(ServiceUnavailable, match="print-access-token` did not finish within"):
        jobs.get(NAME)


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        (
            "ERROR: There was a problem refreshing your current auth tokens: invalid_grant\n"
            "Please run:\n\n  $ gcloud auth login\n",
            CredentialsError,
        ),
        ("ERROR: Reauthentication failed. cannot prompt.\n", CredentialsError),
        ("ERROR: HTTPSConnectionPool(host='oauth2.googleapis.com'): Max r", ServiceUnavailable),
        ("ERROR: gcloud crashed (OperationalError): database is locked\n", ServiceUnavailable),
        ("", ServiceUnavailable),
    ],
)
def test_failures_that_need_the_user_are_told_apart(
    fake_gcloud: FakeGcloud, jobs_at: JobsAt, errors: str, kind: type[Exception]
) -> None:
    """A failure that needs the user has the CLI's own text, and the next call runs it again."""
    fake_gcloud.answer("auth", errors=errors, code=1, output=TOKEN)
    jobs = jobs_at("http://127.0.0.1:1", GcloudCredentials("ada@example.com"))
    for _ in range(2):
        with pytest.raises(kind) as caught:
            jobs.get(NAME)
    text = str(caught.value)
    assert f"reading {NAME}" in text
    assert " ".join(errors.split()) in text
    assert "`gcloud auth print-access-token` failed" in text
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    assert fake_gcloud.token_runs == 2


@pytest.mark.parametrize(
    "answer",
    [
        {"errors": f"ERROR: could not cache {TOKEN}", "code": 1},
        {"output": f"Your token is {TOKEN}"},
        {"output": f"{TOKEN}\n{TOKEN}\n"},
        {"output": f"\x1b[1m{TOKEN}"},
        {"output": ""},
        {"output": "\n"},
    ],
)
def test_no_token_is_in_an_error(
    fake_gcloud: FakeGcloud, jobs_at: JobsAt, answer: dict[str, Any]
) -> None:
    """An error shows neither a token nor any other output of the CLI in place of one."""
    fake_gcloud.answer("auth", **answer)
    jobs = jobs_at("http://127.0.0.1:1", GcloudCredentials("ada@example.com"))
    with pytest.raises(
        (CredentialsError, ServiceUnavailable), match="Could not get an access token"
    ) as caught:
        jobs.get(NAME)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    fake_gcloud.answer("config", **answer)
    with pytest.raises(RefreshError) as refused:
        find_gcloud_login()
    assert TOKEN not in "".join(traceback.format_exception(refused.value))


def test_a_cli_that_cannot_be_run_is_an_error(tmp_path: Path) -> None:
    """A file named gcloud that this machine cannot run is an error."""
    program = tmp_path / "bin" / "gcloud"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    with pytest.raises(RefreshError, match="`gcloud config list` cannot be run: Exec format error"):
        find_gcloud_login()


@pytest.fixture
def real_gcloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The real gcloud, with its own configuration: `real_gcloud(*arguments)` runs it."""
    if shutil.which("gcloud", path=REAL_PATH) is None:
        pytest.skip("gcloud is not installed: the real login is not tested")
    monkeypatch.setenv("PATH", REAL_PATH)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    monkeypatch.setenv("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "1")
    monkeypatch.setenv("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "1")

    def run(*arguments: str) -> None:
        done = subprocess.run(
            ["gcloud", *arguments, "--quiet"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    return run


def read_over_an_expiry(jobs: VertexJobs, clock: ManualClock) -> None:
    """Read twice with one token, and twice after it has expired.

    Tokens of the emulator last one second here; gcloud, which uses the system clock, gets a new
    one whenever it is asked.
    """
    read(jobs)
    read(jobs)
    clock.advance(2)
    read(jobs)
    read(jobs)


def test_a_real_user_login_is_enough(
    real_gcloud: Callable[..., None],
    connected: Connected,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After `gcloud auth login` alone, calls work and expired tokens are renewed."""
    caplog.set_level("INFO", logger="zenml_vertex")
    known = {"refresh-token-of-ada": "ada@example.com"}
    clock = ManualClock()
    with VertexEmulator(clock=clock, token_lifetime=1, user_identities=known) as emulator:
        monkeypatch.setenv("CLOUDSDK_AUTH_TOKEN_HOST", f"{emulator.url}/token")
        real_gcloud("auth", "activate-refresh-token", "ada@example.com", "refresh-token-of-ada")
        connection = connected(project="my-project", api_endpoint=emulator.url)
        read_over_an_expiry(connection.jobs, clock)
        assert identities(emulator) == {"ada@example.com"}
        assert statuses(emulator) == [404, 404, 401, 404, 404]
    assert "acting as ada@example.com (gcloud login) in project `my-project`" in caplog.text


def test_a_real_login_of_a_service_account(
    real_gcloud: Callable[..., None],
    connected: Connected,
    write_key: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After `gcloud auth activate-service-account`, the configuration's project is used."""
    clock = ManualClock()
    with VertexEmulator(clock=clock, token_lifetime=1) as emulator:
        key = write_key(f"{emulator.url}/token")
        real_gcloud("auth", "activate-service-account", f"--key-file={key}")
        # `gcloud config set project` asks Google whether the project exists.
        monkeypatch.setenv("CLOUDSDK_CORE_PROJECT", "my-project")
        connection = connected(api_endpoint=emulator.url)
        assert connection.identity.project == "my-project"
        read_over_an_expiry(connection.jobs, clock)
        assert identities(emulator) == {"local-stack@my-project.iam.gserviceaccount.com"}
        assert statuses(emulator) == [404, 404, 401, 404, 404]


def test_a_real_revoked_login_is_an_error(
    real_gcloud: Callable[..., None], connected: Connected
) -> None:
    """An account whose credentials were revoked is an error with gcloud's own cure."""
    real_gcloud("config", "set", "account", "ada@example.com")
    connection = connected(project="my-project", api_endpoint="http://127.0.0.1:1")
    with pytest.raises(CredentialsError, match="gcloud auth login"):
        connection.jobs.get(NAME)


def test_a_real_login_without_a_network_is_a_temporary_error(
    real_gcloud: Callable[..., None], connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a network, the failure is temporary, so a laptop that wakes up keeps its job."""
    with VertexEmulator(token_lifetime=1) as emulator:
        monkeypatch.setenv("CLOUDSDK_AUTH_TOKEN_HOST", f"{emulator.url}/token")
        real_gcloud("auth", "activate-refresh-token", "ada@example.com", "r")
    connection = connected(project="my-project", api_endpoint="http://127.0.0.1:1")
    with pytest.raises(
        ServiceUnavailable, match=r"Could not get an access token for ada@example\.com"
    ):
        connection.jobs.get(NAME)
