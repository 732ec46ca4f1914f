"""Which step runs `attach` and `settle` take over, and which they leave alone."""

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import pytest
from zenml.enums import ExecutionStatus, StackComponentType

from zenml_vertex.cli.jobs.ends import finish_left_runs, finish_runs
from zenml_vertex.clock import read_time
from zenml_vertex.errors import StepRunNotFound
from zenml_vertex.following.clients import Following
from zenml_vertex.following.metadata import BUILTIN_JOB_NAME_KEY, PARENT_KEY
from zenml_vertex.steps import open_steps, records
from zenml_vertex.steps.open_steps import UNSIGNED, OpenStep

if TYPE_CHECKING:
    from zenml.models import PipelineRunResponse, StepRunResponse

SUBMITTED = {PARENT_KEY: "projects/p/locations/r"}


def _run(*operators: tuple[str, str]) -> "PipelineRunResponse":
    """A run on a stack with step operators: their names and flavors."""
    found = [SimpleNamespace(name=name, flavor_name=flavor) for name, flavor in operators]
    stack = SimpleNamespace(components={StackComponentType.STEP_OPERATOR: found})
    return cast("PipelineRunResponse", SimpleNamespace(stack=stack))


def _step(
    step_operator: object = True,
    metadata: dict[str, Any] | None = None,
    created: datetime | None = None,
    status: str = "running",
) -> "StepRunResponse":
    step = SimpleNamespace(
        config=SimpleNamespace(step_operator=step_operator),
        run_metadata=metadata or {},
        created=created,
        status=ExecutionStatus(status),
    )
    return cast("StepRunResponse", step)


def _is_ours(step: "StepRunResponse", run: "PipelineRunResponse") -> bool:
    return open_steps.is_ours(step, run, "vertex")


@pytest.mark.parametrize("metadata", [{}, SUBMITTED], ids=["unsigned", "signed by the step"])
def test_a_step_of_another_flavor_is_left_alone(metadata: dict[str, Any]) -> None:
    """`jobs settle RUN` failed steps that ran on Kubernetes, and the command's operator knew not.

    The stack of the run decides, and not that the active one's step operator has the name.
    """
    elsewhere = _run(("vertex", "kubernetes"))
    both = _run(("pods", "kubernetes"), ("vertex", "vertex"))
    for step_operator, run in ((True, elsewhere), ("vertex", elsewhere), (True, both)):
        assert not _is_ours(_step(step_operator, metadata), run)
    assert _is_ours(_step("vertex", metadata), both)
    default: object = True
    assert _is_ours(_step(default, metadata), _run(("another", "vertex")))
    assert not _is_ours(_step(None, metadata), both)


def test_a_step_whose_operator_has_left_the_stack_is_known_by_its_metadata() -> None:
    """A job can be taken over after the stack was changed, or deleted."""
    deleted = cast("PipelineRunResponse", SimpleNamespace(stack=None))
    for run in (deleted, _run(("other", "kubernetes"))):
        assert _is_ours(_step("vertex", SUBMITTED), run)
        assert not _is_ours(_step("vertex"), run)


@pytest.mark.parametrize(
    ("step", "is_awaited"),
    [({}, False), ({"status": "queued"}, True),
     ({"metadata": {BUILTIN_JOB_NAME_KEY: "projects/p"}}, True), ({"metadata": SUBMITTED}, True)],
    ids=["killed before it signed", "in a resource pool's queue", "built-in", "earlier version"],
)  # fmt: skip
def test_who_has_signed_nothing_may_live(step: dict[str, Any], is_awaited: bool) -> None:
    """Only a client that has had time to submit, and left no trace, is taken for dead.

    ZenML's built-in operator signs nothing, and a step that waits for a resource pool has not
    been submitted yet.
    """
    created = read_time().astimezone(timezone.utc).replace(tzinfo=None) - UNSIGNED
    opened = _step(created=created - timedelta(seconds=1), **step)
    assert OpenStep(opened, _run(), Following()).is_awaited is is_awaited


def test_a_run_that_is_deleted_meanwhile_ends_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step run or run deleted between two requests ended `attach --all` with a `KeyError`."""

    def miss(*_: object, **__: object) -> None:
        raise KeyError("No such thing.")

    step = _step(metadata=SUBMITTED, status="running")
    step.__dict__.update(id=UUID(int=1), pipeline_run_id=UUID(int=2), name="train")
    store = SimpleNamespace(get_user=lambda: None)
    client = SimpleNamespace(
        get_pipeline_run=miss,
        get_run_step=miss,
        zen_store=store,
        list_projects=lambda size: SimpleNamespace(items=[SimpleNamespace(id=size)]),
    )
    for module in (open_steps, records):
        monkeypatch.setattr(module, "Client", lambda: client)
    monkeypatch.setattr(open_steps, "iter_step_runs", lambda **_: [step])
    assert list(open_steps.iter_open("vertex", None)) == []
    with pytest.raises(StepRunNotFound):
        open_steps.close(cast("Any", None), OpenStep(step, _run(), Following()), "failed")
    with pytest.raises(StepRunNotFound):
        open_steps.finish_run(UUID(int=2), is_abandoned=True)
    assert not finish_runs([str(UUID(int=2))]).are_told
    monkeypatch.setattr(open_steps, "iter_open_runs", lambda: [UUID(int=2)])
    assert not finish_left_runs(None, set())
