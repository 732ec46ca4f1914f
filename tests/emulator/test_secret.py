"""A secret in the address: who reaches an emulator beyond loopback, and who finds nothing there."""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from google.cloud import aiplatform_v1 as api

from tests.emulator.test_strangers import wait_for_reset
from tests.support.emulators import NO_WAITING, PARENT, JobOf, Submit, call
from tests.support.users import as_nobody, needs_root
from vertex_emulator import NotLoopbackError, VertexEmulator, WeakSecretError
from vertex_emulator.http import server
from vertex_emulator.http.address import Address, AddressSecret

SECRET = "k3Vb-ZpQ_0aYwLx7RtEoUm4s"
JOBS = f"/v1/{PARENT}/customJobs"


@pytest.fixture(scope="module")
def shared() -> Iterator[VertexEmulator]:
    """An emulator that listens on every address of this machine."""
    with VertexEmulator(address="0.0.0.0", secret=SECRET, timings=NO_WAITING) as emulator:
        yield emulator


@pytest.fixture
def guarded(shared: VertexEmulator) -> VertexEmulator:
    """The same without jobs and recorded calls."""
    shared.reset()
    return shared


def ask(emulator: VertexEmulator, path: str, **options: Any) -> requests.Response:
    """Ask for a path that follows the port, the secret included."""
    return requests.get(f"http://127.0.0.1:{emulator.port}{path}", timeout=10, **options)


def test_whoever_knows_the_secret_uses_any_client(
    guarded: VertexEmulator,
    job_of: JobOf,
    submit: Submit,
    google_client: Callable[..., api.JobServiceClient],
) -> None:
    """Google's client is led there by its address alone."""
    name = submit(guarded, job_of("true"))["name"]
    with google_client(guarded) as client:
        assert [job.name for job in client.list_custom_jobs(parent=PARENT)] == [name]


@needs_root
def test_a_stranger_needs_the_secret_and_nothing_else(
    guarded: VertexEmulator, job_of: JobOf
) -> None:
    """A process whose user the kernel calls another's, as it calls those of containers unknown."""
    with as_nobody():
        created = call(guarded, "POST", JOBS, json=job_of("true"))
        # As a container calls it.
        named = call(guarded, "GET", JOBS, headers={"Host": "vertex:8085"})
        without = ask(guarded, JOBS)
    assert (created.status_code, named.status_code, without.status_code) == (200, 200, 404)


@pytest.mark.parametrize(
    "begin",
    [
        "",
        "/secret=",
        f"/secret={SECRET[:-1]}",
        f"/secret={SECRET[:-1]}t",
        f"/secret={SECRET}x",
        f"/{SECRET}",
        f"/x/secret={SECRET}",
        f"//secret={SECRET}",
        "/secret=%ff",
        "/secret=ключ-длиной-в-столько-же-букв",
    ],
)
@pytest.mark.parametrize("path", ["/emulator/health", JOBS, "/token", "/v1/nothing", "/v2/entries"])
def test_without_the_secret_there_is_nothing(
    guarded: VertexEmulator, begin: str, path: str
) -> None:
    """The answer is the same whatever is asked for, by the emulator's own user too."""
    answer = ask(guarded, f"{begin}{path}")
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "Not found.")
    assert answer.headers["connection"] == "close"
    assert guarded.calls == ()


def test_a_create_without_the_secret_starts_nothing(guarded: VertexEmulator, job_of: JobOf) -> None:
    """Whoever reached the port could run commands."""
    url = f"http://127.0.0.1:{guarded.port}{JOBS}"
    assert requests.post(url, json=job_of("true"), timeout=10).status_code == 404
    assert guarded.jobs == ()


def test_the_secret_is_nobodys_to_read(
    guarded: VertexEmulator, job_of: JobOf, submit: Submit, caplog: pytest.LogCaptureFixture
) -> None:
    """No record, no log line, no repr and no job has it; nor a secret with a typing error."""
    caplog.set_level(logging.DEBUG)
    # It prints the URLs of the requests that the test itself makes.
    caplog.set_level(logging.INFO, logger="urllib3")
    job = submit(guarded, job_of("env"))["name"]
    guarded.wait_for_state(job)
    ask(guarded, f"/secret={SECRET[:-1]}{JOBS}")
    ask(guarded, f"/secret={SECRET}/secret={SECRET}{JOBS}")
    said = [
        *(record.getMessage() for record in caplog.records),
        *(repr(item) for item in (guarded, guarded.calls, AddressSecret(SECRET))),
        str(guarded.job(job).to_json()),
        str(guarded.log_entries(job)),
        str(call(guarded, "GET", "/emulator/requests").json()),
    ]
    assert len(guarded.calls) == 1
    assert "A request without the secret of the address was refused." in said
    assert not [text for text in said if SECRET[:-1] in text]


