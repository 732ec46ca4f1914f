"""The emulator under Google's own host names, as clients over gRPC and REST find it."""

import json
import re
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.auth.transport.requests import AuthorizedSession
from google.cloud import aiplatform_v1, aiplatform_v1beta1, logging_v2
from google.cloud.logging_v2.services import logging_service_v2
from google.longrunning import operations_pb2
from google.oauth2 import service_account
from google.protobuf import any_pb2
from google.rpc import error_details_pb2

from tests.support.emulators import NO_WAITING, PARENT, JobOf
from tests.support.pipelines import wait_until
from tests.support.users import as_nobody, needs_root
from vertex_emulator import JobState, VertexEmulator
from vertex_emulator.faults import AnswerLost, Delay

HOST = "us-central1-aiplatform.googleapis.com"
UNIX_SOCKETS = Path("/proc/net/unix")
VERSIONS = [aiplatform_v1, aiplatform_v1beta1]


@pytest.fixture(scope="module")
def shared() -> Iterator[VertexEmulator]:
    """One emulator for the module."""
    with VertexEmulator(timings=NO_WAITING, as_google=True) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared: VertexEmulator) -> VertexEmulator:
    """An emulator under Google's names, without jobs."""
    shared.reset()
    return shared


def trusted(emulator: VertexEmulator) -> bytes:
    """The file with the authorities that clients are to trust."""
    return Path(emulator.google_environment["SSL_CERT_FILE"]).read_bytes()


@contextmanager
def open_client(
    emulator: VertexEmulator, package: Any = aiplatform_v1, name: str = "JobServiceClient"
) -> Iterator[Any]:
    """Google's client over gRPC, which is given what it reads from the environment otherwise.

    gRPC reads its variables once in a process, and this one has several emulators.
    """
    credentials = grpc.ssl_channel_credentials(trusted(emulator))
    proxy = ("grpc.http_proxy", emulator.google_environment["grpc_proxy"])
    host = HOST if name == "JobServiceClient" else "logging.googleapis.com"
    with grpc.secure_channel(f"{host}:443", credentials, options=[proxy]) as channel:
        client = getattr(package, name)
        yield client(transport=client.get_transport_class("grpc")(channel=channel))


def make_job(package: Any, body: Any) -> Any:
    """A job as the client's own message."""
    return package.CustomJob.from_json(json.dumps(body))


@pytest.mark.parametrize("package", VERSIONS)
def test_a_job_lives_over_grpc(emulator: VertexEmulator, job_of: JobOf, package: Any) -> None:
    """Each version's client creates a job over gRPC, which runs, and sees all of it."""
    job = make_job(package, job_of("echo", "ran", labels={"a": "b"}))
    with open_client(emulator, package) as client:
        created = client.create_custom_job(parent=PARENT, custom_job=job, timeout=30)
        emulator.wait_for_state(created.name, JobState.SUCCEEDED)
        ended = client.get_custom_job(name=created.name, timeout=30)
        listed = list(
            client.list_custom_jobs(
                request={"parent": PARENT, "filter": 'labels.a="b"', "page_size": 1}, timeout=30
            )
        )
        client.delete_custom_job(name=created.name, timeout=30).result(timeout=30)
    assert ended.state == package.JobState.JOB_STATE_SUCCEEDED
    assert ended.job_spec.worker_pool_specs[0].container_spec.command == ["echo", "ran"]
    assert [job.name for job in listed] == [created.name]
    assert emulator.jobs == ()
    version = package.__name__.rpartition("_")[2]
    assert {call.path.split("/")[1] for call in emulator.calls} <= {version, "v1"}


def test_a_job_is_cancelled_over_grpc(emulator: VertexEmulator, job_of: JobOf) -> None:
    """A method without an answer, and with a suffix in its path."""
    job = make_job(aiplatform_v1, job_of("sleep", "60"))
    with open_client(emulator) as client:
        name = client.create_custom_job(parent=PARENT, custom_job=job, timeout=30).name
        emulator.wait_for_state(name, JobState.RUNNING)
        client.cancel_custom_job(name=name, timeout=30)
    assert emulator.wait_for_state(name).state is JobState.CANCELLED


