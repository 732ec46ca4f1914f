"""The document store in which every service keeps its resources."""

import os
import stat
from pathlib import Path

import pytest

from vertex_emulator import DocumentStore, FileStore, MemoryStore

PARENT = "projects/1/locations/us-central1"
ELSEWHERE = "projects/2/locations/europe-west4"


@pytest.fixture(params=["files", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> DocumentStore:
    """A document store of either kind."""
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "data")


def test_a_document_is_known_by_its_full_name(store: DocumentStore) -> None:
    """The same ID in another project, region or collection names another document."""
    names = [f"{parent}/{kind}/x" for parent in (PARENT, ELSEWHERE) for kind in ("dogs", "cats")]
    for name in names:
        assert store.get(name) is None
        store.put(name, {"name": name})
    store.put(names[0], {"name": names[0], "age": 1})
    assert [store.get(name) for name in names] == [
        {"name": names[0], "age": 1},
        *({"name": name} for name in names[1:]),
    ]
    listed = [document["name"] for document in store.all("dogs")]
    assert sorted(listed) == [f"{PARENT}/dogs/x", f"{ELSEWHERE}/dogs/x"]
    assert list(store.all("birds")) == []


def test_removing_a_document_removes_its_folder(store: DocumentStore) -> None:
    """Removing a document removes its files and no others; removing it twice is no error."""
    name, other = f"{PARENT}/dogs/1", f"{PARENT}/dogs/12"
    for one in (name, other):
        store.put(one, {})
        (store.folder_of(one) / "attempt-1").mkdir()
    folder = store.folder_of(name)
    store.remove(name)
    store.remove(name)
    assert not folder.exists()
    assert store.get(name) is None
    assert (store.folder_of(other) / "attempt-1").is_dir()


@pytest.mark.parametrize("name", ["..", f"{PARENT}/dogs/..", "/etc/passwd", "", f"{PARENT}//x"])
def test_a_name_cannot_escape_the_store(store: DocumentStore, name: str) -> None:
    """A name with a segment that cannot be part of a resource name is refused."""
    for call in (store.folder_of, store.remove):
        with pytest.raises(ValueError, match="not a resource name"):
            call(name)


def test_folders_of_the_store_are_private(store: DocumentStore) -> None:
    """Whatever the umask, only the owner may enter any folder of the store."""
    before = os.umask(0)
    try:
        store.put(f"{PARENT}/dogs/1", {})
        store.folder_of(f"{PARENT}/dogs/1")
    finally:
        os.umask(before)
    made = [store.folder, *store.folder.rglob("*")]
    assert len(made) > 5
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in made)
