"""Where notes are looked for: in the artifact store of the run, whichever stack is active."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from zenml.enums import StackComponentType

from zenml_vertex.container.finish_note import OutOfReach
from zenml_vertex.steps import run_stores
from zenml_vertex.steps.run_stores import find_artifact_store

RUN = uuid4()


def _stack(store: str) -> Any:
    components = {StackComponentType.ARTIFACT_STORE: [store]}
    return SimpleNamespace(id=uuid4(), components=components)


ACTIVE, OTHER = _stack("active store"), _stack("other store")


@pytest.fixture
def set_stack(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Say on which stack the run is, while another shell's stack is active."""

    def set_stack(of_run: Any) -> None:
        def get_run(run_id: UUID) -> Any:
            assert run_id == RUN
            return SimpleNamespace(stack=of_run)

        client = SimpleNamespace(
            get_pipeline_run=get_run,
            active_stack_model=ACTIVE,
            active_stack=SimpleNamespace(artifact_store="active store, as ZenML has it"),
        )
        monkeypatch.setattr(run_stores, "Client", lambda: client)
        loaded = SimpleNamespace(from_model=lambda model: f"{model}, loaded")
        monkeypatch.setattr(run_stores, "StackComponent", loaded)

    return set_stack


@pytest.mark.parametrize(
    ("of_run", "found"),
    [(ACTIVE, "active store, as ZenML has it"), (OTHER, "other store, loaded")],
)
def test_the_store_is_that_of_the_run(set_stack: Any, of_run: Any, found: str) -> None:
    """`jobs attach` with another active stack looks where the run's containers leave notes."""
    set_stack(of_run)
    assert str(find_artifact_store(str(RUN))) == found


def test_a_run_whose_stack_was_deleted_has_no_store(set_stack: Any) -> None:
    """The ZenML server is asked instead, and no other store is looked into."""
    set_stack(None)
    with pytest.raises(OutOfReach):
        find_artifact_store(str(RUN))
