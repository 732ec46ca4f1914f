"""The document store in which every service keeps its resources."""

import json
import os
import stat
from pathlib import Path

import pytest

from tests.support.emulators import NO_WAITING, JobOf, Submit
from vertex_emulator import (
    DataDirError,
    DocumentStore,
    FileStore,
    ManualClock,
    MemoryStore,
    VertexEmulator,
)

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
    listed = [name for name, _ in store.items("dogs")]
    assert sorted(listed) == [f"{PARENT}/dogs/x", f"{ELSEWHERE}/dogs/x"]
    assert dict(store.items("dogs"))[names[0]] == {"name": names[0], "age": 1}
    assert list(store.items("birds")) == []


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


def modes(*paths: Path) -> list[int]:
    """Return the permissions of files."""
    return [stat.S_IMODE(path.stat().st_mode) for path in paths]


def test_folders_that_are_open_to_others_are_closed(tmp_path: Path) -> None:
    """The folders of a store that others can enter are closed to them when it is opened or used."""
    empty = tmp_path / "empty"
    empty.mkdir()
    empty.chmod(0o755)
    store = FileStore(empty)
    store.put(f"{PARENT}/dogs/1", {})
    folder = store.folder_of(f"{PARENT}/dogs/1")
    inner = [path for path in folder.parents if path.is_relative_to(empty / "projects")]
    assert len(inner) == 5
    for path in (folder, *inner):
        path.chmod(0o777)
    store.put(f"{PARENT}/dogs/1", {})
    assert modes(empty, folder, *inner) == [0o700] * 7
    for path in (empty, folder, *inner):
        path.chmod(0o755)
    store.close()
    FileStore(empty).close()
    assert modes(empty, folder, *inner) == [0o700] * 7


def test_a_folder_with_other_files_is_not_closed_to_others(tmp_path: Path) -> None:
    """A folder that others can enter and that has other files is refused, and left as it is."""
    tmp_path.chmod(0o755)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataDirError, match=f"Other users can enter {tmp_path}.* chmod 700 "):
        FileStore(tmp_path)
    assert modes(tmp_path) == [0o755]
    tmp_path.chmod(0o700)
    FileStore(tmp_path).close()


@pytest.mark.parametrize("place", ["projects", "projects/1", f"{PARENT}/dogs/1", "lock"])
def test_a_link_in_the_place_of_a_folder_is_refused(tmp_path: Path, place: str) -> None:
    """A link in the place of a folder of the store or its lock is an error that names it."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    link = tmp_path / "data" / place
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere / "new" if place == "lock" else elsewhere)
    (tmp_path / "data").chmod(0o700)
    for _ in range(2):
        with pytest.raises(DataDirError, match=f"{link}.* not a link"):
            FileStore(tmp_path / "data")
    assert list(elsewhere.iterdir()) == []
    link.unlink()
    FileStore(tmp_path / "data").close()


def test_a_folder_that_becomes_a_link_is_refused(tmp_path: Path) -> None:
    """A folder that is replaced by a link while the store is open is not written to."""
    store = FileStore(tmp_path / "data")
    store.put(f"{PARENT}/dogs/1", {})
    elsewhere = (tmp_path / "data" / "projects").rename(tmp_path / "elsewhere")
    before = sorted(elsewhere.rglob("*"))
    (tmp_path / "data" / "projects").symlink_to(elsewhere)
    with pytest.raises(DataDirError, match="projects must be a folder, and not a link"):
        store.put(f"{PARENT}/dogs/2", {})
    assert sorted(elsewhere.rglob("*")) == before


def test_a_document_is_not_written_or_read_through_a_link(tmp_path: Path) -> None:
    """A link in the place of a document's draft is replaced, and one of the document refused."""
    store = FileStore(tmp_path / "data")
    name = f"{PARENT}/dogs/1"
    folder = store.folder_of(name)
    outside = tmp_path / "outside.json"
    outside.write_text('{"mine": 1}')
    (folder / "document.draft").symlink_to(outside)
    store.put(name, {"age": 1})
    assert store.get(name) == {"age": 1}
    assert outside.read_text() == '{"mine": 1}'
    (folder / "document.json").unlink()
    (folder / "document.json").symlink_to(outside)
    with pytest.raises(DataDirError, match=r"document\.json: Too many levels of symbolic links"):
        store.get(name)


