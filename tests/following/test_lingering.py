"""Jobs that keep running although their step has finished or was told to stop."""

import logging
from collections import Counter

import pytest

from tests.support.fakes import InMemoryJobs
from tests.support.worlds import START, STEP, Watched
from zenml_vertex.errors import PermissionDenied, RequestRejected, ServiceUnavailable
from zenml_vertex.following.follower import STOP_PATIENCE_SECONDS
from zenml_vertex.following.protocols import JobList


@pytest.fixture
def world() -> Watched:
    """A watcher without jobs, whose step runs are running."""
    return Watched()


def test_a_lingering_job_is_cancelled_after_its_grace_period(
    world: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that keeps running after its step has reported is cancelled after the grace period."""
    world.report(at=START)
    follower = world.follow("JOB_STATE_RUNNING")
    assert world.watcher.wait(STEP) == "completed"
    world.watcher.forget(STEP)
    world.watcher.linger(follower, 300)
    while world.watcher.has_lingering:
        assert world.elapsed < 400
        world.watcher.tidy()
        world.clock.sleep(1)
    assert world.elapsed >= 300
    assert world.jobs.cancelled == [str(follower.name)]
    assert "still running after the step finished" in caplog.text


def test_a_job_that_ends_within_its_grace_period_is_not_cancelled(world: Watched) -> None:
    """A job that Vertex AI tears down within the grace period is not cancelled."""
    world.report(at=START)
    follower = world.follow(*["JOB_STATE_RUNNING"] * 3, "JOB_STATE_SUCCEEDED")
    assert world.watcher.wait(STEP) == "completed"
    world.watcher.forget(STEP)
    world.watcher.linger(follower, 300)
    while world.watcher.has_lingering:
        world.watcher.tidy()
        world.clock.sleep(1)
    assert world.elapsed < 150
    assert world.jobs.cancelled == []


def _linger(world: Watched, *script: str, seconds: float = 300) -> str:
    """Let a job outlive its step, and poll until nothing lingers; return the job's name."""
    world.report(at=START)
    follower = world.follow(*script)
    assert world.watcher.wait(STEP) == "completed"
    world.watcher.forget(STEP)
    world.watcher.linger(follower, seconds)
    while world.watcher.has_lingering:
        assert world.elapsed < 3600
        world.watcher.tidy()
        world.clock.sleep(1)
    return str(follower.name)


def test_a_failed_cancel_of_a_lingering_job_is_retried(
    world: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """A cancel that fails for some minutes is retried until it works, with one line in the log."""

    class Failing(InMemoryJobs):
        def cancel(self, name: str) -> None:
            if world.elapsed < 600:
                raise ServiceUnavailable("Bad Gateway", code=502)
            super().cancel(name)

    world.jobs = Failing()
    world.watcher = world.new_watcher()
    name = _linger(world, "JOB_STATE_RUNNING")
    assert world.jobs.cancelled == [name]
    assert caplog.text.count("Bad Gateway") == 1


@pytest.mark.parametrize(
    "refusal",
    [
        ServiceUnavailable("Bad Gateway", code=502),
        PermissionDenied("not allowed", code=403),
        RequestRejected("cannot be cancelled in this state", code=400),
    ],
)
def test_a_lingering_job_that_cannot_be_cancelled_is_given_up(
    world: Watched, refusal: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """When the cancel of a lingering job keeps failing, the user is told how to cancel the job."""

    class Refusing(InMemoryJobs):
        def cancel(self, name: str) -> None:
            del name
            raise refusal

    world.jobs = Refusing()
    world.watcher = world.new_watcher()
    _linger(world, "JOB_STATE_RUNNING")
    assert "gcloud ai custom-jobs cancel" in caplog.text


def test_a_lingering_job_that_cannot_be_listed_is_cancelled_too(world: Watched) -> None:
    """Without permission to list, a lingering job is read by name.

    It is cancelled after its grace period, unless it ends by itself.
    """

    class Unlisted(InMemoryJobs):
        def list(self, *_: object, **__: object) -> JobList:
            raise PermissionDenied("list is not allowed", code=403)

    world.jobs = Unlisted()
    world.watcher = world.new_watcher()
    name = _linger(world, "JOB_STATE_RUNNING")
    assert world.jobs.cancelled == [name]

    world = Watched(jobs=Unlisted())
    _linger(world, "JOB_STATE_RUNNING", "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED")
    assert world.elapsed < 300
    assert world.jobs.cancelled == []


def test_a_cancelled_job_is_polled_until_it_has_ended(
    world: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """The log reports the end of a cancelled job, although nothing waits for it."""
    caplog.set_level(logging.INFO)
    follower = world.follow("JOB_STATE_RUNNING")
    world.watcher.forget(STEP)
    world.jobs.cancel(str(follower.name))
    world.watcher.linger(follower, 120, is_cancelled=True)
    while world.watcher.has_lingering:
        assert world.elapsed < 120
        world.watcher.tidy()
        world.clock.sleep(1)
    assert world.jobs.cancelled == [str(follower.name)]
    assert "Step `train` (job 1): CANCELLED." in caplog.text


@pytest.mark.parametrize("status", ["stopping", "cancelling"])
def test_a_step_that_does_not_stop_when_told_to_is_cancelled(
    world: Watched, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A step that was stopped on the ZenML server is cancelled if its container does not exit."""
    world.report(at=START + 60, status=status)
    follower = world.follow("JOB_STATE_RUNNING")
    assert world.watcher.wait(STEP) == "stopped"
    assert set(world.jobs.cancelled) == {str(follower.name)}
    assert STOP_PATIENCE_SECONDS <= world.elapsed - 60 < STOP_PATIENCE_SECONDS + 120
    assert caplog.text.count("was told to stop and has not") == 1


def test_a_step_that_stops_when_told_to_is_not_cancelled(world: Watched) -> None:
    """A step that stops by itself, as its heartbeat told it to, is stopped without a cancel."""
    world.report(at=START + 60, status="stopping")
    world.report(at=START + 120, status="stopped")
    world.follow("JOB_STATE_RUNNING")
    assert world.watcher.wait(STEP) == "stopped"
    assert world.jobs.cancelled == []


def test_in_an_outage_every_step_gets_its_cancel(
    world: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """Failing cancels do not hold up ZenML's dynamic runner, and each of them is retried."""
    tries: Counter[str] = Counter()

    class Failing(InMemoryJobs):
        def cancel(self, name: str) -> None:
            tries[name] += 1
            if world.elapsed < 600:
                raise ServiceUnavailable("Bad Gateway", code=502)
            super().cancel(name)

    world.jobs = Failing()
    world.watcher = world.new_watcher()
    steps = ("one", "two", "three")
    names = {str(world.follow("JOB_STATE_RUNNING", step_run_id=step).name): step for step in steps}
    for step in steps:
        world.watcher.cancel(step)
    assert world.elapsed == 0
    assert dict(tries) == dict.fromkeys(names, 1)
    assert [world.watcher.wait(step) for step in steps] == ["stopped"] * 3
    assert 600 < world.elapsed < 600 + STOP_PATIENCE_SECONDS + 60
    assert set(world.jobs.cancelled) == set(names)
    # The pauses grow with the time that the cancel has failed.
    assert max(tries.values()) <= 12
    assert caplog.text.count("Bad Gateway") == 3


def test_a_cancel_that_is_accepted_at_last_is_told_so(
    world: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """A cancel that ZenML's runner asks for is not one of a step that was told to stop in vain."""

    class Failing(InMemoryJobs):
        def cancel(self, name: str) -> None:
            if world.elapsed < 2:
                raise ServiceUnavailable("Bad Gateway", code=502)
            super().cancel(name)

    caplog.set_level(logging.INFO)
    world.jobs = Failing()
    world.watcher = world.new_watcher()
    world.follow("JOB_STATE_RUNNING")
    world.watcher.cancel(STEP)
    assert world.watcher.wait(STEP) == "stopped"
    assert caplog.text.count("Step `train` (job 1): Vertex AI has accepted the cancel.") == 1
    assert "was told to stop and has not" not in caplog.text


def test_a_ctrl_c_in_a_polls_cancel_says_nothing_of_the_job_yet(
    world: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever waits for the step cancels its job then, and says what becomes of it."""

    class Interrupted(InMemoryJobs):
        def cancel(self, name: str) -> None:
            raise KeyboardInterrupt(name)

    world.report(at=START + 60, status="stopping")
    world.jobs = Interrupted()
    world.watcher = world.new_watcher()
    world.follow("JOB_STATE_RUNNING")
    with pytest.raises(KeyboardInterrupt):
        world.watcher.wait(STEP)
    assert "cost money" not in caplog.text
    assert "not waiting any longer" not in caplog.text


def test_a_refused_cancel_is_raised_at_once(world: Watched) -> None:
    """A refused cancel is not retried; it is raised, so that ZenML shows the reason."""

    class Refusing(InMemoryJobs):
        def cancel(self, name: str) -> None:
            raise RequestRejected(f"{name} cannot be cancelled in this state", code=400)

    world.jobs = Refusing()
    world.watcher = world.new_watcher()
    world.follow("JOB_STATE_RUNNING")
    with pytest.raises(RequestRejected):
        world.watcher.cancel(STEP)
