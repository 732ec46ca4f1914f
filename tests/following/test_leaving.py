"""Steps that have not ended when their process does."""

import threading

import pytest

from tests.support.worlds import Watched
from zenml_vertex.errors import ServerUnreachable, ServiceUnavailable
from zenml_vertex.following import leaving
from zenml_vertex.following.brief import TooSlow, call_briefly
from zenml_vertex.following.follower import JobFollower


def _leave(world: Watched, *step_run_ids: str) -> list[JobFollower]:
    left = [world.follow("JOB_STATE_RUNNING", step_run_id=name) for name in step_run_ids]
    for follower in left:
        follower.ends_with_process = follower.step_run_id.startswith("ours")
    leaving.end_steps_left([(world.jobs, follower) for follower in left], "Ctrl-C")
    return left


def test_the_steps_of_a_process_end_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """What a process submitted is cancelled and stopped when it ends; what it only saw is named."""
    world = Watched()
    ours, also_ours, other = _leave(world, "ours", "ours too", "another's")
    assert sorted(world.jobs.cancelled) == [str(ours.name), str(also_ours.name)]
    assert world.step_runs.ended == {"ours": "stopped", "ours too": "stopped"}
    assert world.step_runs.messages["ours"] == (
        "The step was interrupted (Ctrl-C): the process that followed it has ended."
    )
    assert "1 Vertex AI job that it followed may go on" in caplog.messages[-1]
    assert other.name.build_command("cancel") in caplog.messages[-1]


def test_a_job_that_cannot_be_cancelled_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """Its step run is stopped all the same, and the last line has the command for the job."""
    world = Watched()

    def refuse(name: str) -> None:
        raise ServiceUnavailable(name)

    world.jobs.cancel = refuse  # type: ignore[method-assign]
    (ours,) = _leave(world, "ours")
    assert world.step_runs.ended == {"ours": "stopped"}
    assert ours.name.build_command("cancel") in caplog.messages[-1]


def test_servers_that_hang_do_not_keep_a_process(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process ends soon though nothing answers, and says what it could not see to."""
    monkeypatch.setattr(leaving, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(leaving, "LOOK_SECONDS", 0.05)
    world, closed = Watched(), threading.Event()

    def hang(*_: str) -> str:
        closed.wait(60)
        raise ServiceUnavailable("closed")

    world.jobs.cancel = hang  # type: ignore[method-assign, assignment]
    world.jobs.get = hang  # type: ignore[method-assign, assignment]
    world.step_runs.stop = hang  # type: ignore[method-assign, assignment]
    world.step_runs.status = hang  # type: ignore[method-assign, assignment]
    try:
        (ours,) = _leave(world, "ours")
    finally:
        closed.set()
    assert ours.name.build_command("cancel") in caplog.messages[-2]
    assert "may go on showing as running: Step `train`." in caplog.messages[-1]
    assert caplog.messages[-1].endswith(f"zenml-vertex jobs settle {ours.run_id}")


@pytest.mark.parametrize("state", ["JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED"])
def test_what_was_done_before_another_ctrl_c_is_not_named(
    state: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third Ctrl-C had the last words call two jobs a cost that had been cancelled.

    Only the answers were missing: whoever looks once more sees what came of the requests. What
    goes on all the same is named.
    """
    world = Watched()

    # The answers to both requests of each step are lost.
    def lose_cancel(name: str) -> None:
        raise ServiceUnavailable(name)

    def lose_stop(step_run_id: str, _: str) -> str:
        raise ServerUnreachable(step_run_id)

    monkeypatch.setattr(world.jobs, "cancel", lose_cancel)
    monkeypatch.setattr(world.step_runs, "stop", lose_stop)
    done = world.follow(state, step_run_id="ours")
    lost = world.follow("JOB_STATE_RUNNING", step_run_id="ours too")
    for follower in (done, lost):
        follower.ends_with_process = True
    world.step_runs.ended["ours"] = "stopped"

    leaving.end_steps_left([(world.jobs, done), (world.jobs, lost)])

    jobs, steps = caplog.messages[-2:]
    assert lost.name.build_command("cancel") in jobs
    assert done.name.build_command("cancel") not in jobs
    assert "as running: Step `train`. Once" in steps


def test_only_so_many_jobs_are_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    """A process that followed a thousand jobs does not use up the quota when it ends."""
    world, looks = Watched(), []
    get = world.jobs.get

    def count(name: str) -> dict[str, object]:
        looks.append(name)
        return get(name)

    world.jobs.get = count  # type: ignore[method-assign]
    _leave(world, *(f"another's {number}" for number in range(60)))
    assert len(looks) == 50
    assert "60 Vertex AI jobs" in caplog.messages[-1]


def test_a_call_is_waited_for_briefly() -> None:
    """A call that returns or raises does so where it is waited for, and one that hangs is left."""
    closed = threading.Event()
    assert call_briefly(lambda: 1, 60) == 1
    with pytest.raises(KeyError):
        call_briefly(lambda: {0: 1}[2], 60)
    try:
        with pytest.raises(TooSlow):
            call_briefly(lambda: closed.wait(60), 0.01)
    finally:
        closed.set()
