"""Where resources are kept, so that they outlive the emulator: as JSON, by resource name.

A document may hold environment variables, tokens included: folders are 0700, files
0600. A file is replaced in one piece, so a crash leaves the old one or the new one. It
is not synced to the disk: a power failure may lose the last changes.
"""

import fcntl
import json
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from vertex_emulator.core.errors import Json

_DOCUMENT = "document.json"
# A resource name becomes a path: no segment leads out of the store.
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:~-]*")


class DataDirInUseError(Exception):
    """Another emulator is using the same folder."""


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

    def all(self, collection: str) -> Iterator[Json]:
        """The documents of a collection, such as `customJobs`."""
        ...

    def get(self, name: str) -> Json | None:
        """The document of a resource; None if there is none."""
        ...

    def put(self, name: str, document: Json) -> None:
        """Keep a document and drop an earlier one; the caller must not change it afterwards."""
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
        folder: Made where it is missing. None makes a temporary one, which is removed
            when the store is closed.

    Raises:
        DataDirInUseError: If another emulator is using the folder.
    """

    def __init__(self, folder: Path | None) -> None:
        self._is_temporary = folder is None
        self._folder = folder or Path(tempfile.mkdtemp(prefix="vertex-emulator-"))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_file: int | None = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self.release()
            raise DataDirInUseError(
                f"Another emulator is using {self._folder}; give this one another --data-dir."
            ) from exc

    @property
    def folder(self) -> Path:
        return self._folder

    def all(self, collection: str) -> Iterator[Json]:
        pattern = f"projects/*/locations/*/{collection}/*/{_DOCUMENT}"
        for file in sorted(self._folder.glob(pattern)):
            if (document := _read_file(file)) is not None:
                yield document

    def get(self, name: str) -> Json | None:
        return _read_file(self._folder / _split(name) / _DOCUMENT)

    def put(self, name: str, document: Json) -> None:
        if self._lock_file is None:
            raise StoreReleasedError(f"another emulator may be using {self._folder} by now")
        _replace_file(self.folder_of(name) / _DOCUMENT, document)

    def remove(self, name: str) -> None:
        shutil.rmtree(self._folder / _split(name), ignore_errors=True)

    def folder_of(self, name: str) -> Path:
        return _make_folder(self._folder, name)

    def file_of(self, name: str, file_name: str) -> Path:
        return self.folder_of(name) / file_name

    def release(self) -> None:
        # A crash in the middle of a call releases it in another thread than `close`.
        lock_file, self._lock_file = self._lock_file, None
        if lock_file is not None:
            os.close(lock_file)

    def close(self) -> None:
        self.release()
        if self._is_temporary:
            shutil.rmtree(self._folder, ignore_errors=True)


class MemoryStore:
    """Documents in memory, for as long as the object lives: emulators can use it one after another.

    Containers still get folders, below a temporary one that is removed when the store is
    closed.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="vertex-emulator-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._documents: dict[str, Json] = {}

    @property
    def folder(self) -> Path:
        return self._folder

    def all(self, collection: str) -> Iterator[Json]:
        for name, document in list(self._documents.items()):
            if name.split("/")[-2] == collection:
                yield document

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
        shutil.rmtree(self._folder, ignore_errors=True)


def _split(name: str) -> Path:
    """A resource name as a relative path.

    Raises:
        ValueError: If a segment could lead out of the store.
    """
    segments = name.split("/")
    if not all(_SEGMENT.fullmatch(segment) for segment in segments):
        raise ValueError(f"not a resource name: {name!r}")
    return Path(*segments)


def _make_folder(root: Path, name: str) -> Path:
    folder = root
    # One by one: `parents=True` makes the folders on the way with the umask's rights.
    for segment in ("", *_split(name).parts):
        folder /= segment
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _read_file(file: Path) -> Json | None:
    try:
        document: Json = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    return document


def _replace_file(file: Path, content: Json) -> None:
    draft = file.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(content, stream)
    draft.replace(file)
