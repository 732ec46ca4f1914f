"""The least role has what the operator's calls need, and nothing else; gcloud can read its file."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.auth.credentials import AnonymousCredentials

from tests.support.emulators import call
from tests.support.pages import DOCS, ROOT, read_commands
from vertex_emulator import ManualClock, MemoryStore, ScriptedRuntime, VertexEmulator
from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.jobs import VertexJobs
from zenml_vertex.cloud.logs import VertexLogs
from zenml_vertex.cloud.persistent_resources import VertexPersistentResources
from zenml_vertex.cloud.secrets import SecretManager
from zenml_vertex.errors import RequestRejected

ROLE = ROOT / "examples" / "roles" / "submitter.yaml"
LEAST_ROLE = DOCS / "how-to" / "least-role.md"
SECRETS = DOCS / "how-to" / "keep-secrets-out-of-jobs.md"
WHO = Identity(AnonymousCredentials(), "my-project", "somebody")
PARENT = "projects/my-project/locations/us-central1"
SECRET = "projects/my-project/secrets/zenml-vertex-6a1f-1"


def read_role() -> dict[str, Any]:
    """The file as gcloud gets it."""
    role: dict[str, Any] = yaml.safe_load(ROLE.read_text("utf-8"))
    return role


@pytest.fixture
def emulator() -> Iterator[VertexEmulator]:
    """An emulator that runs nothing."""
    with VertexEmulator(
        clock=ManualClock(), runtime=ScriptedRuntime(), store=MemoryStore()
    ) as emulator:
        yield emulator


def find_needed(emulator: VertexEmulator) -> set[str]:
    """The permissions that the recorded calls need, as the emulator's routes name them."""
    permissions = {(route.method, route.path): route.permission for route in emulator.routes}
    needed = {permissions[call.method, str(call.route)] for call in emulator.calls}
    return {permission for permission in needed if permission}


def _methods_of(adapter: type) -> set[str]:
    return {name for name, value in vars(adapter).items() if callable(value) and name[0] != "_"}


def test_the_role_is_what_the_calls_need(emulator: VertexEmulator) -> None:
    """Every call for jobs and logs is made, and needs exactly what the role has.

    Whoever has more can do more: a role that lists a permission too many gives it to whoever
    takes over the machine that submits.
    """
    assert _methods_of(VertexJobs) == {"create", "get", "list", "cancel", "close"}
    assert _methods_of(VertexLogs) == {"fetch_tail"}
    endpoint = Endpoint(emulator.url, is_emulator=True)
    pool = {
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": "1",
        "containerSpec": {"imageUri": "registry.example/image:1", "command": ["true"]},
    }
    jobs = VertexJobs(WHO, endpoint)
    created = jobs.create(PARENT, {"displayName": "j", "jobSpec": {"workerPoolSpecs": [pool]}})
    jobs.get(created["name"])
    jobs.list(PARENT, 'state="JOB_STATE_RUNNING"')
    VertexLogs(WHO, endpoint).fetch_tail(created["name"], "workerpool0-0")
    jobs.cancel(created["name"])
    jobs.close()
    assert find_needed(emulator) == set(read_role()["includedPermissions"])


def test_the_page_of_secrets_names_what_the_calls_need(emulator: VertexEmulator) -> None:
    """Submitting with a secret, and gcloud's delete, need exactly the page's role: not reading."""
    assert _methods_of(SecretManager) == {"store", "list", "delete"}
    secrets = SecretManager(WHO, Endpoint(emulator.url, is_emulator=True))
    replicas = {"userManaged": {"replicas": [{"location": "europe-west4"}]}}
    secrets.store(SECRET, {"replication": replicas, "ttl": "3600s"}, b"{}")
    secrets.list("my-project")
    # `gcloud secrets delete` counts the versions, see tests/emulator/test_gcloud.py.
    assert call(emulator, "GET", f"/v1/{SECRET}/versions").ok
    secrets.delete(SECRET)
    (command,) = (line for line in read_commands(SECRETS) if "iam roles create" in line)
    (listed,) = re.findall(r"--permissions=(\S+)", command)
    assert find_needed(emulator) == set(listed.split(","))


def test_the_page_of_persistent_resources_names_what_the_calls_need(
    emulator: VertexEmulator,
) -> None:
    """Every call for persistent resources is made, and needs exactly what the page lists."""
    verbs = {"create", "get", "list", "delete", "reboot", "list_jobs", "read_operation"}
    assert _methods_of(VertexPersistentResources) == verbs
    resources = VertexPersistentResources(WHO, Endpoint(emulator.url, is_emulator=True))
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": "1"}
    resources.create(PARENT, "warm", {"resourcePools": [pool]})
    # What reading an operation needs is not documented.
    name = resources.list(PARENT)[0]["name"]
    resources.get(name)
    resources.list_jobs(PARENT, None)
    for call_ in (resources.reboot, resources.delete):
        with pytest.raises(RequestRejected):
            call_(name)
    page = (DOCS / "how-to" / "persistent-resources.md").read_text("utf-8")
    rows = re.findall(r"^\| `(aiplatform[\w.]+)` \|", page, re.MULTILINE)
    assert find_needed(emulator) == set(rows)


def test_the_page_explains_each_permission_of_the_role() -> None:
    """The page's table has the role's permissions, and its command names the file."""
    page = LEAST_ROLE.read_text("utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE)
    assert sorted(rows) == sorted(read_role()["includedPermissions"])
    (command,) = (line for line in read_commands(LEAST_ROLE) if "--file=" in line)
    assert f"--file={ROLE.relative_to(ROOT).as_posix()}" in command.split()


class _Iam(BaseHTTPRequestHandler):
    """Takes any request and notes it, as IAM would."""

    received: list[tuple[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.received.append((self.path.partition("?")[0], body))
        answer = json.dumps({"name": "projects/my-project/roles/submitter"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Keep the terminal clean."""


@pytest.mark.skipif(
    shutil.which("gcloud") is None, reason="gcloud is not installed: nothing of it is tested"
)
def test_gcloud_sends_the_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`gcloud iam roles create --file` reads the file, and sends IAM all that is in it."""
    received: list[tuple[str, Any]] = []
    server = HTTPServer(("127.0.0.1", 0), type("Iam", (_Iam,), {"received": received}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    token = tmp_path / "token"
    token.write_text("of-nobody")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "1")
    monkeypatch.setenv("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "1")
    url = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM", url)
    command = ["gcloud", "iam", "roles", "create", "submitter", "--project=my-project", "--quiet"]
    options = [f"--file={ROLE}", f"--access-token-file={token}"]
    try:
        done = subprocess.run(
            [*command, *options], check=False, capture_output=True, text=True, timeout=120
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    sent = {"roleId": "submitter", "role": read_role()}
    assert received == [("/v1/projects/my-project/roles", sent)]