def test_a_refusal_keeps_its_code_and_details(emulator: VertexEmulator, job_of: JobOf) -> None:
    """Over gRPC, too, each violation is named in a `google.rpc.BadRequest`."""
    job = make_job(aiplatform_v1, job_of(pool={"machineSpec": {"machineType": "n1-nothing"}}))
    with open_client(emulator) as client:
        with pytest.raises(exceptions.InvalidArgument) as refused:
            client.create_custom_job(parent=PARENT, custom_job=job, timeout=30)
        with pytest.raises(exceptions.NotFound):
            client.get_custom_job(name=f"{PARENT}/customJobs/1", timeout=30)
        with pytest.raises(exceptions.InvalidArgument, match=r"projects/\*/locations/\*"):
            client.list_custom_jobs(parent="projects/p", timeout=30)
    (detail,) = refused.value.details
    assert isinstance(detail, error_details_pb2.BadRequest)
    assert detail.field_violations[0].field.endswith("machine_spec.machine_type")


def test_what_is_not_served_over_grpc_is_named(emulator: VertexEmulator) -> None:
    """A method that the emulator does not know is refused by its name."""
    with open_client(emulator) as client, pytest.raises(exceptions.MethodNotImplemented) as refused:
        client.create_hyperparameter_tuning_job(
            parent=PARENT, hyperparameter_tuning_job={}, timeout=30
        )
    assert "JobService/CreateHyperparameterTuningJob over gRPC" in str(refused.value)


def test_operations_are_read_over_grpc(emulator: VertexEmulator, job_of: JobOf) -> None:
    """google.longrunning.Operations answers for operations of every kind, with their metadata."""
    job = make_job(aiplatform_v1, job_of("true"))
    with open_client(emulator) as client:
        name = client.create_custom_job(parent=PARENT, custom_job=job, timeout=30).name
        emulator.wait_for_state(name)
        begun = client.delete_custom_job(name=name, timeout=30).operation
        found = client.get_operation(
            operations_pb2.GetOperationRequest(name=begun.name), timeout=30
        )
    metadata = aiplatform_v1.DeleteOperationMetadata.pb()()
    assert found.done
    assert found.metadata.Unpack(metadata)
    assert metadata.generic_metadata.HasField("create_time")


def test_faults_hit_calls_over_grpc(emulator: VertexEmulator, job_of: JobOf) -> None:
    """What is planned for a method happens to it whatever a client speaks."""
    job = make_job(aiplatform_v1, job_of("true"))
    emulator.faults.plan(AnswerLost("create"))
    with open_client(emulator) as client:
        with pytest.raises(exceptions.ServiceUnavailable, match="Socket closed"):
            client.create_custom_job(parent=PARENT, custom_job=job, timeout=30)
        assert len(emulator.jobs) == 1
        emulator.faults.plan(Delay("list", 30))
        with pytest.raises(exceptions.DeadlineExceeded):
            client.list_custom_jobs(parent=PARENT, timeout=0.5)


def test_calls_over_grpc_bear_a_token(emulator: VertexEmulator) -> None:
    """The record of calls says who called: the account of the key that clients are given."""
    key_file = emulator.google_environment["GOOGLE_APPLICATION_CREDENTIALS"]
    credentials = service_account.Credentials.from_service_account_file(key_file)
    with open_client(emulator) as client:
        metadata = {"authorization": "Bearer nobody's"}
        client.list_custom_jobs(parent=PARENT, metadata=list(metadata.items()), timeout=30)
    with rest_session(emulator, credentials) as session:
        session.get(f"https://{HOST}/v1/{PARENT}/customJobs", timeout=30).raise_for_status()
    identities = [call.identity for call in emulator.calls if call.method == "GET"]
    assert identities == ["unknown token", credentials.service_account_email]


@contextmanager
def rest_session(emulator: VertexEmulator, credentials: Any = None) -> Iterator[requests.Session]:
    """A client over REST with the variables, whose tokens come from Google's own endpoint."""
    variables = emulator.google_environment
    with requests.Session() as for_tokens, requests.Session() as anonymous:
        session = anonymous
        if credentials:
            scoped = credentials.with_scopes(["https://www.googleapis.com/auth/cloud-platform"])
            session = AuthorizedSession(scoped, auth_request=google_request(for_tokens))
        for one in {for_tokens, anonymous, session}:
            one.trust_env = False
            one.proxies = {"https": variables["HTTPS_PROXY"]}
            one.verify = variables["REQUESTS_CA_BUNDLE"]
        yield session


