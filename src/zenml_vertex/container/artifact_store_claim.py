"""A claim as a small file in the stack's artifact store, which every container can access."""

import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from zenml_vertex.container.claim import ClaimStore
from zenml_vertex.job.identity import Replica

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore

FOLDER = "zenml-vertex/claims"
# A claim takes 80 bytes; whoever writes to the bucket may leave gigabytes under its name.
_MOST_BYTES = 4096
_NO_SUCH_RANGE = 416


def open_claim(store: "BaseArtifactStore", replica: Replica) -> ClaimStore:
    """The claim of one replica, in the way that suits the artifact store.

    Each replica has a claim of its own, or the second would take itself for another
    start of the first, and wait for it.

    Args:
        store: The artifact store.
        replica: The replica.
    """
    path = f"{store.path.rstrip('/')}/{FOLDER}/{replica}.json"
    is_bucket = can_create_exclusively(getattr(store, "filesystem", None))
    return BucketClaim(store, path) if is_bucket else FileClaim(store, path)


def can_create_exclusively(filesystem: Any) -> bool:
    """Whether this is Cloud Storage, by a gcsfs that can create an object if there is none.

    gcsfs can from 2024.12.0 on. An older one would overwrite it, or fail.
    """
    is_google = "gs" in getattr(filesystem, "protocol", ())
    return is_google and "mode" in inspect.signature(filesystem.pipe_file).parameters


def read_beginning(filesystem: Any, path: str, size: int) -> bytes:
    """The first bytes of a file, by one request, however large it is.

    Args:
        filesystem: An fsspec file system.
        path: The file.
        size: How many bytes; at least one, for gcsfs reads all of the file when asked for none.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    try:
        return bytes(filesystem.cat_file(path, start=0, end=size))
    except Exception as error:
        # That is Cloud Storage's answer for an empty file.
        if getattr(error, "code", None) == _NO_SUCH_RANGE:
            return b""
        raise


class FileClaim:
    """A claim in any artifact store; implements `claim.ClaimStore`.

    Args:
        store: The artifact store.
        path: Where the claim is.
    """

    is_exclusive = False

    def __init__(self, store: "BaseArtifactStore", path: str) -> None:
        self._store = store
        self._path = path

    def create(self, text: str) -> bool:
        if self.read() is not None:
            return False
        self._store.makedirs(self._path.rpartition("/")[0])
        self.write(text)
        return True

    def read(self) -> str | None:
        try:
            with self._store.open(self._path, "rb") as file:
                return bytes(file.read(_MOST_BYTES)).decode("utf-8", "replace")
        except FileNotFoundError:
            return None

    def write(self, text: str) -> None:
        with self._store.open(self._path, "w") as file:
            file.write(text)

    def remove(self) -> None:
        with suppress(FileNotFoundError):
            self._store.remove(self._path)


class BucketClaim(FileClaim):
    """A claim in Cloud Storage: one request for each call, and one creator."""

    is_exclusive = True

    def create(self, text: str) -> bool:
        try:
            # `ifGenerationMatch=0`: the bucket decides, whoever else asks at the same time.
            self._filesystem.pipe_file(self._path, text.encode(), mode="create")
        except FileExistsError:
            return False
        return True

    def read(self) -> str | None:
        try:
            found = read_beginning(self._filesystem, self._path, _MOST_BYTES)
        except FileNotFoundError:
            return None
        return found.decode("utf-8", "replace")

    def write(self, text: str) -> None:
        self._filesystem.pipe_file(self._path, text.encode())

    @property
    def _filesystem(self) -> Any:
        # Not kept: the artifact store makes a new one when its credentials expire.
        store: Any = self._store
        return store.filesystem
