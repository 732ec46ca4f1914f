"""Notes of runs that are over, removed from the artifact store."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from zenml.enums import ExecutionStatus

from zenml_vertex.container.finish_note import OutOfReach, leave_note
from zenml_vertex.job.identity import Attempt
from zenml_vertex.steps import leftover_notes
from zenml_vertex.steps.leftover_notes import find_ended_runs, remove_notes

ENDED, GOES_ON, OF_ANOTHER_SERVER = (UUID(int=number) for number in (1, 2, 3))


@dataclass
class Store:
    """An artifact store in a folder."""

    path: str
    config: Any = field(default_factory=lambda: SimpleNamespace(is_local=False))

    def listdir(self, path: str) -> list[str]:
        return [each.name for each in Path(path).iterdir()]

    def makedirs(self, path: str) -> None:
        Path(path).mkdir(parents=True, exist_ok=True)

    def open(self, path: str, mode: str) -> Any:
        return Path(path).open(mode)

    def remove(self, path: str) -> None:
        Path(path).unlink()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The active stack's store, with two notes of each of three runs, and rubbish."""
    store: Any = Store(str(tmp_path))
    for run_id in (ENDED, GOES_ON, OF_ANOTHER_SERVER):
        for step_run_id in "ab":
            leave_note(store, str(run_id), Attempt(step_run_id))
    (tmp_path / "zenml-vertex/finished/rubbish").mkdir()

    def list_runs(*, id: str, project: str, size: int) -> Any:  # noqa: A002 - as ZenML has it
        assert size >= id.count("-0000-")
        known = {ENDED: (1, ExecutionStatus.FAILED), GOES_ON: (2, ExecutionStatus.RUNNING)}
        return SimpleNamespace(
            items=[
                SimpleNamespace(id=run_id, status=status)
                for run_id, (of_project, status) in known.items()
                if of_project == project and str(run_id) in id
            ]
        )

    client = SimpleNamespace(
        active_stack=SimpleNamespace(artifact_store=store),
        list_projects=lambda size: SimpleNamespace(
            items=[SimpleNamespace(id=number) for number in (1, 2)][:size]
        ),
        list_pipeline_runs=list_runs,
    )
    monkeypatch.setattr(leftover_notes, "Client", lambda: client)
    monkeypatch.setattr(leftover_notes, "find_artifact_store", lambda _: store)
    return store


def _count(store: Store) -> int:
    return sum(path.is_file() for path in Path(store.path).rglob("*"))


def test_notes_of_ended_runs_of_this_server_are_removed(store: Store) -> None:
    """Nobody waits for their steps; other servers, whose runs are not known, use the bucket too."""
    assert find_ended_runs() == [str(ENDED)]
    assert [remove_notes(str(ENDED)), remove_notes(str(ENDED))] == [2, 0]
    assert _count(store) == 4


def test_a_run_that_left_no_notes_has_none(store: Store) -> None:
    """Its store has no such folder."""
    assert remove_notes(str(UUID(int=9))) == 0
    store.path += "/elsewhere"
    assert find_ended_runs() == []


def test_a_store_that_containers_do_not_write_to_is_left_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A local store is another one in each container; that of a deleted stack is not known."""
    store.config.is_local = True
    assert (find_ended_runs(), remove_notes(str(ENDED))) == ([], 0)

    def miss(_: str) -> None:
        raise OutOfReach

    monkeypatch.setattr(leftover_notes, "find_artifact_store", miss)
    assert remove_notes(str(ENDED)) == 0
    assert _count(store) == 6
