"""Secret Manager's client, against the emulator and against servers that misbehave."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import requests
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


def test_a_secret_that_somebody_has_put_there_is_not_used(
    emulator: VertexEmulator, secrets: SecretManager
) -> None:
    """Whoever could create secrets, and knew the step run, chose the environment of its container.

    A job reads the first version, and who had created the secret could read the next ones.
    """
    planted = {**SECRET, "labels": {"planted": "yes"}}
    secrets.store(NAME, planted, b'{"PATH":"/planted"}')
    secrets.store(NAME, SECRET, PAYLOAD)
    (listed,) = secrets.list("my-project")
    assert listed["labels"] == {"zenml-step": "train"}
    given = requests.get(
        f"{emulator.url}/computeMetadata/v1/instance/service-accounts/default/token",
        headers={"Metadata-Flavor": "Google"},
        timeout=10,
    )
    answer = requests.get(
        f"{emulator.url}/v1/{NAME}/versions/1:access",
        headers={"Authorization": f"Bearer {given.json()['access_token']}"},
        timeout=10,
    )
    assert base64.b64decode(answer.json()["payload"]["data"]) == PAYLOAD


def test_a_version_that_somebody_has_added_first_is_not_used(
    emulator: VertexEmulator, secrets: SecretManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever could only add versions chose the environment of a container, by being faster.

    The job reads the first version, and the step's own was the second.
    """
    create = SecretManager._create

    def create_and_be_late(*arguments: Any) -> requests.Response:
        created = create(*arguments)
        body = {"payload": {"data": base64.b64encode(b'{"PATH":"/planted"}').decode()}}
        requests.post(f"{emulator.url}/v1/{NAME}:addVersion", json=body, timeout=10)
        return created

    with monkeypatch.context() as late:
        late.setattr(SecretManager, "_create", create_and_be_late)
        with pytest.raises(ServiceUnavailable, match="has a version of another client") as caught:
            secrets.store(NAME, SECRET, PAYLOAD)
    assert "hidden" not in str(caught.value)
    assert secrets.list("my-project") == ()
    secrets.store(NAME, SECRET, PAYLOAD)


def test_a_deleted_secret_that_is_still_seen_is_tried_again(
    emulator: VertexEmulator, secrets: SecretManager
) -> None:
    """A second conflict may pass by itself."""
    conflict = ErrorAnswer("create_secret", 409, count=2, message="It exists")
    with (
        emulator.faults.planned(conflict),
        pytest.raises(ServiceUnavailable, match=r"It exists\. It was deleted just before\.$"),
    ):
        secrets.store(NAME, SECRET, PAYLOAD)


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


@contextmanager
def answering(status: int, body: bytes) -> Iterator[tuple[SecretManager, list[str]]]:
    """A server that gives one answer to everything; yields its client and the paths it is sent."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            # After 307 a client sends the body again.
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 - as http.server names it

        def log_message(self, *_: object) -> None:
            """Write no log."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}", is_emulator=True)
            yield SecretManager(WHO, endpoint), seen
        finally:
            server.shutdown()
            thread.join()


def test_a_redirect_gets_no_secret() -> None:
    """Whoever could answer with a redirect got the payload sent to a host of their choice."""
    with (
        answering(307, b"") as (secrets, seen),
        pytest.raises(ServiceUnavailable, match="Got a redirect, which is not followed"),
    ):
        secrets.store(NAME, SECRET, PAYLOAD)
    assert seen == ["/v1/projects/my-project/secrets?secretId=zenml-vertex-6a1f-1"]


def test_an_api_that_is_not_enabled_is_named() -> None:
    """A 403 of a project without Secret Manager has the command that enables it."""
    body = b'{"error": {"message": "It is disabled", "details": [{"reason": "SERVICE_DISABLED"}]}}'
    command = r"disabled\. Enable it with `gcloud services enable secretmanager.googleapis.com"
    with answering(403, body) as (secrets, _), pytest.raises(PermissionDenied, match=command):
        secrets.store(NAME, SECRET, PAYLOAD)


@pytest.mark.parametrize("body", [b"<html>Log in</html>", b"[]", b""])
def test_an_answer_of_somebody_else_is_an_outage(body: bytes) -> None:
    """A proxy's page in place of an answer is tried again, and shown nowhere."""
    with (
        answering(200, body) as (secrets, _),
        pytest.raises(ServiceUnavailable, match=r"that is not Secret Manager's while listing"),
    ):
        secrets.list("my-project")
    with answering(400, body) as (secrets, _), pytest.raises(RequestRejected, match="answered 400"):
        secrets.store(NAME, SECRET, PAYLOAD)