def test_a_job_gets_its_token_without_the_secret(
    guarded: VertexEmulator, job_of: JobOf, submit: Submit
) -> None:
    """The variable that leads a job to its metadata server has room for a host only."""
    code = (
        "import os, urllib.request as r\n"
        "url = f'http://{os.environ[\"GCE_METADATA_HOST\"]}/computeMetadata/v1/'\n"
        "path = 'instance/service-accounts/default/token'\n"
        "headers = {'Metadata-Flavor': 'Google'}\n"
        "print(r.urlopen(r.Request(url + path, headers=headers)).status)"
    )
    job = submit(guarded, job_of("python", "-c", code))["name"]
    assert guarded.wait_for_state(job).error is None
    guarded.wait_for_line(job, "200")


@needs_root
def test_a_stranger_gets_no_token_without_the_secret(guarded: VertexEmulator) -> None:
    """The metadata server is for the emulator's own user."""
    path = "/computeMetadata/v1/instance/service-accounts/default/token"
    with as_nobody():
        assert ask(guarded, path, headers={"Metadata-Flavor": "Google"}).status_code == 404


def test_a_page_is_refused_with_the_secret_too(guarded: VertexEmulator) -> None:
    """What browsers send in a page's name is refused as ever."""
    answer = call(guarded, "GET", JOBS, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


@needs_root
def test_connections_that_show_no_secret_are_cut(
    guarded: VertexEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reached the port could hold its descriptors until nobody was answered."""
    monkeypatch.setattr(server, "_PROOF_SECONDS", 0.1)
    address = ("127.0.0.1", guarded.port)
    with requests.Session() as session, as_nobody(), socket.create_connection(address) as idle:
        assert session.get(guarded.url + JOBS, timeout=10).status_code == 200
        assert wait_for_reset(idle, 10)
        # A connection that has shown it stays.
        assert session.get(guarded.url + JOBS, timeout=10).status_code == 200
    assert len(guarded.calls) == 2


@needs_root
def test_many_idle_connections_make_room(guarded: VertexEmulator) -> None:
    """Of those that have shown no secret, the oldest are cut when there are too many."""
    address = ("127.0.0.1", guarded.port)
    with ExitStack() as opened, as_nobody():
        held = [opened.enter_context(socket.create_connection(address)) for _ in range(80)]
        assert call(guarded, "GET", JOBS).status_code == 200
        assert all(wait_for_reset(connection, 10) for connection in held[:8])
        assert not wait_for_reset(held[-1], 0)


@pytest.mark.parametrize("secret", ["", "short", "x" * 21, "x" * 257, "with a space" * 3, "ж" * 30])
def test_a_secret_that_could_be_guessed_is_refused(secret: str) -> None:
    """The error says what a secret looks like, and does not repeat this one."""
    with pytest.raises(WeakSecretError, match="22 to 256") as caught:
        VertexEmulator(address="0.0.0.0", secret=secret)
    assert not secret or secret not in str(caught.value)


@pytest.mark.parametrize("address", ["", "example.com", "127.1"])
def test_only_an_ip_address_is_listened_on(address: str) -> None:
    """A name could lead anywhere."""
    with pytest.raises(NotLoopbackError):
        VertexEmulator(address=address, secret=SECRET)


@pytest.mark.parametrize(
    ("address", "host", "own"),
    [
        (Address("0.0.0.0", 1, AddressSecret(SECRET)), f"0.0.0.0:1/secret={SECRET}", "127.0.0.1:1"),
        (Address("::", 1, AddressSecret(SECRET)), f"[::]:1/secret={SECRET}", "[::1]:1"),
        (Address("192.0.2.1", 1), "192.0.2.1:1", "192.0.2.1:1"),
        (Address("::1", 1), "[::1]:1", "[::1]:1"),
    ],
)
def test_where_an_emulator_is(address: Address, host: str, own: str) -> None:
    """Clients are given the secret; jobs of this machine need an address that leads here."""
    assert (address.host, address.own_host) == (host, own)
