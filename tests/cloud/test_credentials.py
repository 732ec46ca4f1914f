"""The sources of credentials in their order, each verified by the identity the emulator saw."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from google.oauth2.credentials import Credentials
from zenml.exceptions import RunStoppedException

from tests.support.fake_gcloud import FakeGcloud
from vertex_emulator import ManualClock, VertexEmulator
from zenml_vertex.cloud.connection import Connection
from zenml_vertex.cloud.credentials import (
    ConnectorAccess,
    ConnectorCredentials,
    Identity,
    check_connector_project,
    resolve_identity,
)
from zenml_vertex.cloud.jobs import VertexJobs
from zenml_vertex.errors import (
    CredentialsError,
    JobNotFound,
    PermissionDenied,
    ServiceUnavailable,
)

JobsAt = Callable[..., VertexJobs]
Connected = Callable[..., Connection]
WriteKey = Callable[..., Path]
NAME = "projects/my-project/locations/us-central1/customJobs/1"
TOKEN_URL = "https://oauth2.googleapis.com/token"


def identify(**given: Any) -> Identity:
    """Call `resolve_identity` without any settings."""
    nothing: dict[str, Any] = dict.fromkeys(("project", "key_file", "connector"))
    return resolve_identity(**{**nothing, "is_emulator": False, **given})


def read(jobs: VertexJobs) -> None:
    """Read a job that does not exist."""
    with pytest.raises(JobNotFound):
        jobs.get(NAME)


def reads(emulator: VertexEmulator) -> list[tuple[str, int]]:
    """Return the identity and status of each read."""
    return [(call.identity, call.status) for call in emulator.calls if call.path == f"/v1/{NAME}"]


def mint(url: str, identity: str) -> Credentials:
    """Get short-lived credentials from an emulator, as ZenML's connector does."""
    form = {"grant_type": "refresh_token", "refresh_token": "r", "client_id": identity}
    answer = requests.post(f"{url}/token", data=form, timeout=10).json()
    expiry = datetime.now(timezone.utc).replace(tzinfo=None) + timedelta(hours=1)
    return Credentials(answer["access_token"], expiry=expiry)


def connector_at(url: str, **changes: Any) -> ConnectorAccess:
    """Build a service connector whose credentials are an emulator's."""
    given = {"name": "gcp", "project": "connector-project", **changes}
    return ConnectorAccess(fetch=lambda: mint(url, "connector@example.com"), **given)


@pytest.mark.smoke
def test_the_order_of_the_sources(
    emulator: VertexEmulator,
    fake_gcloud: FakeGcloud,
    write_key: WriteKey,
    connected: Connected,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Connector, key file, variable, `application-default login` and gcloud's login come in order.

    As each is removed, the next one is used with its own project, and the emulator sees its
    identity.
    """
    emulator.reset()
    fake_gcloud.mint_at(emulator.url)
    default = Path.home() / ".config" / "gcloud" / "application_default_credentials.json"
    default.parent.mkdir(parents=True)
    write_key(TOKEN_URL, "default-project").rename(default)
    variable = str(write_key(TOKEN_URL, "variable-project"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", variable)
    given = {
        "connector": connector_at(emulator.url),
        "key_file": str(write_key(TOKEN_URL, "key-project")),
    }
    take_away: list[Callable[[], object]] = [
        lambda: given.pop("connector"),
        lambda: given.pop("key_file"),
        lambda: monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS"),
        default.unlink,
    ]
    projects = []
    for step in (lambda: None, *take_away):
        step()
        connection = connected(api_endpoint=emulator.url, **given)
        projects.append(connection.identity.project)
        read(connection.jobs)
    assert projects == [
        "connector-project",
        "key-project",
        "variable-project",
        "default-project",
        "gcloud-project",
    ]
    assert [identity for identity, _ in reads(emulator)] == [
        "connector@example.com",
        "local-stack@key-project.iam.gserviceaccount.com",
        "local-stack@variable-project.iam.gserviceaccount.com",
        "local-stack@default-project.iam.gserviceaccount.com",
        "ada@example.com",
    ]


@pytest.mark.smoke
def test_an_emulator_gets_no_credentials_of_the_machine(
    emulator: VertexEmulator,
    fake_gcloud: FakeGcloud,
    write_key: WriteKey,
    connected: Connected,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On an emulator, the user's own credentials are not read, and a project must be set."""
    emulator.reset()
    monkeypatch.setenv("AIPLATFORM_EMULATOR_HOST", emulator.host)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(write_key(TOKEN_URL)))
    read(connected(project="my-project").jobs)
    assert reads(emulator) == [("anonymous", 404)]
    assert fake_gcloud.runs == []
    with pytest.raises(CredentialsError, match=r"anonymous \(emulator\) has none"):
        connected()


