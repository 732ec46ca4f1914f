"""Who submits: the sources in their order, each proven by whom the emulator saw."""

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
    """`resolve_identity`, with nothing set."""
    nothing: dict[str, Any] = dict.fromkeys(("project", "key_file", "connector"))
    return resolve_identity(**{**nothing, "is_emulator": False, **given})


def read(jobs: VertexJobs) -> None:
    """Read a job that is not there."""
    with pytest.raises(JobNotFound):
        jobs.get(NAME)


def reads(emulator: VertexEmulator) -> list[tuple[str, int]]:
    """Who has read, and how it was answered."""
    return [(call.identity, call.status) for call in emulator.calls if call.path == f"/v1/{NAME}"]


def mint(url: str, identity: str) -> Credentials:
    """Short-lived credentials of an emulator, as ZenML's connector hands them out."""
    form = {"grant_type": "refresh_token", "refresh_token": "r", "client_id": identity}
    answer = requests.post(f"{url}/token", data=form, timeout=10).json()
    expiry = datetime.now(timezone.utc).replace(tzinfo=None) + timedelta(hours=1)
    return Credentials(answer["access_token"], expiry=expiry)


def connector_at(url: str, **changes: Any) -> ConnectorAccess:
    """A service connector whose credentials are an emulator's."""
    given = {"name": "gcp", "project": "connector-project", **changes}
    return ConnectorAccess(fetch=lambda: mint(url, "connector@example.com"), **given)


@pytest.mark.smoke
def test_sources_are_taken_in_their_order(
    emulator: VertexEmulator,
    fake_gcloud: FakeGcloud,
    write_key: WriteKey,
    connected: Connected,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Connector, key file, variable, the file of `application-default login`, gcloud's login.

    One after the other is taken away. Each brings its project, and the emulator
    sees each at work.
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
    """The person's own are not even looked at; a project has to be set then."""
    emulator.reset()
    monkeypatch.setenv("AIPLATFORM_EMULATOR_HOST", emulator.host)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(write_key(TOKEN_URL)))
    read(connected(project="my-project").jobs)
    assert reads(emulator) == [("anonymous", 404)]
    assert fake_gcloud.runs == []
    with pytest.raises(CredentialsError, match=r"nobody \(emulator\) has none"):
        connected()


def test_an_emulator_gets_what_was_set_for_it(
    emulator: VertexEmulator,
    write_key: WriteKey,
    connected: Connected,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key file of the component is meant, on this machine."""
    emulator.reset()
    monkeypatch.setenv("AIPLATFORM_EMULATOR_HOST", emulator.host)
    read(connected(key_file=str(write_key(TOKEN_URL))).jobs)
    assert reads(emulator) == [("local-stack@my-project.iam.gserviceaccount.com", 404)]


def test_an_emulator_elsewhere_gets_no_token(
    write_key: WriteKey, connected: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would cross the network in clear text; the project of the key still counts."""
    monkeypatch.setenv("AIPLATFORM_EMULATOR_HOST", "10.255.255.1:80")
    identity = connected(key_file=str(write_key(TOKEN_URL))).identity
    assert identity.description == "nobody (emulator)"
    assert identity.project == "my-project"
    assert identity.credentials.token is None
    with pytest.raises(Exception, match="cannot be refreshed"):
        identity.credentials.refresh(None)


@pytest.mark.smoke
@pytest.mark.parametrize("source", ["connector", "ADC", "key file", "gcloud"])
def test_a_set_project_goes_before_the_sources(
    fake_gcloud: FakeGcloud, write_key: WriteKey, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """Jobs may be created in another project than the identity's own."""
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
    """And whose project was looked for."""
    fake_gcloud.configure(core={"account": "ada@example.com"})
    with pytest.raises(CredentialsError) as caught:
        identify()
    assert str(caught.value) == (
        "No Google Cloud project is set, and ada@example.com (gcloud login) has none. Set one with "
        "`zenml step-operator update NAME --project=PROJECT_ID`."
    )


def test_two_projects_are_an_error() -> None:
    """A project of the settings that is not the connector's; either may be empty."""
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
    """By the account that it is for, where it says so."""
    assert identify(connector=connector_at("", **source)).description == who


def test_an_impersonating_login_is_described(fake_gcloud: FakeGcloud) -> None:
    """The CLI's tokens are then the service account's."""
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
    """Reads go on, and an expired token is sent once."""
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
    """google-auth calls it invalid minutes before, when ZenML has no other to give."""
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
    """Raise, where an expression is wanted."""
    raise error


def caused_by(text: str) -> Exception:
    """An error of this package that a server which is away has caused."""
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
    """Hours into a wait, anything else would end the step and its job."""
    with pytest.raises(
        kind, match=f"Could not get an access token for somebody while reading {NAME}"
    ):
        jobs_at("http://127.0.0.1:1", ConnectorCredentials(fetch)).get(NAME)


def test_a_stop_of_the_run_is_not_an_error_of_a_connector(jobs_at: JobsAt) -> None:
    """ZenML's handler of SIGTERM raises it wherever the process is; the job is cancelled then."""
    jobs = jobs_at(
        "http://127.0.0.1:1", ConnectorCredentials(lambda: raise_(RunStoppedException("stop")))
    )
    with pytest.raises(RunStoppedException):
        jobs.get(NAME)


def test_a_keys_token_is_renewed_before_its_end(
    emulator: VertexEmulator, write_key: WriteKey, connected: Connected
) -> None:
    """It is a JWT that the key signs itself: no token endpoint is asked."""
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


def test_a_clock_that_is_wrong_is_named(write_key: WriteKey, connected: Connected) -> None:
    """Two hours behind, every token has expired before it is sent; the calls end."""
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
    """Connect in a process of its own, with the environment that is given."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _ALONE, url],
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_any_credentials_the_error_says_how_to_get_some() -> None:
    """What was looked for, and the two commands."""
    output = run_alone(NO_GCE_CHECK="true")
    assert "CredentialsError No Google Cloud credentials: no service connector, no `serv" in output
    assert "Run `gcloud auth login`, or link a connector with `zenml step-operator conn" in output
    assert "installed" not in output


def test_a_cli_that_fails_is_named_where_nothing_else_was_found(fake_gcloud: FakeGcloud) -> None:
    """Otherwise "no gcloud login was found" would send the person in circles."""
    fake_gcloud.answer("config", errors="ERROR: gcloud crashed: disk full", code=1)
    output = run_alone(NO_GCE_CHECK="true")
    assert "The gcloud CLI is installed, but `gcloud config list` failed: ERROR: gcloud" in output


def test_a_google_machine_is_found(emulator: VertexEmulator) -> None:
    """Its service account acts, in its project; nothing has to be set."""
    emulator.reset()
    output = run_alone(emulator.url, GCE_METADATA_HOST=emulator.host, GCE_METADATA_IP=emulator.host)
    assert "the machine's service account (Application Default Credentials)\n" in output
    assert "JobNotFound" in output
    path = "/v1/projects/emulator-tp/locations/us-central1/customJobs/1"
    (call,) = [call for call in emulator.calls if call.path == path]
    assert call.identity.startswith("service-")
