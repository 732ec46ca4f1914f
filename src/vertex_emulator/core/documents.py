"""Where resources are kept, so that they outlive the emulator: as JSON, by resource name.

A document may hold environment variables, tokens included: folders are 0700, files
0600, and no link is followed. A file is replaced in one piece, so a crash leaves the old
one or the new one. It is not synced to the disk: a power failure may lose the last changes.
"""

import errno
import fcntl
import json
import logging
import os
import re
import shlex
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from vertex_emulator.core.errors import Json
from vertex_emulator.core.folders import (
    LOCK,
    OTHER_FOLDER,
    DataDirError,
    DataDirInUseError,
    TemporaryFolder,
    close_folder,
    open_root,
    refuse_foreign,
)

logger = logging.getLogger(__name__)

DOCUMENT = "document.json"
"""Name of the file that a document is in."""

_PREFIX = "vertex-emulator-"
# Folders from `projects` to the one of a resource: projects/P/locations/L/COLLECTION/ID.
_LEVELS = 6
# What an earlier layout had at the top of the data folder.
_EARLIER_LAYOUT = ("jobs", "operations")
# A resource name becomes a path: no segment leads out of the store.
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:~-]*")


class StoreReleasedError(Exception):
    """An emulator that has crashed tries to write to the store."""


class DocumentStore(Protocol):
    """Keeps a JSON document for each resource, and a folder for what belongs to it.

    Resources are known by their full names, `projects/P/locations/L/COLLECTION/ID`.
    Callers see to it that calls about one resource do not overlap.
    """

    @property
    def folder(self) -> Path:
        """Where files are."""
        ...

    def items(self, collection: str) -> Iterator[tuple[str, Json]]:
        """The names and documents of a collection, such as `customJobs`.

        Raises:
            DataDirError: If a document cannot be read.
        """
        ...

    def names(self, collection: str) -> Iterator[str]:
        """The names of a collection, such as `operations`, whatever the documents are."""
        ...

    def get(self, name: str) -> Json | None:
        """The document of a resource; None if there is none.

        Raises:
            DataDirError: If it cannot be read.
        """
        ...

    def put(self, name: str, document: Json) -> None:
        """Keep a document and drop an earlier one; the caller must not change it afterwards.

        Raises:
            DataDirError: If it cannot be written, such as to a full disk.
        """
        ...

    def remove(self, name: str) -> None:
        """Forget a resource and everything in its folder."""
        ...

    def folder_of(self, name: str) -> Path:
        """The folder of a resource, made where it is missing."""
        ...

    def file_of(self, name: str, file_name: str) -> Path | None:
        """A file beside a resource's document; None if the store keeps no files."""
        ...

    def release(self) -> None:
        """Let another emulator use what is kept, as a crash does."""
        ...

    def close(self) -> None:
        """Release the store at the end, and remove what is temporary."""
        ...


class FileStore:
    """Documents as files: `projects/P/locations/L/COLLECTION/ID/document.json`.

    Args:
        folder: Made where it is missing; a link leads to it. One that others can enter is closed
            to them if it is empty or an emulator's. None makes a temporary one, which is removed
            when the store is closed.

    Raises:
        DataDirInUseError: If another emulator is using the folder.
        DataDirError: If the folder cannot be made; if it, or what is in it, is another user's;
            if others could write to it or replace it; if others can enter it and it has other
            files; if a link is in the place of a folder or file in it.
    """

    def __init__(self, folder: Path | None) -> None:
        self._temporary = None
        if folder is None:
            self._temporary = _make_temporary()
            folder = self._temporary.path
        else:
            folder = open_root(folder)
        self._folder = folder
        self._lock_file: int | None = _open_lock(self._folder / LOCK)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self.release()
            raise DataDirInUseError(
                f"Another emulator is using {self._folder}. {OTHER_FOLDER}"
            ) from exc
        try:
            for inner in _walk(self._folder / "projects", _LEVELS):
                close_folder(inner)
        except BaseException:
            self.release()
            raise
        _warn_of_earlier_layout(self._folder)

    @property
    def folder(self) -> Path:
        return self._folder

    def items(self, collection: str) -> Iterator[tuple[str, Json]]:
        for file, name in self._files(collection):
            if not _is_name(name):
                raise unreadable(file, "its folder is not named after a resource")
            if (document := _read_file(file)) is not None:
                yield name, document

    def names(self, collection: str) -> Iterator[str]:
        return (name for _, name in self._files(collection) if _is_name(name))

    def get(self, name: str) -> Json | None:
        return _read_file(self._folder / _split(name) / DOCUMENT)

    def put(self, name: str, document: Json) -> None:
        if self._lock_file is None:
            raise StoreReleasedError(f"another emulator may be using {self._folder} by now")
        try:
            _replace_file(self.folder_of(name) / DOCUMENT, document)
        except OSError as exc:
            raise DataDirError(
                f"Cannot write to {self._folder}: {exc.strerror}. Free some space there, or start "
                "the emulator with another --data-dir."
            ) from exc

    def remove(self, name: str) -> None:
        shutil.rmtree(self._folder / _split(name), ignore_errors=True)

    def folder_of(self, name: str) -> Path:
        return _make_folder(self._folder, name)

    def file_of(self, name: str, file_name: str) -> Path:
        # Where there is no room for its folder, the document beside it cannot be put either.
        return self._folder / _split(name) / file_name

    def _files(self, collection: str) -> Iterator[tuple[Path, str]]:
        """The documents of a collection, and the names that their folders stand for."""
        pattern = f"projects/*/locations/*/{collection}/*/{DOCUMENT}"
        for file in sorted(self._folder.glob(pattern)):
            yield file, file.parent.relative_to(self._folder).as_posix()

    def release(self) -> None:
        # A crash in the middle of a call releases it in another thread than `close`.
        lock_file, self._lock_file = self._lock_file, None
        if lock_file is not None:
            os.close(lock_file)

    def close(self) -> None:
        self.release()
        if self._temporary:
            self._temporary.remove()