def test_an_emulator_does_not_get_the_components_key(
    emulator: VertexEmulator,
    write_key: WriteKey,
    connected: Connected,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever listens at the variable's address gets no token of the component's key file."""
    emulator.reset()
    monkeypatch.setenv("AIPLATFORM_EMULATOR_HOST", emulator.host)
    read(connected(key_file=str(write_key(TOKEN_URL))).jobs)
    assert reads(emulator) == [("anonymous", 404)]


def test_an_emulator_elsewhere_gets_no_token(
    write_key: WriteKey, connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An emulator on another machine gets no token of key file or connector, whatever the scheme.

    Whoever could set the variable got the tokens with `https://`. The project is still theirs.
    """
    monkeypatch.setenv("ZENML_VERTEX_ALLOWED_HOSTS", "other.example.com")
    key = str(write_key(TOKEN_URL))
    for scheme in ("", "http://", "https://"):
        monkeypatch.setenv("AIPLATFORM_EMULATOR_HOST", f"{scheme}other.example.com:80")
        for source in ({"key_file": key}, {"connector": connector_at("", project="my-project")}):
            connection = connected(**source)
            identity = connection.identity
            assert identity.description.startswith("anonymous (emulator) instead of ")
            assert identity.project == "my-project"
            assert identity.credentials.token is None
            with pytest.raises(Exception, match="cannot be refreshed"):
                identity.credentials.refresh(None)
            assert "other.example.com:80" in connection.logs._service.url


@pytest.mark.smoke
@pytest.mark.parametrize("source", ["connector", "ADC", "key file", "gcloud"])
def test_a_configured_project_overrides_the_sources(
    fake_gcloud: FakeGcloud, write_key: WriteKey, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """A configured project overrides the identity's own project."""
    key = str(write_key(TOKEN_URL))
    if source == "ADC":
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", key)
    found = identify(
        project="set-project",
        key_file=key if source == "key file" else None,
        connector=connector_at("", project="") if source == "connector" else None,
    )
    assert found.project == "set-project"
    assert fake_gcloud.token_runs == 0


def test_without_a_project_the_error_says_how_to_set_one(fake_gcloud: FakeGcloud) -> None:
    """The error says how to set a project, and which identity lacks one."""
    fake_gcloud.configure(core={"account": "ada@example.com"})
    with pytest.raises(CredentialsError) as caught:
        identify()
    assert str(caught.value) == (
        "No Google Cloud project is set, and ada@example.com (gcloud login) has none. Set one with "
        "`zenml step-operator update NAME --project=PROJECT_ID`."
    )


def test_two_different_projects_are_an_error() -> None:
    """A configured project that differs from the connector's is an error; either may be empty."""
    for ours, theirs in ((None, "p"), ("", "p"), ("p", ""), ("p", "p")):
        check_connector_project(ours, theirs)
    with pytest.raises(CredentialsError, match="remove-attribute NAME project") as caught:
        identify(project="ours", connector=connector_at("", project="theirs"))
    assert "`ours`" in str(caught.value)
    assert "`theirs`" in str(caught.value)


@pytest.mark.parametrize(
    ("source", "who"),
    [
        ({"account": "a@b.iam"}, "a@b.iam (service connector `gcp`)"),
        ({}, "service connector `gcp`"),
    ],
)
def test_a_connector_is_described(source: dict[str, str], who: str) -> None:
    """A connector is described by its account, if it names one."""
    assert identify(connector=connector_at("", **source)).description == who


def test_an_impersonating_login_is_described(fake_gcloud: FakeGcloud) -> None:
    """A login with impersonation is described by the service account that it impersonates."""
    fake_gcloud.configure(
        core={"account": "ada@example.com", "project": "p"},
        auth={"impersonate_service_account": "trainer@p.iam.gserviceaccount.com"},
    )
    assert identify().description == (
        "trainer@p.iam.gserviceaccount.com (gcloud login of ada@example.com)"
    )


@pytest.mark.smoke
def test_a_connector_is_asked_again_when_its_token_has_expired(
    fake_gcloud: FakeGcloud, connected: Connected, write_key: WriteKey
) -> None:
    """The connector gives a new token after a 401, so an expired token is sent only once."""
    del fake_gcloud, write_key
    clock = ManualClock()
    with VertexEmulator(clock=clock) as emulator:
        jobs = connected(
            project="my-project",
            api_endpoint=emulator.url,
            connector=connector_at(emulator.url, project=""),
        ).jobs
        for _ in range(3):
            read(jobs)
            read(jobs)
            clock.advance(3601)
        assert [status for _, status in reads(emulator)] == [404, 404, 401, 404, 404, 401, 404, 404]
        assert {who for who, _ in reads(emulator)} == {"connector@example.com"}
        assert sum(call.path == "/token" for call in emulator.calls) == 3


def test_a_connectors_token_is_used_to_its_end(emulator: VertexEmulator, jobs_at: JobsAt) -> None:
    """A token that google-auth calls invalid minutes early is used while ZenML has no other."""
    emulator.reset()

    def fetch() -> Credentials:
        credentials = mint(emulator.url, "connector@example.com")
        credentials.expiry = datetime.now(timezone.utc).replace(tzinfo=None) + timedelta(minutes=1)
        return credentials

    jobs = jobs_at(emulator.url, ConnectorCredentials(fetch))
    read(jobs)
    read(jobs)
    assert reads(emulator) == [("connector@example.com", 404)] * 2


def raise_(error: Exception) -> Any:
    """Raise, where an expression is required."""
    raise error


def caused_by(text: str) -> Exception:
    """Build an error of this package that an unreachable server caused."""
    error = CredentialsError("the connector")
    error.__cause__ = requests.ConnectionError(text)
    return error


@pytest.mark.parametrize(
    ("fetch", "kind"),
    [
        (lambda: raise_(RuntimeError("the connector was deleted")), CredentialsError),
        (lambda: raise_(NotImplementedError("the connector")), CredentialsError),
        (lambda: raise_(CredentialsError("the connector")), CredentialsError),
        (lambda: raise_(requests.ConnectionError("the server is away")), ServiceUnavailable),
        (lambda: raise_(TimeoutError("the server is away")), ServiceUnavailable),
        (lambda: raise_(caused_by("the server is away")), ServiceUnavailable),
        (lambda: None, CredentialsError),
        (lambda: Credentials("expired", expiry=datetime(2020, 1, 1)), CredentialsError),  # noqa: DTZ001
    ],
)
def test_whatever_a_connector_raises_is_an_error_of_this_package(
    jobs_at: JobsAt, fetch: Callable[[], Any], kind: type[Exception]
) -> None:
    """Any exception of a connector becomes an error that the wait for a job can handle."""
    with pytest.raises(
        kind, match=f"Could not get an access token for somebody while reading {NAME}"
    ):
        jobs_at("http://127.0.0.1:1", ConnectorCredentials(fetch)).get(NAME)


def test_the_exception_that_stops_a_run_is_not_a_connector_error(jobs_at: JobsAt) -> None:
    """The exception of ZenML's SIGTERM handler is raised, so that the job is cancelled."""
    jobs = jobs_at(
        "http://127.0.0.1:1", ConnectorCredentials(lambda: raise_(RunStoppedException("stop")))
    )
    with pytest.raises(RunStoppedException):
        jobs.get(NAME)


def test_a_keys_token_is_renewed_before_its_end(
    emulator: VertexEmulator, write_key: WriteKey, connected: Connected
) -> None:
    """A key signs its next JWT before the last one expires, without any token endpoint."""
    emulator.reset()
    connection = connected(key_file=str(write_key(TOKEN_URL)), api_endpoint=emulator.url)
    read(connection.jobs)
    transport: Any = connection.jobs._client.transport
    credentials = transport._session.credentials
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    credentials.expiry = now + timedelta(minutes=1)
    read(connection.jobs)
    assert credentials.expiry > now + timedelta(minutes=30)
    assert [status for _, status in reads(emulator)] == [404, 404]
    assert all(call.path != "/token" for call in emulator.calls)


def test_a_wrong_clock_is_reported(write_key: WriteKey, connected: Connected) -> None:
    """With a clock two hours behind, calls end with an error that names the clock."""
    ahead = datetime.now(timezone.utc) + timedelta(hours=2)
    with VertexEmulator(clock=ManualClock(ahead)) as emulator:
        jobs = connected(key_file=str(write_key(TOKEN_URL)), api_endpoint=emulator.url).jobs
        with pytest.raises(PermissionDenied, match="A machine whose clock is wrong"):
            jobs.get(NAME)


# google-auth reads the variables of the metadata server when it is imported.
_ALONE = """
import sys
from zenml_vertex.cloud.connection import connect
from zenml_vertex.errors import VertexStepOperatorError
try:
    connection = connect(region="us-central1", project=None, key_file=None,
                         api_endpoint=sys.argv[1] or None, connector=None)
    print(connection.identity.description)
    connection.jobs.get(connection.parent + "/customJobs/1")
except VertexStepOperatorError as error:
    print(type(error).__name__, error)
"""


def run_alone(url: str = "", **environment: str) -> str:
    """Connect in a process of its own, with the given environment."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _ALONE, url],
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_any_credentials_the_error_says_how_to_get_some() -> None:
    """The error lists the sources that were searched and the two login commands."""
    output = run_alone(NO_GCE_CHECK="true")
    assert "CredentialsError No Google Cloud credentials: no service connector, no `serv" in output
    assert "Run `gcloud auth login`, or link a connector with `zenml step-operator conn" in output
    assert "installed" not in output


def test_a_failing_cli_is_named_if_nothing_else_was_found(fake_gcloud: FakeGcloud) -> None:
    """If gcloud fails and no other source exists, the error says so."""
    fake_gcloud.answer("config", errors="ERROR: gcloud crashed: disk full", code=1)
    output = run_alone(NO_GCE_CHECK="true")
    assert "The gcloud CLI is installed, but `gcloud config list` failed: ERROR: gcloud" in output


def test_the_credentials_of_a_google_machine_are_found(emulator: VertexEmulator) -> None:
    """On Google's machines, the attached service account and its project are used."""
    emulator.reset()
    output = run_alone(emulator.url, GCE_METADATA_HOST=emulator.host, GCE_METADATA_IP=emulator.host)
    assert "the machine's service account (Application Default Credentials)\n" in output
    assert "JobNotFound" in output
    path = "/v1/projects/emulator-tp/locations/us-central1/customJobs/1"
    (call,) = [call for call in emulator.calls if call.path == path]
    assert call.identity.startswith("service-")
