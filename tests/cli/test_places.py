"""What `zenml-vertex jobs` says while it looks in many places, and how much it asks."""

import logging
import threading
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import click
import pytest

from zenml_vertex.cli.jobs import places
from zenml_vertex.steps import records
from zenml_vertex.steps.records import ZenMLStepRuns


def test_a_slow_look_says_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was said for ten seconds and more; a quick look still says nothing."""
    said: list[str] = []
    heard = threading.Event()

    def echo(text: str, *, err: bool) -> None:
        assert err
        said.append(text)
        heard.set()

    monkeypatch.setattr(click, "echo", echo)
    with places.said_if_slow("Looking ...", seconds=3600):
        pass
    assert said == []
    with places.said_if_slow("Looking ...", seconds=0):
        assert heard.wait(30)
    assert said == ["Looking ..."]


def test_who_acts_is_said_once_for_all_regions(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line for each of forty regions hid the jobs; a warning is said each time."""
    log = logging.getLogger("zenml_vertex.cloud.connection")

    def connect(*, region: str = "europe-west4", **_: object) -> object:
        log.info("acting as trainer")
        log.warning("a warning")
        parent = f"projects/p/locations/{region}"
        return SimpleNamespace(parent=parent, identity=SimpleNamespace(project="p"))

    monkeypatch.setattr(
        "zenml_vertex.cli.step_operators.load_step_operator",
        lambda _: SimpleNamespace(connect=connect),
    )
    with caplog.at_level(logging.INFO, logger=log.name):
        found = places.Places(places.Where(regions=("us-central1", "us-east1")))
    assert len(found.connections) == 2
    assert caplog.messages.count("acting as trainer") == 1
    assert caplog.messages.count("a warning") == 3


def test_many_step_runs_are_found_in_few_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests for each job took ten seconds; what the lists lack is still asked for alone."""
    asked: list[str] = []
    status = SimpleNamespace(value="running")
    run: Any = SimpleNamespace(id=UUID(int=1), status=status, run_metadata={"of": "run"})
    step_runs: list[Any] = [
        SimpleNamespace(
            id=UUID(int=number), pipeline_run_id=run.id, status=status, end_time=None,
            run_metadata={"number": number},
        )
        for number in range(100, 180)
    ]  # fmt: skip

    def list_run_steps(*, id: str, **_: object) -> object:  # noqa: A002 - as ZenML has it
        asked.append("steps")
        return SimpleNamespace(items=[s for s in step_runs if str(s.id) in id], total_pages=1)

    def list_pipeline_runs(**_: object) -> object:
        asked.append("runs")
        return SimpleNamespace(items=[run])

    def find(_: ZenMLStepRuns, step_run_id: str) -> None:
        asked.append(step_run_id)

    client = SimpleNamespace(list_run_steps=list_run_steps, list_pipeline_runs=list_pipeline_runs)
    monkeypatch.setattr(records, "Client", lambda: client)
    monkeypatch.setattr(ZenMLStepRuns, "find", find)
    lacking = str(UUID(int=999))
    found = ZenMLStepRuns(UUID(int=2)).find_many([*(str(s.id) for s in step_runs), lacking])
    assert asked == ["steps", "runs", "steps", "runs", lacking]
    assert found[lacking] is None
    last = found[str(UUID(int=179))]
    assert last
    assert (last.metadata, last.run_metadata) == ({"number": 179}, {"of": "run"})
