"""What a full disk means to commands that start servers."""

import errno
import shutil
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from tests.support.users import reachable_folder
from zenml_vertex.cli.failures import working_folder


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends a command on a full disk is an error that names the folder and a cure."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shown = rf"^The disk is full at {tmp_path}\. Free some space, or set TMPDIR to a folder on "
    with pytest.raises(click.ClickException, match=shown), working_folder("x-") as folder:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder / "a"))
    assert not folder.exists()
    # A server there has only said so in its log.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(click.ClickException, match=shown), working_folder("x-"):
        raise click.ClickException("The ZenML server did not start.")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_the_output_is_not_that_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `> /dev/full`, nobody is sent to free space where there is some."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(OSError, match="No space left"),
        working_folder("x-"),
    ):
        click.echo(b"The stack is ready.", full)


def test_another_failure_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With space on the disk, an error is not blamed on it, and a folder to keep is kept."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(KeyError), working_folder("x-", keep=True) as folder:
        raise KeyError
    assert folder.exists()


def test_a_missing_temporary_folder_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a folder for temporary files, the error says which setting chooses one."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with pytest.raises(click.ClickException, match="set TMPDIR to a folder"), working_folder("x-"):
        pytest.fail("The folder was made.")


def test_what_a_killed_command_has_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token and the database of a stack that was killed lay in the temporary folder forever.

    Folders of commands that run, and of those that were told to keep theirs, stay.
    """
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with working_folder("x-", keep=True) as kept:
        pass
    with working_folder("x-") as used:
        killed = tmp_path / "x-killed"
        shutil.copytree(used, killed)
        (killed / "zenml.db").touch()
        with working_folder("x-"):
            assert sorted(path for path in (killed, kept, used) if path.exists()) == sorted(
                [kept, used]
            )
    assert list(tmp_path.iterdir()) == [kept]
    # Nothing in it says that it may be removed once this process has ended.
    assert list(kept.iterdir()) == []


def test_a_temporary_folder_that_others_can_replace_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever can write to TMPDIR could put a folder with a database of theirs in its place."""
    with reachable_folder() as place:
        place.chmod(0o777)
        monkeypatch.setattr("tempfile.tempdir", str(place))
        with pytest.raises(click.ClickException, match="Set TMPDIR"), working_folder("x-"):
            pytest.fail("The folder was made.")
