"""A claim as a small file in the stack's artifact store, which every container can access."""

from contextlib import suppress
from typing import TYPE_CHECKING

from zenml_vertex.job.identity import Replica

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore

FOLDER = "zenml-vertex/claims"


class ArtifactStoreClaim:
    """The claim of one replica; implements `claim.ClaimStore`.

    Each replica has a claim of its own, or the second would take itself for another
    start of the first, and wait for it.

    Args:
        store: The artifact store.
        replica: The replica.
    """

    def __init__(self, store: "BaseArtifactStore", replica: Replica) -> None:
        self._store = store
        self._folder = f"{store.path.rstrip('/')}/{FOLDER}"
        self._path = f"{self._folder}/{replica}.json"

    def read(self) -> str | None:
        try:
            with self._store.open(self._path, "r") as file:
                return str(file.read())
        except FileNotFoundError:
            return None

    def write(self, text: str) -> None:
        self._store.makedirs(self._folder)
        with self._store.open(self._path, "w") as file:
            file.write(text)

    def remove(self) -> None:
        with suppress(FileNotFoundError):
            self._store.remove(self._path)
