"""Notes in an artifact store: what a container leaves, and what looking for it costs."""

import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from zenml_vertex.container import finish_note
from zenml_vertex.container.finish_note import OutOfReach, StoredNotes
from zenml_vertex.errors import PermissionDenied
from zenml_vertex.job.identity import Attempt
from zenml_vertex.local_stack.processes.loopback import open_listener, url_of
from zenml_vertex.local_stack.programs import storage_server

gcsfs: Any = pytest.importorskip("gcsfs")
local: Any = pytest.importorskip("fsspec.implementations.local")
FIRST, SECOND = Attempt("first"), Attempt("second")


@dataclass
class Store:
    """An artifact store: a folder, or a bucket if it has a file system as ZenML's have."""

    path: str
    filesystem: Any = None
    # That of containers, which caches nothing for the client.
    theirs: Any = None
    keeps: bool = False
    requests: list[str] = field(default_factory=list)
    config: Any = field(default_factory=lambda: SimpleNamespace(is_local=False))

    def remove(self, path: str) -> None:
        if self.keeps:
            raise PermissionError(path)
        if self.filesystem:
            self.filesystem.rm_file(path)
        else:
            Path(path).unlink()

    def exists(self, path: str) -> bool:
        return Path(path).exists()

    def listdir(self, path: str) -> list[str]:
        return [each.name for each in Path(path).iterdir()]

    def makedirs(self, path: str) -> None:
        Path(path).mkdir(parents=True, exist_ok=True)

    def open(self, path: str, mode: str) -> Any:
        return Path(path).open(mode)


@pytest.fixture(scope="module")
def bucket() -> Iterator[Store]:
    """A bucket of the storage emulator, behind the file system of ZenML's artifact store."""
    listener = open_listener()
    url, requests = url_of(listener), []
    with storage_server.build_server(listener, ["a-bucket"]) as server:
        answer = server.finish_request

        def count(request: Any, client_address: Any) -> None:
            requests.append("")
            answer(request, client_address)

        server.finish_request = count  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        ours, theirs = (
            gcsfs.GCSFileSystem(token="anon", endpoint_url=url, skip_instance_cache=True)
            for _ in range(2)
        )
        yield Store("gs://a-bucket", ours, theirs, requests=requests)
        server.shutdown()
        thread.join()


