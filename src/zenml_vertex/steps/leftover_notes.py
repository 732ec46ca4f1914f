"""Removing the notes of runs that are over: of clients that were killed before they took them.

A note is a hint for a client that waits, see `container.finish_note`. Nobody waits for a step of a
run that has ended.
"""

import json
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

from zenml.client import Client

from zenml_vertex.container.finish_note import FOLDER, OutOfReach, name_folder
from zenml_vertex.following.brief import call_briefly
from zenml_vertex.steps.run_stores import find_artifact_store
from zenml_vertex.steps.server import server_errors

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore

# An artifact store that is out of reach answers after minutes.
_SECONDS = 20.0
_FOUND_AT_ONCE = 50
_MOST_PROJECTS = 100


def remove_notes(run_id: str) -> int:
    """Remove the notes of a pipeline run that is over.

    Args:
        run_id: The run.

    Returns:
        How many there were.

    Raises:
        Exception: If its artifact store, or the ZenML server, cannot be asked.
    """

    def remove() -> int:
        store = find_artifact_store(run_id)
        if store.config.is_local:
            # Containers write to another one.
            return 0
        folder = name_folder(store, run_id)
        names = _list(store, folder)
        for name in names:
            with suppress(FileNotFoundError):
                store.remove(f"{folder}/{name}")
        return len(names)

    with suppress(OutOfReach):
        return call_briefly(remove, _SECONDS)
    return 0


def find_ended_runs() -> list[str]:
    """The runs of this ZenML server that are over, of those with notes in the active stack's store.

    Raises:
        Exception: If the artifact store, or the ZenML server, cannot be asked.
    """
    store = Client().active_stack.artifact_store
    if store.config.is_local:
        return []
    names = call_briefly(lambda: _list(store, f"{store.path.rstrip('/')}/{FOLDER}"), _SECONDS)
    # Other ZenML servers may use the bucket too.
    return [str(run_id) for run_id in _find_ended([name for name in names if _is_id(name)])]


def _list(store: "BaseArtifactStore", folder: str) -> list[str]:
    """What a folder has; nothing if there is none."""
    try:
        found = [str(path).rstrip("/").rsplit("/", 1)[-1] for path in store.listdir(folder)]
    except FileNotFoundError:
        return []
    return [name for name in found if name]


def _find_ended(run_ids: list[str]) -> list[UUID]:
    ended = []
    with server_errors():
        projects = Client().list_projects(size=_MOST_PROJECTS).items if run_ids else []
        for start in range(0, len(run_ids), _FOUND_AT_ONCE):
            ids = json.dumps(run_ids[start : start + _FOUND_AT_ONCE])
            for project in projects:
                page = Client().list_pipeline_runs(
                    id=f"oneof:{ids}", project=project.id, size=_FOUND_AT_ONCE
                )
                ended += [run.id for run in page.items if run.status.is_finished]
    return ended


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
