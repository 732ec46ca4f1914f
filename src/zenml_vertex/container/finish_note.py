"""A note in the artifact store that a step's container has reported its result.

It says nothing but "ask the ZenML server now": a client that looks for it need not ask the
server all the time. Looking costs one request, without the requests by which ZenML's artifact
stores find out first what is there.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from zenml_vertex.container.artifact_store_claim import read_beginning
from zenml_vertex.errors import PermissionDenied
from zenml_vertex.foreign_text import clean_line, presentable
from zenml_vertex.job.identity import Attempt

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore

FOLDER = "zenml-vertex/finished"
# The pipeline run of the step; set on the job.
RUN_VARIABLE = "ZENML_VERTEX_RUN"
_TEXT = "This step has reported its result. Once no client waits for it, this file can go.\n"
_FORBIDDEN = 403


class OutOfReach(Exception):
    """The artifact store is local, so that containers write to another one, or it is not known."""


def leave_note(store: "BaseArtifactStore", run_id: str, attempt: Attempt) -> None:
    """Say that a step has reported its result.

    Args:
        store: The artifact store.
        run_id: The pipeline run.
        attempt: The attempt that has reported.
    """
    folder = name_folder(store, run_id)
    path = f"{folder}/{_name_note(attempt)}"
    filesystem = _find_filesystem(store)
    if filesystem is not None:
        filesystem.pipe_file(path, _TEXT.encode())
        return
    store.makedirs(folder)
    with store.open(path, "w") as file:
        file.write(_TEXT)


class StoredNotes:
    """The notes of steps; implements `following.protocols.Notes`.

    Args:
        find_store: Finds the artifact store of a pipeline run, which costs the ZenML server
            requests: it is called once for each run, until it raises nothing.
    """

    def __init__(self, find_store: Callable[[str], "BaseArtifactStore"]) -> None:
        self._find_store = find_store
        # Pipeline run -> its artifact store.
        self._stores: dict[str, BaseArtifactStore] = {}
        # Notes that could not be removed.
        self._kept: set[str] = set()

    def take(self, run_id: str, attempts: Collection[Attempt]) -> set[Attempt]:
        if run_id not in self._stores:
            self._stores[run_id] = self._find_store(run_id)
        store = self._stores[run_id]
        if store.config.is_local:
            raise OutOfReach
        folder = name_folder(store, run_id)
        found: set[Attempt] = set()
        try:
            found = set(_iter_found(store, folder, attempts))
        except FileNotFoundError:
            pass
        except Exception as error:
            if _is_denied(error):
                raise PermissionDenied(_say_what_to_grant(store)) from presentable(error)
            raise
        taken: set[Attempt] = set()
        for attempt in found:
            path = f"{folder}/{_name_note(attempt)}"
            if path not in self._kept:
                taken.add(attempt)
                self._remove(store, path)
        return taken

    def _remove(self, store: "BaseArtifactStore", path: str) -> None:
        try:
            with suppress(FileNotFoundError):
                store.remove(path)
        except Exception:  # noqa: BLE001 - it may be read and not removed
            self._kept.add(path)


def _iter_found(
    store: "BaseArtifactStore", folder: str, attempts: Collection[Attempt]
) -> Iterator[Attempt]:
    """The attempts that have a note, by one request: a list costs more, and has them all."""
    filesystem = _find_filesystem(store)
    if len(attempts) > 1:
        if filesystem is not None:
            filesystem.invalidate_cache(folder)
            paths = filesystem.ls(folder, detail=False)
        else:
            paths = [str(path) for path in store.listdir(folder)]
        names = {path.rsplit("/", 1)[-1] for path in paths}
        yield from (attempt for attempt in attempts if _name_note(attempt) in names)
        return
    for attempt in attempts:
        path = f"{folder}/{_name_note(attempt)}"
        if filesystem is not None:
            read_beginning(filesystem, path, 1)
            yield attempt
        elif store.exists(path):
            yield attempt


def _is_denied(error: Exception) -> bool:
    """Whether an artifact store refuses a look; gcsfs says so in the text of an OSError alone."""
    return (
        isinstance(error, PermissionError)
        or (isinstance(error, OSError) and str(error).startswith("Forbidden"))
        or _FORBIDDEN in (getattr(error, "code", None), getattr(error, "status_code", None))
    )


def _say_what_to_grant(store: "BaseArtifactStore") -> str:
    path = clean_line(store.path)
    grant = "permission to read and list its files"
    if path.startswith("gs://"):
        grant = (
            "storage.objects.get and storage.objects.list on the bucket, which "
            "roles/storage.objectViewer contains"
        )
    return (
        f"The credentials of the artifact store {path} do not allow looking into {FOLDER} there, "
        f"where a step leaves a note when it has finished. Grant them {grant}."
    )


def name_folder(store: "BaseArtifactStore", run_id: str) -> str:
    """Where the notes of a pipeline run are."""
    return f"{store.path.rstrip('/')}/{FOLDER}/{run_id}"


def _name_note(attempt: Attempt) -> str:
    return f"{attempt.step_run_id}-{attempt.number}"


def _find_filesystem(store: "BaseArtifactStore") -> Any:
    """The fsspec file system of the store, as those for Cloud Storage, S3 and Azure have one."""
    filesystem = getattr(store, "filesystem", None)
    return filesystem if hasattr(filesystem, "pipe_file") else None
