"""The emulator's Secret Manager."""

import base64
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.emulators import Json, call, error_of
from vertex_emulator import ManualClock, MemoryStore, ScriptedRuntime, VertexEmulator
from vertex_emulator.core.errors import ApiError
from vertex_emulator.faults import ErrorAnswer
from vertex_emulator.secrets.service import Secrets

SECRETS = "/v1/projects/my-project/secrets"
METADATA = "/computeMetadata/v1/instance/service-accounts/default/token"
PLAIN: Json = {"replication": {"automatic": {}}}


@pytest.fixture
def clock() -> ManualClock:
    """The clock of the emulator."""
    return ManualClock()


@pytest.fixture
def emulator(clock: ManualClock) -> Iterator[VertexEmulator]:
    """An emulator."""
    with VertexEmulator(clock=clock, runtime=ScriptedRuntime(), store=MemoryStore()) as emulator:
        yield emulator


def create(emulator: VertexEmulator, secret_id: str = "s", **more: Any) -> requests.Response:
    """Create a secret."""
    return call(emulator, "POST", f"{SECRETS}?secretId={secret_id}", json={**PLAIN, **more})


def add(emulator: VertexEmulator, payload: bytes, secret_id: str = "s") -> requests.Response:
    """Add a version."""
    body = {"payload": {"data": base64.b64encode(payload).decode()}}
    return call(emulator, "POST", f"{SECRETS}/{secret_id}:addVersion", json=body)


def access(emulator: VertexEmulator, version: str = "1", token: str | None = None) -> Json:
    """Read a version, by default as a container does; return the payload or the error."""
    if token is None:
        given = call(emulator, "GET", METADATA, headers={"Metadata-Flavor": "Google"})
        token = given.json()["access_token"]
    answer = call(
        emulator,
        "GET",
        f"{SECRETS}/s/versions/{version}:access",
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )
    content: Json = answer.json()
    return content["payload"] if answer.ok else error_of(answer)


def test_a_version_is_read_by_its_number_and_as_the_latest(emulator: VertexEmulator) -> None:
    """Versions count from 1, keep their payloads, and `latest` is the newest."""
    created = create(emulator).json()
    assert created["name"].endswith("/secrets/s")
    assert add(emulator, b"one").json()["name"] == f"{created['name']}/versions/1"
    assert add(emulator, b"two").json()["state"] == "ENABLED"
    for version, payload in (("1", b"one"), ("2", b"two"), ("latest", b"two")):
        assert base64.b64decode(access(emulator, version)["data"]) == payload
    for version in ("0", "3", "x", "9" * 5000):
        assert access(emulator, version)["status"] == "NOT_FOUND"


def test_only_the_account_of_jobs_reads_payloads(emulator: VertexEmulator) -> None:
    """Whoever could read jobs on the emulator's address read the secrets that they name, too."""
    create(emulator)
    add(emulator, b"one")
    for token in ("", "ya29.made-up"):
        error = access(emulator, token=token)
        assert error["status"] == "PERMISSION_DENIED"
        assert "'secretmanager.versions.access' denied" in error["message"]
    for path in (SECRETS, f"{SECRETS}/s"):
        assert "payload" not in call(emulator, "GET", path).text


def test_a_secret_is_created_once(emulator: VertexEmulator) -> None:
    """A second create is refused with 409, and leaves the first secret as it is."""
    create(emulator, labels={"zenml-step": "first"})
    again = create(emulator, labels={"zenml-step": "second"})
    assert (again.status_code, error_of(again)["status"]) == (409, "ALREADY_EXISTS")
    assert call(emulator, "GET", f"{SECRETS}/s").json()["labels"] == {"zenml-step": "first"}


def test_a_secret_expires(emulator: VertexEmulator, clock: ManualClock) -> None:
    """A secret is gone when its time to live is over."""
    secret = create(emulator, ttl="60s").json()
    assert "ttl" not in secret
    assert secret["expireTime"] > secret["createTime"]
    add(emulator, b"one")
    clock.advance(59)
    assert "data" in access(emulator)
    clock.advance(1)
    assert access(emulator)["status"] == "NOT_FOUND"
    assert call(emulator, "GET", SECRETS).json()["secrets"] == []
    assert create(emulator).status_code == 200


def test_a_deleted_secret_is_gone(emulator: VertexEmulator) -> None:
    """A secret is deleted with its versions; a second delete is 404. So it is after a reset."""
    create(emulator)
    add(emulator, b"one")
    assert call(emulator, "DELETE", f"{SECRETS}/s").json() == {}
    assert call(emulator, "DELETE", f"{SECRETS}/s").status_code == 404
    assert access(emulator)["status"] == "NOT_FOUND"
    create(emulator)
    emulator.reset()
    assert call(emulator, "GET", f"{SECRETS}/s").status_code == 404


