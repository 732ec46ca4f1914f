"""How often jobs are polled, and who waits for a poll."""

import threading
from contextvars import ContextVar

import pytest

from tests.support.worlds import RUN, STEP, Watched
from zenml_vertex.errors import (
    JobNotFound,
)
from zenml_vertex.following.follower import JobFollower
from zenml_vertex.following.progress import StepLog
from zenml_vertex.following.protocols import JobList
from zenml_vertex.job.identity import RUN_LABEL, STEP_RUN_LABEL, Attempt, JobName


@pytest.fixture
def world() -> Watched:
    """A watcher without jobs, whose step runs are running."""
    return Watched()


def test_a_status_is_answered_without_a_call_unless_a_poll_is_due(world: Watched) -> None:
    """Asking for the statuses of a thousand steps in turn makes no call unless a poll is due."""
    for number in range(1000):
        world.follow("JOB_STATE_RUNNING", step_run_id=f"step-{number}")
    for _ in range(2):
        for number in range(1000):
            assert world.watcher.poll(f"step-{number}") == "running"
    assert (world.jobs.lists, world.jobs.pages, world.jobs.reads) == (1, 10, 0)
    assert world.step_runs.questions == 1


@pytest.mark.parametrize(("steps", "most"), [(1, 12), (10, 12), (100, 12), (1000, 120)])
def test_reads_a_minute_do_not_grow_with_the_steps(world: Watched, steps: int, most: int) -> None:
    """Watching takes 12 lists a minute, with 12 further pages for each further hundred jobs."""
    for number in range(steps):
        world.follow("JOB_STATE_RUNNING", step_run_id=f"step-{number}")
    while world.elapsed < 60:
        world.watcher.poll("step-0")
        world.clock.sleep(1)
    assert 0 < world.jobs.pages + world.jobs.reads <= most
    assert world.step_runs.questions <= 60


def test_a_process_among_many_takes_its_share(world: Watched) -> None:
    """Processes with one step each learn from the list how many they are, and share the quota."""
    for number in range(1000):
        labels = {RUN_LABEL: RUN, STEP_RUN_LABEL: f"step-{number}"}
        world.jobs.script("JOB_STATE_RUNNING", labels=labels)
    world.follow("JOB_STATE_RUNNING")
    while world.elapsed < 3600:
        world.watcher.poll(STEP)
        world.clock.sleep(1)
    reads_a_minute = (world.jobs.pages + world.jobs.reads) / 60
    assert 1000 * reads_a_minute < 600


def test_jobs_not_yet_followed_do_not_count_as_other_processes(world: Watched) -> None:
    """A restarted runner's own jobs do not count as others' before it follows them."""
    for number in range(200):
        labels = {RUN_LABEL: RUN, STEP_RUN_LABEL: f"step-{number}"}
        world.jobs.script("JOB_STATE_RUNNING", labels=labels)
    followers = [
        JobFollower(
            step=StepLog("train"),
            name=JobName.parse(name),
            attempt=Attempt(f"step-{number}"),
            run_id=RUN,
            reports_itself=True,
            step_runs=world.step_runs,
            clock=world.clock,
        )
        for number, name in enumerate(world.jobs.scripts)
    ]
    for follower in followers:
        world.watcher.follow(follower)
        world.watcher.poll(follower.step_run_id)
    assert world.jobs.lists == 1
    world.clock.sleep(5)
    assert {world.watcher.poll(f"step-{number}") for number in range(200)} == {"running"}
    assert world.jobs.lists == 2


def test_a_status_does_not_wait_for_a_slow_poll(world: Watched) -> None:
    """While one thread polls slowly, a status is answered with what is known."""
    for number in range(3):
        world.follow("JOB_STATE_RUNNING", step_run_id=f"step-{number}")
    answered = threading.Event()
    list_jobs = world.jobs.list

    def list_slowly(parent: str, job_filter: str, *, first_page_only: bool = False) -> JobList:
        assert answered.wait(60)
        return list_jobs(parent, job_filter, first_page_only=first_page_only)

    world.jobs.list = list_slowly  # type: ignore[method-assign]
    before = threading.active_count()
    for number in range(3):
        assert world.watcher.poll(f"step-{number}", patience=0.01) == "provisioning"
    assert threading.active_count() == before + 1
    answered.set()
    (poll,) = [each for each in threading.enumerate() if each.name == "zenml-vertex-poll"]
    poll.join(60)
    assert world.jobs.lists == 1
    assert world.watcher.poll("step-2", patience=0.01) == "running"


def test_a_quick_poll_is_waited_for(world: Watched) -> None:
    """A status is answered after a quick poll, which runs in the context of its caller."""
    asked_as = ContextVar("asked_as", default="nobody")
    seen: list[str] = []
    world.jobs.on_read = lambda _: seen.append(asked_as.get())
    world.follow(JobNotFound("not yet", code=404), "JOB_STATE_RUNNING")
    asked_as.set("the runner")
    world.watcher.poll(STEP, patience=60)
    world.clock.sleep(5)
    assert world.watcher.poll(STEP, patience=60) == "running"
    assert seen == ["the runner"]


def test_jobs_missing_from_lists_are_read_in_turn(world: Watched) -> None:
    """When fifty jobs end at once, each is read in time, and no round reads them all."""
    for number in range(50):
        world.follow(
            "JOB_STATE_RUNNING",
            "JOB_STATE_SUCCEEDED",
            step_run_id=f"step-{number}",
            reports_itself=False,
        )
    most = 0
    for _ in range(10):
        before = world.jobs.reads
        world.watcher.poll("step-49")
        most = max(most, world.jobs.reads - before)
        world.clock.sleep(60)
    statuses = {world.watcher.poll(f"step-{number}") for number in range(50)}
    assert statuses == {"completed"}
    assert most <= 20