def google_request(session: requests.Session) -> Any:
    """How Google's credentials ask for tokens."""
    from google.auth.transport.requests import Request

    return Request(session)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        (f"https://{HOST}/v1/{PARENT}/customJobs", 200),
        (f"https://aiplatform.googleapis.com/v1/{PARENT}/customJobs", 200),
        ("https://secretmanager.googleapis.com/v1/projects/p/secrets", 200),
    ],
)
def test_rest_is_served_beside_grpc(emulator: VertexEmulator, url: str, status: int) -> None:
    """Whoever offers HTTP/1.1 gets REST, in the name of each of Google's hosts."""
    with rest_session(emulator) as session:
        # The second one on the same connection.
        assert [session.get(url, timeout=30).status_code for _ in range(2)] == [status] * 2


def test_a_log_is_read_under_its_own_host(emulator: VertexEmulator) -> None:
    """Cloud Logging has a host of its own."""
    body = {"resourceNames": ["projects/my-project"], "filter": 'severity="ERROR"'}
    with rest_session(emulator) as session:
        url = "https://logging.googleapis.com/v2/entries:list"
        assert session.post(url, json=body, timeout=30).json() == {}


def test_entries_are_written_and_read_over_grpc(emulator: VertexEmulator) -> None:
    """What is written comes back, and the entries that were refused are named by their places."""
    log = "projects/my-project/logs/mine"
    where = {"log_name": log, "resource": {"type": "global"}}
    good = {"json_payload": {"loss": 0.5, "of": [None, True]}, "severity": "NOTICE"}
    bad = {"text_payload": "x", "log_name": "projects/my-project/logs/a b"}
    with open_client(emulator, logging_service_v2, "LoggingServiceV2Client") as client:
        request = {**where, "entries": [good, bad], "partial_success": True}
        with pytest.raises(exceptions.InvalidArgument, match="illegal character") as refused:
            client.write_log_entries(request, timeout=30)
        (found,) = client.list_log_entries(
            {"resource_names": ["projects/my-project"], "filter": "jsonPayload.loss<1"}, timeout=30
        )
        audit: Any = any_pb2.Any(type_url="type.googleapis.com/google.cloud.audit.AuditLog")
        with pytest.raises(exceptions.InvalidArgument, match=r"google\.cloud\.audit\.AuditLog"):
            client.write_log_entries({**where, "entries": [{"proto_payload": audit}]}, timeout=30)
    assert dict(found.json_payload) == {"loss": 0.5, "of": [None, True]}
    assert (found.log_name, found.severity) == (log, 300)
    details = logging_v2.types.WriteLogEntriesPartialErrors.pb()()
    assert refused.value.details[0].Unpack(details)
    assert list(details.log_entry_errors) == [1]


def test_a_page_in_a_browser_is_refused_under_googles_name(emulator: VertexEmulator) -> None:
    """Even a browser that trusts the authority gives no web page a way to run commands."""
    with rest_session(emulator) as session:
        headers = {"Origin": "https://evil.example"}
        answer = session.get(f"https://{HOST}/v1/{PARENT}/customJobs", headers=headers, timeout=30)
    assert answer.status_code == 403
    assert "does not answer browsers" in answer.text