def test_secrets_are_listed_by_a_part_of_their_name(emulator: VertexEmulator) -> None:
    """A list has the secrets of one project, page by page, by their names."""
    for secret_id in ("zenml-b", "zenml-a", "other", "-zenml_C"):
        assert create(emulator, secret_id).status_code == 200
    call(emulator, "POST", "/v1/projects/else/secrets?secretId=zenml-z", json=PLAIN)
    query = f"{SECRETS}?filter=name:zenml-&pageSize=1"
    names, token = [], ""
    while True:
        page = call(emulator, "GET", f"{query}&pageToken={token}").json()
        names += [secret["name"].rpartition("/")[2] for secret in page["secrets"]]
        if not (token := page.get("nextPageToken", "")):
            break
    assert names == ["zenml-a", "zenml-b"]
    assert call(emulator, "GET", f"{SECRETS}?filter=labels.a=b").status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"replication": None},
        {"replication": {"userManaged": {"replicas": []}}},
        {"replication": {"automatic": {}, "userManaged": {"replicas": [{"location": "x"}]}}},
        {"ttl": "0s"},
        {"ttl": "soon"},
        {"expireTime": "1999-01-01T00:00:00Z"},
        {"labels": {"Upper": "x"}},
        {"labels": {"a": "B"}},
        {"labels": [1]},
        {"payload": {"data": "x"}},
    ],
)
def test_what_is_no_secret_is_refused(emulator: VertexEmulator, body: Json) -> None:
    """A create that Secret Manager would not understand is 400, and creates nothing."""
    assert create(emulator, **body).status_code == 400
    assert call(emulator, "GET", SECRETS).json()["secrets"] == []


def test_ids_and_payloads_have_limits(emulator: VertexEmulator) -> None:
    """IDs have 255 characters at most and payloads 64 KiB."""
    for secret_id in ("", "a/b", "a.b", "ü", "a" * 256):
        assert create(emulator, secret_id).status_code == 400
    create(emulator)
    assert add(emulator, b"x" * 65_536).status_code == 200
    for body in (b"", b"x" * 65_537):
        assert add(emulator, body).status_code == 400
    for content in ({}, {"payload": 1}, {"payload": {"data": "%"}}, {"payload": {"data": 1}}):
        answer = call(emulator, "POST", f"{SECRETS}/s:addVersion", json=content)
        assert answer.status_code == 400
    assert add(emulator, b"x", "missing").status_code == 404


def test_secrets_survive_a_crash(tmp_path: Path) -> None:
    """The next emulator in the same folder has the secrets; nobody else can read the file."""
    clock = ManualClock()
    options: Any = {"clock": clock, "data_dir": tmp_path, "runtime": ScriptedRuntime()}
    with VertexEmulator(**options) as first:
        create(first)
        add(first, b"one")
        first.crash()
    with VertexEmulator(**options) as second:
        assert base64.b64decode(access(second)["data"]) == b"one"
    files = list(tmp_path.rglob("document.json"))
    assert [oct(file.stat().st_mode & 0o777) for file in files] == ["0o600"]


class _SlowStore(MemoryStore):
    """A store that lets somebody else go first between a read and what follows it."""

    def get(self, name: str) -> Json | None:
        found = super().get(name)
        if rival := self.rivals.pop() if self.rivals else None:
            rival.start()
            # As long as it takes, unless it has to wait for this reader.
            rival.join(0.2)
        return found

    rivals: list[threading.Thread]


def test_a_secret_that_is_created_anew_is_not_taken_for_the_expired_one(
    clock: ManualClock,
) -> None:
    """Who read an expired secret removed the one that was created in its place meanwhile."""
    store = _SlowStore()
    store.rivals = []
    secrets = Secrets(store, clock)
    secrets.create("my-project", "s", {**PLAIN, "ttl": "1s"})
    clock.advance(2)
    rival = threading.Thread(target=secrets.create, args=("my-project", "s", PLAIN))
    store.rivals = [rival]
    with pytest.raises(ApiError):
        secrets.get("my-project", "s")
    rival.join()
    assert secrets.get("my-project", "s")
    store.close()


def test_versions_are_listed_the_newest_first_and_by_pages(emulator: VertexEmulator) -> None:
    """`versions` lists every version of a secret once, without its payload."""
    create(emulator)
    for number in range(5):
        add(emulator, b"%d" % number)
    numbers, token = [], ""
    while True:
        path = f"{SECRETS}/s/versions?pageSize=2&pageToken={token}"
        page = call(emulator, "GET", path).json()
        assert page["totalSize"] == 5
        assert all(
            version.keys() == {"name", "createTime", "state"} for version in page["versions"]
        )
        numbers += [one["name"].rpartition("/")[2] for one in page["versions"]]
        if not (token := page.get("nextPageToken", "")):
            break
    assert numbers == ["5", "4", "3", "2", "1"]
    assert error_of(call(emulator, "GET", f"{SECRETS}/t/versions"))["status"] == "NOT_FOUND"


def test_a_fault_hits_the_secrets_with_its_labels(emulator: VertexEmulator) -> None:
    """Of several secrets, a fault with labels hits one: as it is created, and by its name."""
    planned = [
        emulator.faults.plan(ErrorAnswer(method, 503, labels={"step": "train"}))
        for method in ("create_secret", "add_secret_version", "delete_secret")
    ]
    assert create(emulator, "other", labels={"step": "load"}).status_code == 200
    assert create(emulator, labels={"step": "train"}).status_code == 503
    assert create(emulator, labels={"step": "train"}).status_code == 200
    assert add(emulator, b"1", "other").status_code == 200
    assert add(emulator, b"1").status_code == 503
    assert call(emulator, "DELETE", f"{SECRETS}/other").status_code == 200
    assert call(emulator, "DELETE", f"{SECRETS}/none").status_code == 404
    assert call(emulator, "DELETE", f"{SECRETS}/s").status_code == 503
    assert all(one.is_consumed for one in planned)
