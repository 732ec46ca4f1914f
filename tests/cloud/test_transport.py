"""Where a request's body and token travel, besides where they are sent."""

from collections.abc import Callable
from typing import Any

import pytest
from google.oauth2.credentials import Credentials

from tests.support.servers import Canned
from vertex_emulator import VertexEmulator
from zenml_vertex.cloud.connection import Connection
from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.jobs import VertexJobs
from zenml_vertex.cloud.logs import VertexLogs
from zenml_vertex.errors import (
    ConfigurationError,
    CredentialsError,
    JobNotFound,
    ServiceUnavailable,
)

PARENT = "projects/my-project/locations/us-central1"
NAME = f"{PARENT}/customJobs/1"
# Its port is one of no service's: whatever is sent there raises an error.
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that sends all requests through a proxy."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, NOWHERE)
        monkeypatch.setenv(name.lower(), NOWHERE)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_no_job_along(jobs_at: Callable[..., VertexJobs], status: int) -> None:
    """Whoever answers for the API got the job, with ZenML's token in it, sent on to any host."""
    with (
        Canned(200, {"name": NAME}) as thief,
        Canned(status, headers={"Location": f"{thief.url}/v1/loot"}) as server,
    ):
        jobs = jobs_at(server.url, Credentials("token"))
        calls: list[Callable[[], Any]] = [
            lambda: jobs.create(PARENT, {"displayName": "a job"}),
            lambda: jobs.get(NAME),
            lambda: jobs.list(PARENT, ""),
            lambda: jobs.cancel(NAME),
            lambda: VertexLogs(
                Identity(Credentials("token"), "my-project", "somebody"), Endpoint(server.url)
            ).fetch_tail(NAME, "workerpool0-0"),
        ]
        for call in calls:
            with pytest.raises(ServiceUnavailable, match="a redirect, which is not followed"):
                call()
        assert thief.requests == []
        thief.requests.append("none")


@pytest.mark.usefixtures("proxied")
def test_requests_to_this_machine_pass_no_proxy(
    emulator: VertexEmulator,
    write_key: Callable[..., Any],
    connected: Callable[..., Connection],
) -> None:
    """Whoever runs the company's proxy got jobs and tokens for a server on loopback.

    The token itself comes from loopback here, and its key's signature passes no proxy either.
    """
    key = str(write_key(f"{emulator.url}/token"))
    connection = connected(api_endpoint=emulator.url, key_file=key)
    with pytest.raises(JobNotFound):
        connection.jobs.get(NAME)
    assert connection.logs.fetch_tail(NAME, "workerpool0-0") == []


@pytest.mark.usefixtures("proxied")
def test_other_requests_pass_the_proxy(jobs_at: Callable[..., VertexJobs]) -> None:
    """Requests to other machines go through the proxy that the environment names."""
    with pytest.raises(ServiceUnavailable, match="Check HTTPS_PROXY"):
        jobs_at("https://127.example.com").get(NAME)


def test_connecting_asks_for_consent(
    write_key: Callable[..., Any],
    connected: Callable[..., Connection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A component whose endpoint somebody has edited is refused before a token is made.

    The host can be one of the universe that the key file names, if this machine trusts that.
    """
    key = str(write_key("https://oauth2.googleapis.com/token"))
    with pytest.raises(ConfigurationError, match="would get your access tokens"):
        connected(api_endpoint="https://vertex.example.com", key_file=key)
    monkeypatch.setenv("ZENML_VERTEX_ALLOWED_HOSTS", "vertex.example.com")
    connected(api_endpoint="https://vertex.example.com", key_file=key)
    theirs = write_key("https://oauth2.example.org/token", universe_domain="example.org")
    with pytest.raises(CredentialsError, match=r"`universe_domain` is `example\.org`") as caught:
        connected(api_endpoint="https://aiplatform.example.org", key_file=str(theirs))
    assert "`export ZENML_VERTEX_ALLOWED_HOSTS=example.org`" in str(caught.value)
    monkeypatch.setenv("ZENML_VERTEX_ALLOWED_HOSTS", "example.org")
    monkeypatch.setenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "example.org")
    connected(api_endpoint="https://aiplatform.example.org", key_file=str(theirs))
