"""Servers of other users of this machine, which get neither tokens nor jobs."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from ipaddress import ip_address
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.oauth2.credentials import Credentials

from tests.support.servers import Canned
from tests.support.users import NOBODY, as_nobody, needs_root
from vertex_emulator import MemoryStore, ScriptedRuntime, VertexEmulator
from zenml_vertex.cloud.connection import Connection
from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.jobs import VertexJobs
from zenml_vertex.cloud.listeners import Listener, find_strangers, find_users
from zenml_vertex.cloud.secrets import SecretManager
from zenml_vertex.errors import ConfigurationError, JobNotFound, ServiceUnavailable

PARENT = "projects/my-project/locations/us-central1"
NAME = f"{PARENT}/customJobs/1"
REFUSED = rf"^Vertex settings: The server on .* another user of this machine \(uid {NOBODY}\)"


@contextmanager
def server_of_nobody() -> Iterator[Canned]:
    """A server of another user, which must not be sent a request."""
    with as_nobody():
        server = Canned(200, {"name": NAME})
    with server:
        yield server
        assert server.requests == []
        server.requests.append("none")


@needs_root
def test_a_server_of_another_user_gets_no_token(jobs_at: Callable[..., VertexJobs]) -> None:
    """Another user got access tokens by a shared `api_endpoint` of 127.0.0.1 and their own port."""
    with server_of_nobody() as server:
        jobs = jobs_at(server.url, Credentials("token"))
        secrets = SecretManager(
            Identity(Credentials("token"), "my-project", "somebody"), Endpoint(server.url)
        )
        calls: list[Callable[[], Any]] = [
            lambda: jobs.create(PARENT, {"displayName": "a job"}),
            lambda: jobs.get(NAME),
            lambda: jobs.list(PARENT, ""),
            lambda: jobs.cancel(NAME),
            lambda: secrets.list("my-project"),
        ]
        for call in calls:
            with pytest.raises(ConfigurationError, match=REFUSED):
                call()


@needs_root
def test_a_server_of_another_user_makes_no_token(
    emulator: VertexEmulator,
    write_key: Callable[..., Any],
    connected: Callable[..., Connection],
) -> None:
    """Another user who had the port of a token server got what a key had signed."""
    with server_of_nobody() as server:
        key = str(write_key(f"{server.url}/token"))
        connection = connected(api_endpoint=emulator.url, key_file=key)
        with pytest.raises(ConfigurationError, match=REFUSED):
            connection.secrets.list("my-project")


@needs_root
def test_whoever_takes_the_port_of_an_emulator_gets_no_job(
    jobs_at: Callable[..., VertexJobs],
) -> None:
    """Another user who took the port of an emulator that had ended got ZenML's token, in a job."""
    with VertexEmulator(runtime=ScriptedRuntime(), store=MemoryStore()) as emulator:
        jobs = jobs_at(emulator.url, AnonymousCredentials())
        with pytest.raises(JobNotFound):
            jobs.get(NAME)
    with as_nobody():
        thief = HTTPServer(("127.0.0.1", emulator.port), object)  # type: ignore[arg-type]
    with thief:
        thief.socket.settimeout(0)
        with pytest.raises(ConfigurationError, match="If an emulator of yours had this port"):
            jobs.create(PARENT, {"displayName": "a job"})
        taken, _ = thief.socket.accept()
        with taken:
            assert taken.recv(100) == b""


@needs_root
def test_localhost_of_another_family_is_refused(jobs_at: Callable[..., VertexJobs]) -> None:
    """Another user who listened on [::1] got what was meant for 127.0.0.1, by `localhost`."""
    with socket.create_server(("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
        with as_nobody():
            thief = socket.create_server(("::1", port), family=socket.AF_INET6)
        with thief, pytest.raises(ConfigurationError, match=REFUSED):
            jobs_at(f"http://[::1]:{port}", Credentials("token")).get(NAME)
        assert find_strangers("127.0.0.1", port) == []


@needs_root
def test_consent_is_as_the_error_says(
    jobs_at: Callable[..., VertexJobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that another user runs for you is taken where this machine names its host."""
    with as_nobody():
        server = Canned(404)
    with server:
        with pytest.raises(ConfigurationError) as caught:
            jobs_at(server.url).get(NAME)
        assert "`export ZENML_VERTEX_ALLOWED_HOSTS=127.0.0.1`" in str(caught.value)
        monkeypatch.setenv("ZENML_VERTEX_ALLOWED_HOSTS", "127.0.0.1")
        with pytest.raises(JobNotFound):
            jobs_at(server.url).get(NAME)


def test_a_server_that_has_gone_is_asked_again_later(
    jobs_at: Callable[..., VertexJobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that ends just when it was reached is an outage: whose it was is not known."""
    monkeypatch.setattr("zenml_vertex.cloud.transport.find_strangers", lambda *_: None)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(ServiceUnavailable, match="has gone, or the kernel does not say whose it is"),
    ):
        jobs_at(f"http://127.0.0.1:{server.getsockname()[1]}").get(NAME)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.7", "::1", "::"])
def test_the_kernel_says_who_listens(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """A listener is found by every spelling of its address, and none is found once it is closed."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        reached = ["::1", "127.0.0.1", "::ffff:127.0.0.1"] if address == "::" else [address]
        assert [find_strangers(each, port) for each in reached] == [[]] * len(reached)
    assert find_strangers(address, port) is None
    monkeypatch.setattr("sys.platform", "darwin")
    assert find_strangers(address, port) == []


def test_the_listener_of_an_address_comes_before_one_of_all() -> None:
    """A server on all addresses of the other version of IP does not stand for one on its own."""
    own, theirs, both = (Listener(ip_address(a), 80, u) for a, u in
                         (("127.0.0.1", 1), ("0.0.0.0", 2), ("::", 3)))  # fmt: skip
    here = ip_address("127.0.0.1")
    assert find_users(here, 80, [own, theirs, both]) == {1}
    assert find_users(here, 80, [theirs, both]) == {2}
    assert find_users(here, 80, [both]) == {3}
    assert find_users(here, 81, [own]) == set()
    assert find_users(ip_address("127.0.0.2"), 80, [own]) == set()