@pytest.fixture
def kept(submit: Submit, job_of: JobOf, tmp_path: Path) -> Path:
    """The document of a job that an emulator has kept in `tmp_path`."""
    with VertexEmulator(data_dir=tmp_path, timings=NO_WAITING, clock=ManualClock()) as emulator:
        env = [{"name": "A", "value": "s3cret"}]
        container = {"imageUri": "i", "command": ["true"], "env": env}
        submit(emulator, job_of(pool={"containerSpec": container}))
    (file,) = tmp_path.rglob("document.json")
    return file


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"state": "JOB_STATE_ODD"}, "'JOB_STATE_ODD' is not a valid JobState"),
        ({"stage": "odd"}, "'odd' is not a stage"),
        ({"colour": "red"}, "unexpected keyword argument 'colour'"),
        ({"create_time": 5}, "AttributeError"),
        ({"request": ["s3cret"]}, "`request` is not an object"),
        ({"history": [["JOB_STATE_QUEUED"]]}, "ValueError"),
        ({"job_id": "7"}, "it belongs to another job"),
        (b'{"a":', "Expecting value: line 1 column 6"),
        (b"", "Expecting value"),
        (b"\x80\x00s3cret", "'utf-8' codec can't decode byte 0x80"),
        (b'["s3cret"]', "it is not a JSON object"),
        (b"{}", "KeyError: 'request'"),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_a_bad_document_is_an_error_that_names_its_file(
    kept: Path, tmp_path: Path, change: bytes | dict[str, object], text: str
) -> None:
    """A bad document is an error that names it, without its content, and the folder is released."""
    good = kept.read_bytes()
    bad = change if isinstance(change, bytes) else json.dumps(json.loads(good) | change).encode()
    kept.write_bytes(bad)
    emulator = VertexEmulator(data_dir=tmp_path)
    with pytest.raises(DataDirError) as error:
        emulator.start()
    message = str(error.value)
    assert message.startswith(f"Cannot read {kept}: ")
    assert text in message
    assert message.endswith(f" rm -r {kept.parent}")
    assert "s3cret" not in message
    assert kept.read_bytes() == bad
    kept.write_bytes(good)
    with VertexEmulator(data_dir=tmp_path, timings=NO_WAITING) as emulator:
        emulator.wait_for(lambda: all(job.is_terminal for job in emulator.jobs))


def test_a_folder_that_is_not_named_after_a_resource_is_an_error(kept: Path) -> None:
    """A document in a folder whose name cannot be a resource's is an error that names it."""
    copy = kept.parent.with_name("a copy")
    copy.mkdir()
    (copy / "document.json").write_bytes(kept.read_bytes())
    emulator = VertexEmulator(data_dir=kept.parents[6])
    with pytest.raises(DataDirError, match=f"{copy}/document.json.* rm -r '{copy}'"):
        emulator.start()


def test_what_an_earlier_version_has_kept_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Jobs and operations in an earlier layout are ignored, with a warning that names them."""
    (tmp_path / "jobs" / "1").mkdir(parents=True)
    (tmp_path / "jobs" / "1" / "job.json").write_text('{"request": "s3cret"}')
    (tmp_path / "operations").mkdir()
    with VertexEmulator(data_dir=tmp_path) as emulator:
        assert emulator.jobs == ()
    (record,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert "environment variables" in record.message
    assert record.message.endswith(f"rm -r {tmp_path}/jobs {tmp_path}/operations")
    assert (tmp_path / "jobs" / "1" / "job.json").exists()