@pytest.fixture(params=["bucket", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An artifact store of each kind."""
    if request.param == "folder":
        return Store(str(tmp_path))
    bucket: Store = request.getfixturevalue("bucket")
    return bucket


@pytest.fixture
def run_id() -> str:
    """A pipeline run of its own."""
    return str(uuid4())


def leave_note(store: Any, run_id: str, attempt: Attempt) -> None:
    """Leave a note as a container does."""
    container: Any = Store(store.path, store.theirs)
    finish_note.leave_note(container, run_id, attempt)


@pytest.mark.parametrize("attempts", [[FIRST], [FIRST, SECOND]])
def test_a_note_is_found_once(store: Any, run_id: str, attempts: list[Attempt]) -> None:
    """A note is found although earlier looks found nothing, and it is gone after that."""
    notes = StoredNotes(lambda _: store)
    assert notes.take(run_id, attempts) == set()
    leave_note(store, str(uuid4()), FIRST)
    leave_note(store, run_id, Attempt("third"))
    assert notes.take(run_id, attempts) == set()
    leave_note(store, run_id, FIRST)
    assert notes.take(run_id, attempts) == {FIRST}
    assert notes.take(run_id, attempts) == set()
    leave_note(store, run_id, FIRST)
    assert notes.take(run_id, attempts) == {FIRST}


def test_another_attempt_is_another_note(store: Any, run_id: str) -> None:
    """The note of a step's first job says nothing about the second."""
    leave_note(store, run_id, FIRST)
    notes = StoredNotes(lambda _: store)
    assert notes.take(run_id, [Attempt("first", 2)]) == set()
    assert notes.take(run_id, [Attempt("first", 2), SECOND]) == set()


def test_a_note_that_cannot_be_removed_counts_once(store: Any, run_id: str) -> None:
    """Who may read the bucket and not write to it is told once of a note."""
    reader: Any = Store(store.path, store.filesystem, store.theirs, keeps=True)
    leave_note(store, run_id, FIRST)
    notes = StoredNotes(lambda _: reader)
    assert notes.take(run_id, [FIRST]) == {FIRST}
    assert notes.take(run_id, [FIRST]) == set()


def test_a_local_store_is_not_looked_into(store: Any, run_id: str) -> None:
    """The containers of jobs cannot write to a local artifact store."""
    store = Store(store.path, config=SimpleNamespace(is_local=True))
    with pytest.raises(OutOfReach):
        StoredNotes(lambda _: store).take(run_id, [FIRST])


def test_the_store_of_a_run_is_found_once(store: Any, run_id: str) -> None:
    """However often a look is made, the run's stack is looked up once."""
    found: list[str] = []

    def find(run_id: str) -> Any:
        found.append(run_id)
        return store

    notes = StoredNotes(find)
    for _ in range(3):
        notes.take(run_id, [FIRST])
    assert found == [run_id]
    other = str(uuid4())
    notes.take(other, [FIRST])
    assert found == [run_id, other]


def test_a_look_is_one_request(bucket: Any, run_id: str) -> None:
    """A look for one step is one read; one for many steps is one list, and a read if it is empty.

    A note is left by one request.
    """
    notes = StoredNotes(lambda _: bucket)

    def count(*attempts: Attempt) -> int:
        before = len(bucket.requests)
        notes.take(run_id, attempts)
        return len(bucket.requests) - before

    assert count(FIRST) == 1
    assert count(FIRST, SECOND) == 2
    before = len(bucket.requests)
    leave_note(bucket, run_id, Attempt("third"))
    assert len(bucket.requests) == before + 1
    assert count(FIRST) == 1
    assert count(FIRST, SECOND) == 1


def test_a_huge_note_is_not_read(tmp_path: Path, run_id: str) -> None:
    """A look reads one byte: nobody fills the client's memory by writing to its bucket."""
    store: Any = Store(str(tmp_path), local.LocalFileSystem())
    note = tmp_path / finish_note.FOLDER / run_id / "first-1"
    note.parent.mkdir(parents=True)
    with note.open("wb") as file:
        file.truncate(2**26)
    tracemalloc.start()
    assert StoredNotes(lambda _: store).take(run_id, [FIRST]) == {FIRST}
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**22


class DeniedFileSystem:
    """A file system that refuses everything, as gcsfs, s3fs or adlfs do."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def pipe_file(self, *_: object, **__: object) -> None:
        raise self.error

    invalidate_cache = ls = cat_file = pipe_file


@pytest.mark.parametrize("attempts", [[FIRST], [FIRST, SECOND]])
@pytest.mark.parametrize(
    ("path", "error", "granted"),
    [
        ("gs://a-bucket", 403, "storage.objects.get and storage.objects.list"),
        ("s3://a-bucket", PermissionError("Access Denied"), "permission to read and list"),
    ],
)
def test_a_refusal_says_what_to_grant(
    attempts: list[Attempt], path: str, error: Any, granted: str
) -> None:
    """A client that may not look is told the permissions, and where; other errors stay theirs."""
    if error == 403:
        with pytest.raises(OSError, match="Forbidden") as refusal:
            gcsfs.retry.validate_response(403, b'{"error": {"message": "no"}}', "b/a-bucket/o")
        error = refusal.value
    store: Any = Store(path, DeniedFileSystem(error))
    with pytest.raises(PermissionDenied, match=f"{path} .*Grant them {granted}"):
        StoredNotes(lambda _: store).take("run", attempts)
    store = Store(path, DeniedFileSystem(OSError("The disk is full.")))
    with pytest.raises(OSError, match="full"):
        StoredNotes(lambda _: store).take("run", attempts)