class MemoryStore:
    """Documents in memory, for as long as the object lives: emulators can use it one after another.

    Containers still get folders, below a temporary one that is removed when the store is
    closed.
    """

    def __init__(self) -> None:
        self._temporary = _make_temporary()
        self._folder = self._temporary.path
        weakref.finalize(self, self._temporary.remove)
        self._documents: dict[str, Json] = {}

    @property
    def folder(self) -> Path:
        return self._folder

    def items(self, collection: str) -> Iterator[tuple[str, Json]]:
        for name, document in list(self._documents.items()):
            if name.split("/")[-2] == collection:
                yield name, document

    def names(self, collection: str) -> Iterator[str]:
        return (name for name, _ in self.items(collection))

    def get(self, name: str) -> Json | None:
        return self._documents.get(name)

    def put(self, name: str, document: Json) -> None:
        self._documents[name] = document

    def remove(self, name: str) -> None:
        self._documents.pop(name, None)
        shutil.rmtree(self._folder / _split(name), ignore_errors=True)

    def folder_of(self, name: str) -> Path:
        return _make_folder(self._folder, name)

    def file_of(self, name: str, file_name: str) -> None:
        del name, file_name

    def release(self) -> None:
        """Nothing to do: it is not locked."""

    def close(self) -> None:
        self._temporary.remove()


def _make_temporary() -> TemporaryFolder:
    try:
        return TemporaryFolder(_PREFIX)
    except OSError as exc:
        raise DataDirError(
            f"Cannot make a temporary folder: {exc.strerror}. {OTHER_FOLDER}"
        ) from exc


def _split(name: str) -> Path:
    """A resource name as a relative path.

    Raises:
        ValueError: If a segment could lead out of the store.
    """
    if not _is_name(name):
        raise ValueError(f"not a resource name: {name!r}")
    return Path(*name.split("/"))


def _is_name(name: str) -> bool:
    return all(_SEGMENT.fullmatch(segment) for segment in name.split("/"))


def _make_folder(root: Path, name: str) -> Path:
    # The folder of a MemoryStore is gone after `close`, and its documents are not.
    root.mkdir(mode=0o700, exist_ok=True)
    # Somebody may have put another one in its place since.
    close_folder(root)
    folder = root
    # One by one: `parents=True` makes the folders on the way with the umask's rights.
    for segment in _split(name).parts:
        folder /= segment
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            close_folder(folder)
    return folder


def _walk(folder: Path, levels: int) -> Iterator[Path]:
    """A folder and those below it, as many levels deep; links are not followed."""
    if not folder.is_symlink() and not folder.is_dir():
        return
    yield folder
    if levels > 1:
        for inner in sorted(folder.iterdir()):
            yield from _walk(inner, levels - 1)


def _open_lock(file: Path) -> int:
    try:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as exc:
        is_no_file = exc.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO)
        cure = "It must be a file, and not a link." if is_no_file else OTHER_FOLDER
        raise DataDirError(f"Cannot open {file}: {exc.strerror}. {cure}") from exc
    try:
        refuse_foreign(file, os.fstat(lock))
    except BaseException:
        os.close(lock)
        raise
    return lock


def _warn_of_earlier_layout(folder: Path) -> None:
    left = [folder / name for name in _EARLIER_LAYOUT if (folder / name).is_dir()]
    if left:
        quoted = shlex.join(str(path) for path in left)
        logger.warning(
            "Ignoring %s: an earlier version kept its jobs there. The files still hold the "
            "environment variables of those jobs. To remove them, run: rm -r %s",
            " and ".join(str(path) for path in left), quoted,
        )  # fmt: skip


def unreadable(document: Path | str, reason: object) -> DataDirError:
    """The error about a document that this version cannot read.

    Args:
        document: Its file, or its name where it has none.
        reason: What is wrong with it, without its content.
    """
    message = f"Cannot read {document}: {reason}."
    if isinstance(document, Path):
        folder = shlex.quote(str(document.parent))
        message += f" Give another --data-dir, or remove the resource: rm -r {folder}"
    return DataDirError(message)


def _read_file(file: Path) -> Json | None:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, encoding="utf-8") as stream:
            refuse_foreign(file, os.fstat(descriptor))
            document: Json = json.load(stream)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as exc:
        raise unreadable(file, exc.strerror if isinstance(exc, OSError) else exc) from exc
    if not isinstance(document, dict):
        raise unreadable(file, "it is not a JSON object")
    return document


def _replace_file(file: Path, content: Json) -> None:
    draft = file.with_suffix(".draft")
    # What is left of a crash, or a link, is not written to.
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(content, stream)
        draft.replace(file)
    except BaseException:
        # It takes up room where there is none.
        draft.unlink(missing_ok=True)
        raise
