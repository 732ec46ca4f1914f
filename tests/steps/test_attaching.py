"""Following in place of a client that is gone: servers that fail, and leaving again."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import pytest

from tests.support.fakes import PARENT, InMemoryStepRuns, ManualClock
from tests.support.worlds import STEP, Watched
from zenml_vertex.clock import read_time
from zenml_vertex.errors import (
    ConfigurationError,
    CredentialsError,
    ServerUnreachable,
    StepRunNotFound,
    VertexStepOperatorError,
)
from zenml_vertex.following.clients import Following, Lease, find_bids, find_following
from zenml_vertex.following.metadata import CLIENT_KEY, PARENT_KEY
from zenml_vertex.following.submission import LISTED_AFTER_SECONDS
from zenml_vertex.following.watcher import Watcher
from zenml_vertex.steps import attaching, settling
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
        self.outages: list[Exception] = []
        # Steps that cannot be taken over, and those without a job.
        self.errors: dict[str, Exception] = {}
        self.unlisted: set[str] = set()
        # Why no step can be ended.
        self.unclosed: Exception | None = None
        self.step = self.open_step(STEP)
        self.operator = cast(
            "VertexStepOperator",
            SimpleNamespace(step_runs=self.step_runs, take_over=self._take_over),
        )
        self.attachment = Attachment(self.operator, self.watched.clock)
        for module in (attaching, settling):
            monkeypatch.setattr(module, "close", self._close)
            monkeypatch.setattr(module, "fail_without_job", lambda *_: "failed")

    @property
    def step_runs(self) -> InMemoryStepRuns:
        """The ZenML server."""
        return self.watched.step_runs

    def read_lease(self) -> Lease:
        """Who follows the step."""
        lease = Lease.read(self.step_runs.metadata[STEP][CLIENT_KEY])
        assert lease
        return lease

    def open_step(self, step_run_id: str, signed: Lease | None = None) -> OpenStep:
        """A step that was about to get a job."""
        metadata: dict[str, Any] = {PARENT_KEY: PARENT}
        if signed:
            metadata[CLIENT_KEY] = signed.to_metadata()
        step_run = SimpleNamespace(id=step_run_id, name="train", run_metadata=metadata)
        run = SimpleNamespace(id=UUID(int=1))
        return OpenStep(
            cast("StepRunResponse", step_run), cast("PipelineRunResponse", run), Following()
        )

    def settle(self, *steps: OpenStep) -> dict[str, str | Exception | None]:
        """Settle steps: the result of each."""
        settled = settling.settle(self.operator, self.watched.clock, steps)
        return {step.step_run_id: result for step, result in settled}

    def attach(self, *steps: OpenStep) -> dict[str, str | Exception]:
        """Attach to steps: the result of each."""
        taken = self.attachment.claim([*steps])
        assert [winner for _, winner in taken] == [None] * len(steps)
        return {step.step_run_id: result for step, result in self.attachment.follow([*steps])}

    def _take_over(self, step_run: Any) -> Watcher | None:
        if self.outages:
            raise self.outages.pop()
        if error := self.errors.get(step_run.id):
            raise error
        return None if step_run.id in self.unlisted else self.watched.watcher

    def _close(self, _: object, step: OpenStep, status: str) -> str:
        if self.unclosed:
            raise self.unclosed
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
    world.outages = [ServerUnreachable("down")] * 3
    world.watched.follow("JOB_STATE_RUNNING", "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED",
                         reports_itself=False)  # fmt: skip
    ((step, status),) = world.attachment.follow([world.step])
    assert (step, status, world.closed) == (world.step, "completed", [STEP])
    assert [line for line in caplog.messages if "down" in line] == ["down Trying again."]


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
    assert world.attachment.claim([world.step]) == [(world.step, None)]
    with pytest.raises(KeyboardInterrupt):
        list(world.attachment.follow([world.step]))
    assert world.attachment.leave() == [world.step]
    assert world.read_lease().is_detached
    assert find_following(world.step_runs.metadata[STEP], {}, read_time()).is_detached
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


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError(["`region` is `x/y`, which is not a region."]),
        CredentialsError("There is no file `/keys/train.json`."),
        StepRunNotFound("It was deleted."),
    ],
    ids=["settings", "credentials", "deleted"],
)
def test_a_step_that_cannot_be_followed_keeps_no_other_from_it(
    world: World, error: VertexStepOperatorError
) -> None:
    """One such step ended `attach --all` for everybody, or was tried for ever.

    Nor does it look followed, and the jobs of the others are left alone.
    """
    world.errors = {"bad": error}
    world.watched.follow("JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED", reports_itself=False)
    bad = world.open_step("bad")
    assert world.attach(bad, world.step) == {"bad": error, STEP: "completed"}
    assert find_bids(world.step_runs.metadata["bad"]) == []
    assert world.settle(bad, world.step) == {"bad": error, STEP: "completed"}


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(StepRunNotFound("It was deleted."), 15.0), (ServerUnreachable("down"), 2 * 60 * 60.0)],
    ids=["deleted", "server"],
)
def test_a_step_whose_end_cannot_be_told_is_given_up_at_last(
    world: World, error: VertexStepOperatorError, seconds: float
) -> None:
    """Who attaches does not wait for ever for a step run, or a server, that does not come back."""
    world.watched.follow("JOB_STATE_SUCCEEDED", reports_itself=False)
    world.unclosed = error
    assert world.attach(world.step) == {STEP: error}
    assert seconds <= world.watched.elapsed < seconds + 60.0


@pytest.mark.parametrize("number", [1, 5])
def test_jobs_that_may_not_be_listed_yet_are_waited_for_once(world: World, number: int) -> None:
    """Each step that was killed before its create cost a minute, one after the other."""
    world.unlisted = {f"step {n}" for n in range(number)}
    steps = [world.open_step(name) for name in sorted(world.unlisted)]
    assert world.settle(*steps) == dict.fromkeys(world.unlisted, "failed")
    assert world.watched.elapsed == pytest.approx(LISTED_AFTER_SECONDS, abs=0.1)
    assert world.attach(*steps) == dict.fromkeys(world.unlisted, "failed")
    assert 2 * LISTED_AFTER_SECONDS <= world.watched.elapsed < 2 * LISTED_AFTER_SECONDS + 15.0


def test_others_are_followed_while_a_job_may_not_be_listed_yet(world: World) -> None:
    """A step whose job had ended was not noticed before the others had been searched for."""
    world.unlisted = {"unlisted"}
    world.watched.follow("JOB_STATE_SUCCEEDED", reports_itself=False)
    followed = world.attachment.follow([world.open_step("unlisted"), world.step])
    assert next(followed) == (world.step, "completed")
    assert world.watched.elapsed < 10.0
    assert [status for _, status in followed] == ["failed"]


@pytest.mark.parametrize(
    ("minutes", "is_here", "seconds"),
    [(0, True, LISTED_AFTER_SECONDS), (2, True, 30.0), (3, True, 0.0), (3, False, 60.0),
     (13, False, 0.0), (-5, True, LISTED_AFTER_SECONDS)],
    ids=["just now", "a moment ago", "before", "by another clock", "elsewhere, before", "ahead"],
)  # fmt: skip
def test_a_job_that_would_be_listed_by_now_is_not_waited_for(
    world: World, minutes: float, is_here: bool, seconds: float
) -> None:
    """`settle` waited for a real minute each time, however long ago the client was killed.

    The client has signed at most half a minute before it asked for the job, by its own clock.
    """
    world.unlisted = {"unlisted"}
    lease = Lease.sign(read_time() - timedelta(minutes=minutes))
    if not is_here:
        lease = replace(lease, process=replace(lease.process, table="of another machine"))
    step = world.open_step("unlisted", lease)
    for follow in (world.settle, world.attach):
        begun = world.watched.clock.now
        assert follow(step) == {"unlisted": "failed"}
        # A bid takes two seconds.
        assert world.watched.clock.now - begun == pytest.approx(seconds, abs=4.0)


def test_a_step_that_another_process_takes_is_left_to_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes second in the same second is told who follows."""
    rival = Lease.sign(read_time())
    monkeypatch.setattr(attaching, "find_winners", lambda *_: {"theirs": rival})
    ours, theirs = world.open_step("ours"), world.open_step("theirs")
    assert world.attachment.claim([ours, theirs]) == [(ours, None), (theirs, rival)]