def reach(emulator: VertexEmulator) -> socket.socket:
    """Connect to the proxy."""
    port = urlsplit(emulator.google_environment["HTTPS_PROXY"]).port
    assert port
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def talk(emulator: VertexEmulator, request: str) -> bytes:
    """Send bytes to the proxy, and read until it hangs up."""
    with reach(emulator) as connection:
        connection.sendall(request.encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("CONNECT example.com:443 HTTP/1.1", b"does not stand for example.com:443"),
        ("CONNECT storage.googleapis.com:443 HTTP/1.1", b"NO_PROXY"),
        (f"CONNECT {HOST}:80 HTTP/1.1", b"does not stand for"),
        (f"CONNECT {HOST}.evil.example:443 HTTP/1.1", b"does not stand for"),
        ("CONNECT 127.0.0.1:22 HTTP/1.1", b"does not stand for"),
        ("GET http://example.com/ HTTP/1.1", b"HTTPS only"),
        ("nonsense", b"HTTPS only"),
    ],
)
def test_the_proxy_leads_nowhere_else(emulator: VertexEmulator, line: str, said: bytes) -> None:
    """Whoever uses the proxy for another host, reaches nothing and is told what to do."""
    answer = talk(emulator, f"{line}\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert said in answer


@needs_root
def test_another_user_gets_no_tunnel(emulator: VertexEmulator) -> None:
    """Any user of the machine could post jobs through the proxy, and read the key."""
    variables = emulator.google_environment
    # Where it is, is told to anybody.
    (grpc_socket,) = re.findall(r"\S+/vertex-as-google-\S+/grpc", UNIX_SOCKETS.read_text())[-1:]
    with as_nobody():
        answer = talk(emulator, f"CONNECT {HOST}:443 HTTP/1.1\r\n\r\n")
        with pytest.raises(PermissionError):
            Path(variables["GOOGLE_APPLICATION_CREDENTIALS"]).read_text()
        with pytest.raises(PermissionError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(grpc_socket)
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"comes from the user 65534" in answer


def test_the_files_that_clients_trust_are_where_nobody_else_can_make_any() -> None:
    """A shell names them when they have gone; whoever made them anew would get its tokens."""
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", home)
        patch.delenv("XDG_RUNTIME_DIR", raising=False)
        patch.delenv("XDG_CACHE_HOME", raising=False)
        with VertexEmulator(as_google=True) as own:
            names = own.google_environment
            for name in ("SSL_CERT_FILE", "GOOGLE_APPLICATION_CREDENTIALS"):
                assert Path(names[name]).parents[1] == Path(home) / ".cache"
        assert not list((Path(home) / ".cache").iterdir())


def test_the_authority_is_for_google_alone_and_has_no_key(emulator: VertexEmulator) -> None:
    """Its certificate is worth nothing for another domain, and its key is on no disk."""
    folder = Path(emulator.google_environment["SSL_CERT_FILE"]).parent
    names = {path.name for path in folder.iterdir()} - {"made"}
    assert names == {"authorities.pem", "service-account.json"}
    own = trusted(emulator).decode().rpartition("-----BEGIN CERTIFICATE-----")
    context = ssl.create_default_context(cadata=own[1] + own[2])
    ((authority,),) = [context.get_ca_certs()]
    assert "throw-away" in str(authority["subject"])
    with reach(emulator) as connection:
        connection.sendall(f"CONNECT {HOST}:443 HTTP/1.1\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for 'example\.com'"):
            context.wrap_socket(connection, server_hostname="example.com")


def test_a_client_that_does_not_trust_it_is_told_of(
    emulator: VertexEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    """A shell that has the proxy and not the authorities gets a hint in the emulator's log."""
    proxies = {"https": emulator.google_environment["HTTPS_PROXY"]}
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.exceptions.SSLError):
            session.get(f"https://{HOST}/", proxies=proxies, timeout=30)
    wait_until(lambda: "does not take the emulator's certificate" in caplog.text)


def test_a_crash_cuts_every_tunnel() -> None:
    """After a crash nothing answers under Google's names, and after a stop nothing is left."""
    with VertexEmulator(timings=NO_WAITING, as_google=True) as emulator:
        folder = Path(emulator.google_environment["SSL_CERT_FILE"]).parent
        with open_client(emulator) as client:
            client.list_custom_jobs(parent=PARENT, timeout=30)
            emulator.crash()
            with pytest.raises(exceptions.ServiceUnavailable):
                client.list_custom_jobs(parent=PARENT, timeout=30)
    assert not folder.exists()


def test_without_the_option_there_is_no_front() -> None:
    """An emulator that is not asked for it opens no second port and has no variables for it."""
    with VertexEmulator() as emulator:
        assert emulator.google_environment == {}
