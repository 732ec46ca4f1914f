"""The emulator's folders: nobody else's files in them, and nothing of them left behind."""

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.emulators import NO_WAITING, JobOf, Submit
from tests.support.users import NOBODY, needs_root, reachable_folder
from vertex_emulator import (
    DataDirError,
    DocumentStore,
    FileStore,
    ManualClock,
    MemoryStore,
    VertexEmulator,
)
from vertex_emulator.core.folders import TemporaryFolder, find_own_parent

NAME = "projects/1/locations/us-central1/dogs/1"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everyone can reach, and only its owner can write to."""
    with reachable_folder() as folder:
        yield folder


@pytest.fixture
def temporary(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, which everyone can write to."""
    folder = place / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def data(submit: Submit, job_of: JobOf, place: Path) -> Path:
    """The folder of an emulator that has a job in it, which has not begun."""
    folder = place / "data"
    with VertexEmulator(data_dir=folder, clock=ManualClock()) as emulator:
        submit(emulator, job_of("touch", str(place / "planted")))
    return folder


def refuse(folder: Path, text: str) -> None:
    """Assert that no emulator starts in a folder, and that what it says has a text."""
    with (
        pytest.raises(DataDirError, match=text),
        VertexEmulator(data_dir=folder, timings=NO_WAITING),
    ):
        pass


@needs_root
@pytest.mark.parametrize(
    "planted", ["", "projects", "projects/*/locations", "projects/*/*/*/*/*/document.json"]
)
def test_a_planted_job_is_not_run(data: Path, planted: str) -> None:
    """A user who had put a job into the folder beforehand ran commands as the emulator's user."""
    (place,) = data.glob(planted) if planted else [data]
    os.chown(place, NOBODY, NOBODY)
    refuse(data, rf"{place} belongs to the user 65534 \(nobody\), .* runs as 0 \(root\)")
    assert not (data.parent / "planted").exists()


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o1777, 0o703])
def test_a_folder_that_others_can_write_to_is_refused(data: Path, mode: int) -> None:
    """Any user could add a job to a folder of an emulator that everyone could write to."""
    data.chmod(mode)
    refuse(data, f"Other users can write to {data}: what they have put there would be run")
    assert data.stat().st_mode & 0o7777 == mode


@pytest.mark.parametrize("way", ["data", "deep/data"])
def test_a_folder_that_others_can_replace_is_refused(place: Path, way: str) -> None:
    """Who can write to the folder above puts another one in its place, unless it is sticky."""
    above = place / "above"
    above.mkdir()
    (above / "deep").mkdir()
    above.chmod(0o777)
    folder = above / way
    refuse(folder, rf"Other users can write to {above}, .* run: chmod \+t {above}")
    above.chmod(0o1777)
    FileStore(folder).close()
    above.chmod(0o777)
    # Nobody else comes so far.
    place.chmod(0o700)
    FileStore(folder).close()


@needs_root
@pytest.mark.parametrize("mode", [0o755, 0o1777, 0o700])
def test_a_folder_below_another_users_is_refused(place: Path, mode: int) -> None:
    """The owner of a folder above puts another one in its place, also where that is sticky."""
    above = place / "above"
    above.mkdir()
    above.chmod(mode)
    os.chown(above, NOBODY, NOBODY)
    refuse(above / "data", rf"{above} belongs to the user 65534 \(nobody\), who can put another")
    os.chown(above, 0, 0)
    FileStore(above / "data").close()


