"""Step runs of another ZenML project than the active one."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from zenml_vertex.clock import SystemClock
from zenml_vertex.following.intents import Intent
from zenml_vertex.steps import records
from zenml_vertex.steps.records import ZenMLStepRuns
from zenml_vertex.steps.step_jobs import open_submission

ACTIVE, OTHER = uuid4(), uuid4()


@pytest.mark.parametrize("project", [ACTIVE, OTHER], ids=["the active one", "another"])
def test_another_submission_is_seen_in_any_project(
    monkeypatch: pytest.MonkeyPatch, project: UUID
) -> None:
    """A list has the step runs of one project only, and the active one was asked.

    So two processes that submitted a step run of another one at once created two jobs.
    """
    step_run: Any = SimpleNamespace(
        id=uuid4(), name="train", version=1, pipeline_run_id=uuid4(), project_id=project
    )

    def list_run_steps(*, project: str | None = None, **_: object) -> object:
        is_found = str(project or ACTIVE) == str(step_run.project_id)
        return SimpleNamespace(items=[step_run] if is_found else [], total_pages=1)

    client = SimpleNamespace(
        list_run_steps=list_run_steps, create_run_metadata=lambda *_, **__: None
    )
    monkeypatch.setattr(records, "Client", lambda: client)
    connection: Any = SimpleNamespace(jobs=None, parent="projects/p/locations/r", has_console=False)
    step_runs = ZenMLStepRuns(uuid4())
    submission = open_submission(step_run, connection, step_runs, SystemClock())
    intent = Intent(str(step_run.id), connection.parent, submission.zenml_project)
    assert step_runs.announce(intent)
