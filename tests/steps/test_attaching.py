"""Following in place of a client that is gone: servers that fail, and leaving again."""

from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import pytest

from tests.support.fakes import InMemoryStepRuns, ManualClock
from tests.support.worlds import STEP, Watched
from zenml_vertex.errors import ServerUnreachable
from zenml_vertex.following.clients import Following, Lease, find_following, read_time
from zenml_vertex.following.metadata import CLIENT_KEY, PARENT_KEY
from zenml_vertex.following.watcher import Watcher
from zenml_vertex.steps import attaching
from zenml_vertex.steps.attaching import Attachment
from zenml_vertex.steps.open_steps import OpenStep, _find_quiet

if TYPE_CHECKING:
    from zenml.models import PipelineRunResponse, StepRunResponse

    from zenml_vertex.steps.operator import VertexStepOperator


class World:
    """A step whose client is gone, and an operator that follows it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.watched = Watched()
        self.closed: list[str] = []
        self.outages = [ServerUnreachable("down")] * 3
        step_run = SimpleNamespace(id=STEP, name="train")
        self.step = OpenStep(
            cast("StepRunResponse", step_run),
            cast("PipelineRunResponse", SimpleNamespace(id=UUID(int=1))),
            Following(),
        )
        operator = SimpleNamespace(step_runs=self.step_runs, take_over=self._take_over)
        self.attachment = Attachment(cast("VertexStepOperator", operator), self.watched.clock)
        monkeypatch.setattr(attaching, "close", self._close)

    @property
    def step_runs(self) -> InMemoryStepRuns:
        """The ZenML server."""
        return self.watched.step_runs

    def read_lease(self) -> Lease:
        """Who follows the step."""
        lease = Lease.read(self.step_runs.metadata[STEP][CLIENT_KEY])
        assert lease
        return lease

    def _take_over(self, step_run: Any) -> Watcher:
        assert step_run.id == STEP
        if self.outages:
            raise self.outages.pop()
        return self.watched.watcher

    def _close(self, _: object, step: OpenStep, status: str) -> str:
        self.closed.append(step.step_run_id)
        return status


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A step whose client is gone."""
    return World(monkeypatch)


def test_a_server_that_is_down_is_waited_out(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Who attaches while a server restarts does not attach again by hand; one line tells of it."""
    world.watched.follow("JOB_STATE_RUNNING", "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED",
                         reports_itself=False)  # fmt: skip
    ((step, status),) = world.attachment.follow([world.step])
    assert (step, status, world.closed) == (world.step, "completed", [STEP])
    assert [line for line in caplog.messages if "down" in line] == ["down Trying again."]
    assert not world.read_lease().is_detached


def test_what_is_left_goes_on(world: World) -> None:
    """A Ctrl-C in `attach` leaves the job: the end of the process must not cancel it."""

    class Interrupting(ManualClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.now > 1100.0:
                raise KeyboardInterrupt

    world.attachment._clock = world.watched.clock = Interrupting()
    world.watched.watcher.clock = world.watched.clock
    world.watched.follow("JOB_STATE_RUNNING")
    with pytest.raises(KeyboardInterrupt):
        list(world.attachment.follow([world.step]))
    assert world.attachment.leave() == [world.step]
    assert world.read_lease().is_detached
    assert (world.watched.watcher.left, world.watched.jobs.cancelled) == ([], [])


def test_a_step_that_has_overwritten_its_sign_of_life_is_left_to_nobody(world: World) -> None:
    """One line in a step, and `attach` and `settle` found nothing to do for good."""
    following = find_following({CLIENT_KEY: "x", PARENT_KEY: "projects/1"}, {}, read_time())
    assert not replace(world.step, following=following).is_awaited


def test_the_client_of_a_static_run_is_busy_only_with_steps() -> None:
    """The code of a dynamic pipeline lasts as long as it likes between two steps."""
    ends = [datetime(2026, 3, 1, hour) for hour in (1, 3, 2)]  # noqa: DTZ001 - as ZenML has it
    steps: Any = [SimpleNamespace(end_time=end) for end in [*ends, None]]
    for snapshot, quiet in (
        (SimpleNamespace(is_dynamic=False), datetime(2026, 3, 1, 3, tzinfo=timezone.utc)),
        (SimpleNamespace(is_dynamic=True), None),
        (None, None),
    ):
        run = cast("PipelineRunResponse", SimpleNamespace(snapshot=snapshot))
        assert _find_quiet(run, steps) == quiet