@needs_root
def test_the_cure_is_for_whoever_owns_the_folder(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What mends a folder for temporary files that has lost its sticky bit keeps it everybody's."""
    above = place / "above"
    (above / "data").mkdir(parents=True)
    above.chmod(0o777)
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    refuse(above / "data", rf"run: sudo chmod \+t {above}$")
    above.chmod(0o1777)
    refuse(above / "data", "belongs to the user 0")


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_leads_to_the_data_folder(place: Path, is_there: bool) -> None:
    """A store opened by a link, and then wrote nothing, since it is not a folder.

    What it leads to later is not written to.
    """
    data, other, link = place / "data", place / "other", place / "link"
    if is_there:
        data.mkdir()
    link.symlink_to(data)
    store = FileStore(link)
    link.unlink()
    other.mkdir()
    link.symlink_to(other)
    store.put(NAME, {"a": 1})
    assert (store.folder, store.get(NAME), [*other.iterdir()]) == (data, {"a": 1}, [])
    store.close()


def test_links_in_a_circle_are_refused(place: Path) -> None:
    """A link that leads nowhere is an error that says so, on every Python."""
    (place / "circle").symlink_to(place / "circle")
    refuse(place / "circle", rf"Cannot make {place / 'circle'}: .*Give another --data-dir\.")


@needs_root
def test_a_group_of_others_counts(place: Path) -> None:
    """Everyone in a team's group could replace the folder, and so could root's group.

    Any user's process can have that one, as those of many containers do.
    """
    above = place / "above"
    above.mkdir()
    above.chmod(0o775)
    os.chown(above, 0, NOBODY)
    refuse(above / "data", f"Other users can write to {above}")
    os.chown(above, 0, 0)
    refuse(above / "data", f"Other users can write to {above}")
    above.chmod(0o755)
    FileStore(above / "data").close()


@needs_root
def test_a_process_of_roots_group_plants_nothing(place: Path) -> None:
    """A process of another user with root's group left a `lock`, and later jobs, in the folder.

    With its `lock` there, the folder was taken for an emulator's own.
    """
    data = place / "data"
    data.mkdir()
    (data / "lock").touch()
    os.chown(data / "lock", NOBODY, 0)
    data.chmod(0o770)
    refuse(data, f"Other users can write to {data}: what they have put there would be run")
    data.chmod(0o700)
    refuse(data, rf"{data / 'lock'} belongs to the user 65534 \(nobody\)")
    os.chown(data / "lock", 0, 0)
    FileStore(data).close()


@needs_root
@pytest.mark.parametrize(
    ("name", "members", "primary_of_another", "is_private"),
    [
        ("root", [], False, True),
        ("root", ["root"], False, True),
        ("root", ["bob"], False, False),
        ("root", [], True, False),
        ("team", [], False, False),
    ],
)
def test_a_private_group_has_its_user_alone(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str,
    members: list[str],
    primary_of_another: bool,
    is_private: bool,
) -> None:
    """A user whose primary group it was, which no list of members has, could replace the folder."""
    group = 4242
    own = pwd.struct_passwd(("root", "x", 0, group, "", "/root", "/bin/sh"))
    bob = pwd.struct_passwd(("bob", "x", 1000, group if primary_of_another else 1000, "", "", ""))
    monkeypatch.setattr(pwd, "getpwuid", {0: own, 1000: bob}.__getitem__)
    monkeypatch.setattr(pwd, "getpwall", lambda: [own, bob])
    monkeypatch.setattr(grp, "getgrgid", lambda _: grp.struct_group((name, "x", group, members)))
    above = place / "above"
    above.mkdir()
    os.chown(above, 0, group)
    above.chmod(0o775)
    if is_private:
        FileStore(above / "data").close()
    else:
        refuse(above / "data", f"Other users can write to {above}")


def test_what_appears_while_a_folder_is_closed_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write to an empty folder could add a job just before it was closed to them."""
    data = place / "data"
    data.mkdir()
    data.chmod(0o777)
    chmod = Path.chmod

    def plant(path: Path, mode: int) -> None:
        (data / "projects").mkdir()
        chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", plant)
    refuse(data, f"Other users can write to {data}: what they have put there would be run")


@needs_root
def test_a_folder_that_is_replaced_is_not_written_to(tmp_path: Path) -> None:
    """Who replaces the folder of a running emulator would get the tokens of its next jobs."""
    folder = tmp_path / "data"
    store = FileStore(folder)
    store.put(NAME, {})
    folder.rename(tmp_path / "old")
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)
    with pytest.raises(DataDirError, match=f"{folder} belongs to the user 65534"):
        store.put(NAME, {"token": "t0ken"})
    folder.rmdir()
    folder.symlink_to(tmp_path / "old")
    with pytest.raises(DataDirError, match="not a link"):
        store.put(NAME, {"token": "t0ken"})


def test_what_a_killed_process_has_left_is_removed(temporary: Path) -> None:
    """After a SIGKILL, the folders with the jobs' tokens lay in the temporary folder forever."""
    killed = temporary / "vertex-emulator-killed"
    killed.mkdir(mode=0o700)
    (killed / "made").touch()
    (killed / "document.json").write_text('{"token": "t0ken"}')
    living: list[DocumentStore] = [FileStore(None), MemoryStore()]
    assert not killed.exists()
    folders = [store.folder for store in living]
    # As after a crash, which another emulator may follow in the same folder.
    living[0].release()
    living.append(FileStore(None))
    assert all(folder.is_dir() for folder in folders)
    for store in living:
        store.close()
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(shutil.which("flock") is None, reason="util-linux has the program `flock`")
def test_a_folder_lives_as_long_as_its_process(temporary: Path) -> None:
    """The folder of another process stays until that is killed, and goes with the next start."""
    theirs = temporary / "x-theirs"
    theirs.mkdir()
    with subprocess.Popen(
        ["flock", "--no-fork", str(theirs / "made"), "sh", "-c", "echo ready; read line"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        TemporaryFolder("x-").remove()
        assert theirs.is_dir()
        process.kill()
    TemporaryFolder("x-").remove()
    assert not theirs.exists()


def test_only_what_is_abandoned_is_removed(temporary: Path) -> None:
    """Folders that are in use, kept, or of another kind stay, and so does a link's target."""
    kept = TemporaryFolder("x-")
    kept.keep()
    ours = temporary / "x-ours"
    ours.mkdir()
    used = temporary / "x-used"
    used.mkdir(mode=0o700)
    (used / "made").touch()
    using = FileStore(used)
    target = temporary / "target"
    target.mkdir()
    (target / "made").touch()
    (temporary / "x-link").symlink_to(target)
    TemporaryFolder("x-").remove()
    assert {path.name for path in temporary.iterdir()} == {
        kept.path.name, "x-ours", "x-used", "x-link", "target"
    }  # fmt: skip
    using.close()
    TemporaryFolder("x-").remove()
    assert not used.exists()


@needs_root
def test_the_folder_of_another_user_is_not_removed(temporary: Path) -> None:
    """Root removes nothing of other users, who may have put anything there."""
    theirs = temporary / "x-theirs"
    theirs.mkdir()
    (theirs / "made").touch()
    os.chown(theirs, NOBODY, NOBODY)
    TemporaryFolder("x-").remove()
    assert theirs.is_dir()


def test_a_temporary_folder_needs_a_safe_place(temporary: Path) -> None:
    """In a folder for temporary files that is not sticky, everyone could replace it."""
    temporary.chmod(0o777)
    with pytest.raises(DataDirError, match="Set TMPDIR to a folder of your own"):
        TemporaryFolder("x-")
    assert list(temporary.iterdir()) == []


@needs_root
def test_nobody_else_can_take_the_name_of_a_folder_of_ones_own(tmp_path: Path) -> None:
    """A shell may still name it: it is made where others cannot make one, unlike /tmp."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o1777)
    runtime.chmod(0o1777)
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    environ = {"XDG_RUNTIME_DIR": str(runtime), "HOME": str(home)}
    assert find_own_parent(environ) == home / ".cache"
    runtime.chmod(0o700)
    assert find_own_parent(environ) == runtime
    os.chown(runtime, NOBODY, NOBODY)
    assert find_own_parent(environ) == home / ".cache"
    assert find_own_parent({"XDG_RUNTIME_DIR": "relative"}) is None
    made = TemporaryFolder("x-", home / ".cache")
    assert made.path.parent == home / ".cache"
    made.remove()
