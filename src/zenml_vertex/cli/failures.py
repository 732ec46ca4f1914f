"""What nobody expected, as one sentence: what failed, and what to do next."""

import errno
import os
import shlex
import shutil
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

_FULL = (errno.ENOSPC, errno.EDQUOT)
# What SQLite says, which ZenML's own database may be.
_FULL_TEXTS = ("database or disk is full", "No space left on device", "Disk quota exceeded")
# Less than a server's log and database need.
_LITTLE_BYTES = 1024 * 1024
_MOST_CHARACTERS = 300
_NO_SERVER = (
    "ZenML is not connected to a server, and the packages for a database of its own are "
    "missing. Connect it with `zenml login URL`, or install them",
    "zenml[local]",
)
# What an ImportError of ZenML says -> what is missing, and what installs it.
_LACKING = {
    "`local` extra": _NO_SERVER,
    # Where there is a database already.
    "No module named 'pymysql'": _NO_SERVER,
    "No module named 'gcsfs'": (
        "ZenML needs the package gcsfs for an artifact store on Google Cloud Storage. Install it",
        "gcsfs",
    ),
}


def describe_failure(
    error: BaseException, command: str, program: str, arguments: Sequence[str]
) -> str:
    """An unexpected error as one line, without secrets.

    Args:
        error: What was raised.
        command: The command that raised it, such as `zenml-vertex jobs list`.
        program: Name of the program, such as `zenml-vertex`.
        arguments: All that it was called with.
    """
    if is_disk_full(error):
        return describe_full_disk(_find_full_folders(_iter_folders(error)))
    if known := _describe_lacking(error) or _describe_closed_configuration(error):
        return known
    from zenml_vertex.foreign_text import clean_line

    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename else ""
        said = f"{error.strerror}{place}"
    else:
        # pydantic adds the input, which can hold a secret.
        text = " ".join(str(error).split()).partition(" [type=")[0]
        said = f"{type(error).__name__}{f': {text}' if text else ''}"
    words = clean_line(said, _MOST_CHARACTERS).rstrip(".")
    again = f"{program} --traceback {shlex.join(arguments)}"
    if clean_line(again, _MOST_CHARACTERS) != again:
        # It contains a secret, or does not fit on one line.
        again = f"the same command with --traceback directly after `{program}`"
    return f"`{command}` failed unexpectedly: {words}. To see where, run: {again}"


def _describe_lacking(error: BaseException) -> str:
    """The sentence about what an import has not found; empty if it is not about that."""
    from zenml_vertex.installation import (
        FORMER_HOOK,
        choose_program,
        install_command,
        reinstall_command,
    )

    if not isinstance(error, ImportError):
        return ""
    if error.name == FORMER_HOOK:
        return (
            "`import zenml` fails here, because zenml-vertex was installed when its init hook was "
            f"another module. Install it again: {reinstall_command() or install_command('client')}"
        )
    for words, (need, target) in _LACKING.items():
        if words in str(error):
            return f"{need}: {choose_program('install')} {shlex.quote(target)}"
    return ""


def _describe_closed_configuration(error: BaseException) -> str:
    """The sentence about ZenML's folder that cannot be written to; empty if it is not about it."""
    if not isinstance(error, OSError) or not isinstance(error.filename, str):
        return ""
    folder, place = _find_zenml_folder().absolute(), Path(error.filename).absolute()
    # A parent could not be made, or is not a folder.
    if folder != place and folder not in place.parents and place not in folder.parents:
        return ""
    return (
        f"ZenML cannot write its configuration to {folder} ({error.strerror}). Set HOME or "
        "ZENML_CONFIG_PATH to a folder that you may write to."
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or what led to it, says that a disk is full."""
    from zenml_vertex.foreign_text import iter_chain

    return any(
        (isinstance(link, OSError) and link.errno in _FULL)
        or any(text in str(link) for text in _FULL_TEXTS)
        for link in iter_chain(error)
    )


def is_of_output(error: BaseException) -> bool:
    """Whether an error was raised by printing."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(frame.f_code is click.echo.__code__ for frame in frames)


def describe_full_disk(folders: Iterable[Path]) -> str:
    """The sentence about a full disk.

    Args:
        folders: Those that are on it, as far as known.
    """
    place = " and ".join(str(folder) for folder in folders)
    return f"The disk is full{f' at {place}' if place else ''}. Free some space, then try again."


@contextmanager
def working_folder(prefix: str, *, keep: bool = False) -> Iterator[Path]:
    """A temporary folder for servers; what fails on a full disk says so in a sentence.

    Those that killed commands have left are removed: they hold tokens and a database.

    Args:
        prefix: Beginning of its name.
        keep: Leave it at the end.

    Raises:
        click.ClickException: If an exception ends the block while its disk is full, which a
            server there can only report in its log.
    """
    from vertex_emulator import DataDirError, TemporaryFolder

    try:
        made = TemporaryFolder(prefix)
    except DataDirError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(
            f"A temporary folder cannot be made: {error.strerror}. Free some space, or set TMPDIR "
            "to a folder on a disk that has some."
        ) from error
    folder = made.path
    try:
        yield folder
    except Exception as error:
        if not is_of_output(error) and (is_disk_full(error) or _find_full_folders([folder])):
            raise click.ClickException(
                f"The disk is full at {folder.parent}. Free some space, or set TMPDIR to a folder "
                "on another disk."
            ) from error
        raise
    finally:
        if keep:
            made.keep()
        else:
            made.remove()


def _iter_folders(error: BaseException) -> Iterator[Path]:
    """Folders that a command may have written to, the likeliest first."""
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes):
        yield Path(os.fsdecode(error.filename)).absolute().parent
    # Where ZenML keeps its configuration and its own database.
    yield _find_zenml_folder()
    if temporary := os.environ.get("TMPDIR"):
        yield Path(temporary)


def _find_zenml_folder() -> Path:
    return Path(os.environ.get("ZENML_CONFIG_PATH") or click.get_app_dir("zenml"))


def _find_full_folders(folders: Iterable[Path]) -> list[Path]:
    """The first of the folders that is on a full disk, in a list; empty if none is."""
    for folder in folders:
        existing = next((path for path in (folder, *folder.parents) if path.exists()), None)
        if existing and shutil.disk_usage(existing).free < _LITTLE_BYTES:
            return [folder]
    return []
