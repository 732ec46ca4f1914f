"""Intents: recorded together, and the order of those who submit the same step run."""

import threading
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.fakes import PARENT, CreateFault, InMemoryStepRuns
from tests.support.pipelines import wait_until
from tests.support.worlds import JOB, LABELS, STEP_RUN, Submitted
from zenml_vertex.errors import (
    QuotaExceeded,
    ServerUnreachable,
    StepRunNotFound,
    VertexStepOperatorError,
)
from zenml_vertex.following.intents import Intent, Intents
from zenml_vertex.following.metadata import CLIENT_KEY
from zenml_vertex.job.request import JobJson


class _Server:
    """Keeps what is written in one request; the first one waits until it may go on."""

    def __init__(self, error: VertexStepOperatorError | None = None) -> None:
        self.requests: list[tuple[str, ...]] = []
        self.marks: list[str] = []
        self.may_go_on = threading.Event()
        # Of requests for the step run "gone", and of all others with it.
        self.error = error
        self.intents = Intents(self._record, self._find_others)

    def _record(self, step_run_ids: Sequence[str], metadata: Mapping[str, Any]) -> None:
        self.requests.append(tuple(sorted(step_run_ids)))
        self.marks.append(*metadata["zenml_vertex.client"])
        if len(self.requests) == 1:
            assert self.may_go_on.wait(30)
        if self.error and "gone" in step_run_ids:
            raise self.error

    def _find_others(
        self, step_run_ids: Sequence[str], mark: str, zenml_project: str | None
    ) -> Collection[str]:
        del mark, zenml_project
        return [name for name in step_run_ids if name == "contested"]

    def announce(self, *names: str) -> list[Future[bool]]:
        """Announce the first, and all others while its request is on its way."""
        pool = ThreadPoolExecutor(len(names))
        started = [pool.submit(self.intents.announce, Intent(names[0], PARENT))]
        wait_until(lambda: bool(self.requests))
        started += [pool.submit(self.intents.announce, Intent(name, PARENT)) for name in names[1:]]
        wait_until(lambda: len(self.intents._queue) == len(names) - 1)
        self.may_go_on.set()
        pool.shutdown()
        return started


def test_what_arrives_during_a_request_goes_into_the_next_one() -> None:
    """Threads that submit at once share a request, and each is told of its own step run."""
    server = _Server()
    answers = [one.result() for one in server.announce("a", "b", "contested", "c")]
    assert answers == [False, False, True, False]
    assert server.requests == [("a",), ("b", "c", "contested")]


def test_one_step_run_is_not_in_a_request_twice() -> None:
    """Who shares a request has the same mark, by which two of one step run are told apart."""
    server = _Server()
    server.announce("a", "b", "b", "c")
    assert sorted(server.requests[1:], key=len) == [("b",), ("b", "c")]
    assert len(set(server.marks)) == 3


def test_a_step_run_that_was_deleted_does_not_hold_up_others() -> None:
    """If a shared request is refused, each is tried alone, and fails or works alone."""
    server = _Server(StepRunNotFound("deleted"))
    first, gone, other = server.announce("a", "gone", "b")
    assert isinstance(gone.exception(), StepRunNotFound)
    assert (first.result(), other.result()) == (False, False)
    assert sorted(server.requests[2:]) == [("b",), ("gone",)]


def test_a_server_that_is_down_is_not_asked_for_each_one_alone() -> None:
    """All that share a request hear at once that the server cannot be reached."""
    server = _Server(ServerUnreachable("down"))
    first, gone, other = server.announce("a", "gone", "b")
    assert isinstance(gone.exception(), ServerUnreachable)
    assert isinstance(other.exception(), ServerUnreachable)
    assert (first.result(), len(server.requests)) == (False, 2)


def test_a_failed_request_does_not_make_a_submission_its_own_rival() -> None:
    """A mark whose request failed may have been recorded, and nobody waits for its job."""
    world = Submitted()
    find, failures = world.step_runs._find_signed, [ServerUnreachable("down")]

    def find_later(step_run_ids: Sequence[str], mark: str, zenml_project: str | None) -> list[str]:
        if failures:
            raise failures.pop()
        return find(step_run_ids, mark, zenml_project)

    world.step_runs._find_signed = find_later  # type: ignore[method-assign]
    world.submit()
    marks = world.recorded["zenml_vertex.client"]
    assert (len(marks), world.jobs.created, world.jobs.lists) == (2, [JOB], 0)


def test_a_submission_that_was_first_looks_whether_another_was_alone_for_a_moment() -> None:
    """Its date is older than the moment at which others see it, so they may have a job already."""

    class Late(InMemoryStepRuns):
        def announce(self, intent: Intent) -> bool:
            super().announce(intent)
            self.record(intent.step_run_id, {"zenml_vertex.client": {"submission 2": True}})
            return True

    world = Submitted()
    world.step_runs = Late()
    job = world.jobs.script("JOB_STATE_RUNNING", labels=LABELS)
    world.jobs.hidden_lists = 2
    assert (str(world.submit()), world.jobs.created) == (job, [])


def test_one_of_two_that_submit_at_once_creates_a_job(caplog: pytest.LogCaptureFixture) -> None:
    """The ZenML server has the order, whatever the caller knew; the second takes over the job."""
    world = Submitted()
    world.step_runs.record(STEP_RUN, {"zenml_vertex.client": {"submission of another": True}})
    job = world.jobs.script("JOB_STATE_RUNNING", labels=LABELS)
    assert str(world.submit()) == job
    assert world.jobs.created == []
    assert "another process is submitting the same step run" in caplog.text


def test_whoever_submits_after_one_that_died_creates_the_job() -> None:
    """A submission that has left no job after a minute is taken for dead."""
    world = Submitted()
    world.step_runs.record(STEP_RUN, {"zenml_vertex.client": {"submission of another": True}})
    assert [world.submit().job_id, world.jobs.created] == ["1", [JOB]]


def test_a_create_that_comes_late_is_signed_for_again() -> None:
    """From the signature others tell when a job of a client that was killed would be listed.

    A quota of calls is waited out for minutes.
    """
    quota = CreateFault(QuotaExceeded("slow down", code=429), has_effect=False)
    world = Submitted(*[quota] * 6)
    signed: list[float] = []
    late: list[float] = []
    create = world.jobs.create

    def sign() -> Mapping[str, Any]:
        signed.append(world.clock.now)
        return {CLIENT_KEY: {"seen": world.clock.now}}

    def note(parent: str, job: JobJson) -> JobJson:
        late.append(world.clock.now - world.recorded[CLIENT_KEY]["seen"])
        return create(parent, job)

    world.jobs.create = note  # type: ignore[method-assign]
    submission = world.open()
    submission.sign = sign
    submission.submit(lambda: JOB, {})
    assert len(late) == 7
    assert max(late) < 30.0
    # Not before each of them.
    assert len(signed) < len(late)
