"""Reads that fail: what one costs the others, and the step that it is about."""

import random

import pytest

from tests.support.fakes import InMemoryJobs
from tests.support.worlds import STEP, Watched
from zenml_vertex.errors import (
    PermissionDenied,
    QuotaExceeded,
    ServiceUnavailable,
    VertexStepOperatorError,
)
from zenml_vertex.following.protocols import JobList
from zenml_vertex.job.request import JobJson

DOWN = ServiceUnavailable("Vertex AI gave no answer.")


class UnreliableJobs(InMemoryJobs):
    """Vertex AI in memory, of whose answers a share is lost, the same ones each time."""

    def __init__(self, share: float, error: VertexStepOperatorError = DOWN) -> None:
        super().__init__()
        self.calls = 0
        self._share = share
        self._error = error
        self._rng = random.Random(7)

    def get(self, name: str) -> JobJson:
        self._fail()
        return super().get(name)

    def list(self, parent: str, job_filter: str, *, first_page_only: bool = False) -> JobList:
        self._fail()
        return super().list(parent, job_filter, first_page_only=first_page_only)

    def _fail(self) -> None:
        self.calls += 1
        if self._rng.random() < self._share:
            raise self._error


def test_a_third_of_the_reads_fails_and_every_step_ends_in_time() -> None:
    """With 35 % of reads failing, fifty steps are completed within a minute of their jobs."""
    world = Watched(UnreliableJobs(share=0.35))
    for number in range(50):
        world.follow("JOB_STATE_SUCCEEDED", step_run_id=f"step-{number}", reports_itself=False)
    for number in range(50):
        assert world.watcher.wait(f"step-{number}") == "completed"
    assert world.elapsed < 60


def test_a_read_that_fails_ends_its_own_step_only() -> None:
    """A step whose job is never read again fails after two hours; the step beside it goes on."""
    world = Watched()
    world.jobs.list_errors = [DOWN] * 100_000
    world.follow("JOB_STATE_RUNNING", step_run_id="beside")
    assert world.wait("JOB_STATE_RUNNING", DOWN) == "failed"
    assert world.elapsed >= 2 * 3600
    assert world.watcher.poll("beside") == "running"


def test_jobs_are_read_while_lists_fail() -> None:
    """The end of a job is seen within seconds, though every list fails."""
    world = Watched()
    world.jobs.list_errors = [DOWN] * 1000
    script = ["JOB_STATE_RUNNING"] * 10
    assert world.wait(*script, "JOB_STATE_SUCCEEDED", reports_itself=False) == "completed"
    assert world.elapsed <= 11 * 5


def test_a_read_that_failed_is_repeated_soon() -> None:
    """A job that has run for hours, and whose last read failed, is read again within seconds."""
    world = Watched()
    hours = ["JOB_STATE_RUNNING"] * 300
    # Lists and reads take turns in using these up.
    failures = [DOWN] * 9
    assert world.wait(*hours, *failures, "JOB_STATE_SUCCEEDED", reports_itself=False) == "completed"
    assert sum(world.clock.sleeps[-4:]) <= 4 * 5


def test_a_quota_is_respected_though_other_reads_were_answered() -> None:
    """After 429 no read is made before Retry-After has passed, whatever else was answered."""
    world = Watched()
    told = QuotaExceeded("slow down", code=429, retry_after=77)
    world.follow("JOB_STATE_RUNNING", step_run_id="listed")
    world.follow(told, told, "JOB_STATE_SUCCEEDED", reports_itself=False)
    world.watcher.poll(STEP)
    assert world.jobs.reads == 1
    while world.jobs.lists == 1:
        world.clock.sleep(1)
        world.watcher.poll(STEP)
    assert world.elapsed == 77


@pytest.mark.parametrize(
    ("error", "most"), [(DOWN, 6), (QuotaExceeded("slow down", code=429, retry_after=60), 1)]
)
def test_a_poll_without_answers_is_given_up_soon(error: VertexStepOperatorError, most: int) -> None:
    """After a few failures in a row a poll stops, and at once if Vertex AI asks it to wait."""
    jobs = UnreliableJobs(share=1.0, error=error)
    world = Watched(jobs)
    for number in range(50):
        world.follow("JOB_STATE_SUCCEEDED", step_run_id=f"step-{number}")
    world.watcher.poll("step-0")
    assert 0 < jobs.calls <= most


def test_a_poll_whose_calls_hang_is_given_up_at_once() -> None:
    """A poll does not wait half a minute for each of twenty jobs while Vertex AI hangs."""
    jobs = UnreliableJobs(share=1.0)
    world = Watched(jobs)
    for number in range(20):
        world.follow("JOB_STATE_SUCCEEDED", step_run_id=f"step-{number}")
    fail = jobs._fail

    def hang() -> None:
        world.clock.sleep(30)
        fail()

    jobs._fail = hang  # type: ignore[method-assign]
    world.watcher.poll("step-0")
    assert jobs.calls == 1


def test_an_outage_of_all_calls_counts_for_every_step() -> None:
    """No step waits forever: fifty steps fail if nothing is answered for hours."""
    world = Watched(UnreliableJobs(share=1.0))
    for number in range(50):
        world.follow("JOB_STATE_RUNNING", step_run_id=f"step-{number}")
    for number in range(50):
        assert world.watcher.wait(f"step-{number}") == "failed"
    assert 2 * 3600 <= world.elapsed < 3 * 3600


def test_an_outage_is_over_soon_after_it_ends() -> None:
    """A step goes on within half a minute of the end of an outage."""
    world = Watched(UnreliableJobs(share=0.0))
    outage = UnreliableJobs(share=1.0)
    fail = outage._fail
    world.jobs._fail = lambda: fail() if world.elapsed < 1000 else None  # type: ignore[attr-defined]
    assert world.wait("JOB_STATE_SUCCEEDED", reports_itself=False) == "completed"
    assert world.elapsed <= 1000 + 30
    assert world.watcher.find(STEP)


def test_a_job_that_cannot_be_read_keeps_no_other_from_being_cancelled() -> None:
    """A job that outlives its step is cancelled, though one beside it cannot be read."""
    world = Watched()
    world.jobs.list_errors = [PermissionDenied("no", code=403)] * 1000
    for step_run_id, item in (("unreadable", DOWN), (STEP, "JOB_STATE_RUNNING")):
        follower = world.follow(item, step_run_id=step_run_id)
        world.watcher.forget(step_run_id)
        world.watcher.linger(follower, 60)
    while world.elapsed < 180:
        world.watcher.tidy()
        world.clock.sleep(1)
    assert str(follower.name) in world.jobs.cancelled
