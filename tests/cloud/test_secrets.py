"""Secret Manager's client, against the emulator and against servers that misbehave."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from google.auth.credentials import AnonymousCredentials

from vertex_emulator import ManualClock, MemoryStore, ScriptedRuntime, VertexEmulator
from vertex_emulator.faults import ErrorAnswer, PermissionWithdrawn
from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.secrets import SecretManager
from zenml_vertex.errors import (
    PermissionDenied,
    QuotaExceeded,
    RequestRejected,
    ServiceUnavailable,
    VertexStepOperatorError,
)

WHO = Identity(AnonymousCredentials(), "my-project", "somebody")
NAME = "projects/my-project/secrets/zenml-vertex-6a1f-1"
SECRET = {
    "replication": {"userManaged": {"replicas": [{"location": "europe-west4"}]}},
    "labels": {"zenml-step": "train"},
    "ttl": "3600s",
}
PAYLOAD = b'{"TOKEN":"hidden"}'


@pytest.fixture
def emulator() -> Iterator[VertexEmulator]:
    """An emulator."""
    with VertexEmulator(
        clock=ManualClock(), runtime=ScriptedRuntime(), store=MemoryStore()
    ) as emulator:
        yield emulator


@pytest.fixture
def secrets(emulator: VertexEmulator) -> SecretManager:
    """The client."""
    return SecretManager(WHO, Endpoint(emulator.url, is_emulator=True))


def test_a_secret_is_stored_listed_and_deleted(secrets: SecretManager) -> None:
    """A store can be repeated, a delete too, and a list has labels and no payload."""
    for _ in range(2):
        secrets.store(NAME, SECRET, PAYLOAD)
    (listed,) = secrets.list("my-project")
    assert listed["labels"] == {"zenml-step": "train"}
    assert listed["name"].endswith("/secrets/zenml-vertex-6a1f-1")
    assert "hidden" not in str(listed)
    for _ in range(2):
        secrets.delete(NAME)
    assert secrets.list("my-project") == ()


def test_all_pages_are_listed(secrets: SecretManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that has several pages is read to its end."""
    monkeypatch.setattr("zenml_vertex.cloud.secrets._PAGE_SIZE", 2)
    for number in range(5):
        secrets.store(f"{NAME}{number}", SECRET, PAYLOAD)
    assert len(secrets.list("my-project")) == 5


@pytest.mark.parametrize(
    ("status", "kind"),
    [(503, ServiceUnavailable), (429, QuotaExceeded), (400, RequestRejected)],
)
def test_an_answer_is_told_by_its_status(
    emulator: VertexEmulator,
    secrets: SecretManager,
    status: int,
    kind: type[VertexStepOperatorError],
) -> None:
    """An error names Secret Manager, the status and the secret, and no value."""
    with (
        emulator.faults.planned(ErrorAnswer("add_secret_version", status)),
        pytest.raises(
            kind, match=rf"^Secret Manager answered {status} while storing .*{NAME}"
        ) as e,
    ):
        secrets.store(NAME, SECRET, PAYLOAD)
    assert "hidden" not in str(e.value)


def test_a_missing_permission_is_named(emulator: VertexEmulator, secrets: SecretManager) -> None:
    """A 403 says which permissions are needed, and which role has them."""
    with (
        emulator.faults.planned(PermissionWithdrawn("create_secret")),
        pytest.raises(PermissionDenied, match=r"secretmanager\.versions\.add, which roles/") as e,
    ):
        secrets.store(NAME, SECRET, PAYLOAD)
    assert e.value.code == 403


class _Redirecting(BaseHTTPRequestHandler):
    """Answers everything with a redirect to itself, and keeps what it was sent."""

    seen: list[str]

    def do_POST(self) -> None:
        """Answer 307, after which a client would send the body again."""
        self.seen.append(self.path)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(307)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write no log."""


def test_a_redirect_gets_no_secret() -> None:
    """Whoever could answer with a redirect got the payload sent to a host of their choice."""
    seen: list[str] = []
    handler = type("Handler", (_Redirecting,), {"seen": seen})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}", is_emulator=True)
            with pytest.raises(RequestRejected, match="answered 307"):
                SecretManager(WHO, endpoint).store(NAME, SECRET, PAYLOAD)
        finally:
            server.shutdown()
            thread.join()
    assert seen == ["/v1/projects/my-project/secrets?secretId=zenml-vertex-6a1f-1"]
