"""Exactly one job for one step run, whatever fails on the way."""

import logging
from typing import Any

import pytest

from tests.support.fakes import PARENT, CreateFault, InMemoryJobs, ManualClock
from tests.support.worlds import JOB, STEP_RUN, Submitted
from zenml_vertex.errors import (
    CredentialsError,
    NotYetPermitted,
    PermissionDenied,
    QuotaExceeded,
    RequestRejected,
    ServerUnreachable,
    ServiceUnavailable,
    VertexStepOperatorError,
)
from zenml_vertex.following.patience import SERVER_RESTART, Task, choose_patience
from zenml_vertex.following.protocols import JobList
from zenml_vertex.following.submission import (
    MAX_CREATES,
    SETTLE_SECONDS,
    Submission,
)
from zenml_vertex.job.identity import ATTEMPT_LABEL, STEP_RUN_LABEL, Attempt
from zenml_vertex.job.request import JobJson

NO_ANSWER = ServiceUnavailable("Vertex AI gave no answer.", code=503)


def test_the_job_is_named_on_its_step_run_as_soon_as_it_exists() -> None:
    """The intent first, then the whole resource name, and links for people."""
    world = Submitted()
    name = world.submit()
    assert world.jobs.created == [JOB]
    assert world.recorded == {
        "zenml_vertex.parent": PARENT,
        "zenml_vertex.job_name": f"{PARENT}/customJobs/1",
        "job_name": f"{PARENT}/customJobs/1",
        "zenml_vertex.console_url": name.console_url,
        "zenml_vertex.logs_url": name.logs_url,
    }
    assert world.clock.sleeps == []


def test_a_lost_answer_is_found_by_the_label() -> None:
    """The job exists and nobody was told: it is adopted, and no second one is created."""
    world = Submitted(CreateFault(NO_ANSWER, has_effect=True))
    assert str(world.submit()) == world.recorded["zenml_vertex.job_name"]
    assert len(world.jobs.created) == 1


def test_a_list_that_lags_is_given_time() -> None:
    """A job that no list shows at first is not created a second time."""
    world = Submitted(CreateFault(NO_ANSWER, has_effect=True))
    world.jobs.hidden_lists = len(SETTLE_SECONDS) - 1
    world.submit()
    assert len(world.jobs.created) == 1
    assert world.clock.sleeps == list(SETTLE_SECONDS)


@pytest.mark.parametrize("minutes", [0.1, 1, 5, 9])
@pytest.mark.parametrize(
    "error",
    [
        NO_ANSWER,
        QuotaExceeded("slow down", code=429),
        PermissionDenied("you may not list", code=403),
        CredentialsError("no token"),
    ],
)
def test_a_failed_list_proves_nothing(
    error: Exception, minutes: float, caplog: pytest.LogCaptureFixture
) -> None:
    """While the list fails too, nothing is known, and nothing is created: one line says so."""
    world = Submitted(CreateFault(NO_ANSWER, has_effect=True))
    back = world.clock.now + 60 * minutes

    class Failing(InMemoryJobs):
        def list(self, parent: str, job_filter: str, *, first_page_only: bool = False) -> JobList:
            if world.clock.now < back:
                raise error
            return super().list(parent, job_filter, first_page_only=first_page_only)

    failing = Failing()
    failing.create_faults = world.jobs.create_faults
    world.jobs = failing
    world.submit()
    assert len(world.jobs.created) == 1
    assert caplog.text.count("Trying again for up to 600 s.") == 1


def test_nothing_is_created_again_while_jobs_cannot_be_listed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither the create nor a list is answered: a second create might be a second job.

    In the end the step fails, and the log says how to check later.
    """
    world = Submitted(CreateFault(NO_ANSWER, has_effect=True))
    world.jobs.list_errors = [NO_ANSWER] * 1000
    with pytest.raises(ServiceUnavailable):
        world.submit()
    assert len(world.jobs.created) == 1
    assert sum(world.clock.sleeps) < choose_patience(Task.FIND, NO_ANSWER).seconds + 2 * sum(
        SETTLE_SECONDS
    )
    assert "zenml-vertex jobs list --orphans" in caplog.text


def test_an_older_job_that_cannot_be_searched_for_is_left_to_the_watcher() -> None:
    """A job that was created is not given up because of one that may not exist."""
    world = Submitted(CreateFault(NO_ANSWER, has_effect=False))
    searches = len(SETTLE_SECONDS)
    world.jobs.list_errors = []
    name = world.submit()
    assert str(name) == world.recorded["zenml_vertex.job_name"]
    failing = Submitted(CreateFault(NO_ANSWER, has_effect=False))

    class FailingLater(InMemoryJobs):
        def list(self, parent: str, job_filter: str, *, first_page_only: bool = False) -> JobList:
            if self.lists >= searches:
                raise NO_ANSWER
            return super().list(parent, job_filter, first_page_only=first_page_only)

    jobs = FailingLater()
    jobs.create_faults = failing.jobs.create_faults
    failing.jobs = jobs
    assert failing.alive == []
    assert [str(failing.submit())] == failing.alive


def test_a_create_without_effect_is_tried_again() -> None:
    """After the searches found nothing, one more create is right."""
    world = Submitted(CreateFault(NO_ANSWER, has_effect=False))
    name = world.submit()
    assert world.alive == [str(name)]
    assert len(world.jobs.created) == 1


def test_an_extra_job_is_ended() -> None:
    """A job that no list showed in time is found with the next, which is cancelled: one stays."""
    world = Submitted(CreateFault(NO_ANSWER, has_effect=True))
    world.jobs.hidden_lists = len(SETTLE_SECONDS)
    name = world.submit()
    assert len(world.jobs.created) == 2
    assert str(name) == f"{PARENT}/customJobs/1"
    assert world.jobs.cancelled == [f"{PARENT}/customJobs/2"]


def test_an_outage_ends_the_step_after_a_bounded_number_of_creates() -> None:
    """No endless loop, and the error is the service's own."""
    world = Submitted(*[CreateFault(NO_ANSWER, has_effect=False)] * 10)
    with pytest.raises(ServiceUnavailable):
        world.submit()
    assert len(world.jobs.create_faults) == 10 - MAX_CREATES
    assert world.alive == []


@pytest.mark.parametrize(
    "error",
    [RequestRejected("bad machine", code=400), PermissionDenied("you may not", code=403)],
)
def test_a_refusal_is_not_repeated(error: Exception) -> None:
    """4xx is an answer: there is no job, and there will be none."""
    world = Submitted(CreateFault(error, has_effect=False))
    with pytest.raises(type(error)):
        world.submit()
    assert world.jobs.created == []
    assert world.clock.sleeps == []


def test_a_quota_of_calls_is_waited_for() -> None:
    """429 passes; Retry-After is kept to, and without one the pauses grow."""
    world = Submitted(
        CreateFault(QuotaExceeded("slow down", code=429, retry_after=17.0), has_effect=False),
        CreateFault(QuotaExceeded("slow down", code=429), has_effect=False),
        CreateFault(QuotaExceeded("slow down", code=429), has_effect=False),
    )
    world.submit()
    assert len(world.jobs.created) == 1
    assert world.clock.sleeps[0] == 17.0
    assert world.clock.sleeps[2] > world.clock.sleeps[1]


def test_a_quota_of_calls_is_not_waited_for_without_end() -> None:
    """After a bounded time the step ends with the service's own words."""
    error = QuotaExceeded("slow down", code=429)
    world = Submitted(*[CreateFault(error, has_effect=False)] * 1000)
    with pytest.raises(QuotaExceeded):
        world.submit()
    assert sum(world.clock.sleeps) <= choose_patience(Task.CREATE, error).seconds


def test_a_quota_of_machines_is_not_waited_for() -> None:
    """More machines than the project may ever have do not come by waiting."""
    error = QuotaExceeded("quota metrics exceed", code=429, is_of_machines=True)
    world = Submitted(CreateFault(error, has_effect=False))
    with pytest.raises(QuotaExceeded):
        world.submit()
    assert world.clock.sleeps == []


def test_a_permission_that_spreads_is_waited_for() -> None:
    """An agent that has just been given its role gets some minutes, and no more."""
    error = NotYetPermitted("the agent may not read the repository", code=400)
    world = Submitted(*[CreateFault(error, has_effect=False)] * 3)
    world.submit()
    assert len(world.jobs.created) == 1

    world = Submitted(*[CreateFault(error, has_effect=False)] * 1000)
    with pytest.raises(NotYetPermitted):
        world.submit()
    assert sum(world.clock.sleeps) <= choose_patience(Task.CREATE, error).seconds


def test_a_step_run_that_names_its_job_is_not_submitted_again() -> None:
    """A repeated submit follows the job that is there."""
    world = Submitted()
    first = world.submit()
    assert world.submit(world.recorded) == first
    assert len(world.jobs.created) == 1


@pytest.mark.parametrize("key", ["job_name", "zenml_vertex.job_name"])
def test_the_builtin_operators_job_is_followed_too(key: str) -> None:
    """A run that the built-in operator has started goes on."""
    world = Submitted()
    assert str(world.submit({key: f"{PARENT}/customJobs/77"})) == f"{PARENT}/customJobs/77"
    assert world.jobs.created == []


def test_a_client_killed_after_the_create_is_followed_by_the_next() -> None:
    """The intent is on the step run and the label on the job: the next process finds it."""
    world = Submitted()
    world.step_runs.record(STEP_RUN, {"zenml_vertex.parent": PARENT})
    created = world.jobs.create(PARENT, JOB)
    assert str(world.submit(world.recorded)) == created["name"]
    assert len(world.jobs.created) == 1


def test_a_client_killed_before_the_create_is_followed_by_one_that_creates() -> None:
    """An intent without a job is no job, once the list has had its time."""
    world = Submitted()
    world.submit({"zenml_vertex.parent": PARENT})
    assert len(world.jobs.created) == 1
    assert world.clock.sleeps == list(SETTLE_SECONDS)


def test_nothing_is_created_for_a_step_run_that_cannot_be_written_to() -> None:
    """The intent comes first: where it cannot be recorded there is no job, after a minute."""
    world = Submitted()
    world.step_runs.record_errors = [ServerUnreachable("the ZenML server is down")] * 1000
    with pytest.raises(ServerUnreachable):
        world.submit()
    assert world.jobs.created == []
    assert 0 < sum(world.clock.sleeps) <= SERVER_RESTART.seconds


def test_a_server_that_is_down_for_a_moment_does_not_fail_the_step() -> None:
    """Neither when it is asked for what the job needs, nor when the intent is recorded."""
    world = Submitted()
    world.step_runs.record_errors = [ServerUnreachable("down")] * 5
    answers: list[Any] = [ServerUnreachable("down"), ServerUnreachable("down"), JOB]

    def build_job() -> JobJson:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    name = world.open().submit(build_job, {})
    assert world.alive == [str(name)]
    assert len(world.jobs.created) == 1


def test_a_server_that_restarts_is_waited_for() -> None:
    """A job runs already: its name is recorded as soon as the server is back."""
    world = Submitted()
    world.step_runs.record_errors = [None, *[ServerUnreachable("down")] * 5]
    name = world.submit()
    assert world.recorded["zenml_vertex.job_name"] == str(name)
    assert world.jobs.cancelled == []


@pytest.mark.parametrize("error", [RuntimeError("server broken"), KeyboardInterrupt()])
def test_a_job_whose_name_cannot_be_recorded_is_cancelled(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """A step run that does not name its job would leave it running unseen."""
    caplog.set_level(logging.INFO)
    world = Submitted()
    world.step_runs.record_errors = [None, error]
    with pytest.raises(type(error)):
        world.submit()
    assert world.jobs.cancelled == [f"{PARENT}/customJobs/1"]
    assert f"{PARENT}/customJobs/1" in caplog.text
    assert "Vertex AI job 1 is CANCELLED." in caplog.text


def test_ctrl_c_during_the_create_leaves_no_job() -> None:
    """Nobody knows whether the job was made; it is searched for, and cancelled."""
    world = Submitted(CreateFault(KeyboardInterrupt(), has_effect=True))
    with pytest.raises(KeyboardInterrupt):
        world.submit()
    assert world.alive == []
    assert len(world.jobs.created) == 1


@pytest.mark.parametrize("refusal", [RequestRejected("no", code=400), CredentialsError("no token")])
def test_a_cancel_that_fails_too_does_not_hide_the_first_error(
    refusal: VertexStepOperatorError, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says which job may still be running."""

    class Refusing(InMemoryJobs):
        def cancel(self, name: str) -> None:
            del name
            raise refusal

    caplog.set_level(logging.ERROR)
    world = Submitted()
    world.jobs = Refusing()
    world.step_runs.record_errors = [None, RuntimeError("server broken")]
    with pytest.raises(RuntimeError, match="server broken"):
        world.submit()
    assert "may still be running and cost money" in caplog.text


@pytest.mark.parametrize("hidden", [0, 3])
def test_an_impatient_ctrl_c_leaves_no_job_that_can_be_seen(hidden: int) -> None:
    """The second one, while the job of the first is searched for or cancelled."""
    world = Submitted(CreateFault(KeyboardInterrupt(), has_effect=True))
    world.jobs.hidden_lists = hidden
    pressed: list[float] = []

    class Impatient(ManualClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if not pressed:
                pressed.append(seconds)
                raise KeyboardInterrupt

    world.clock = Impatient()
    with pytest.raises(KeyboardInterrupt):
        world.submit()
    assert pressed
    assert len(world.alive) == (1 if hidden else 0)


def test_a_job_is_found_again_from_what_the_step_run_says() -> None:
    """By its name, else by the intent and its label; without either there is none."""
    world = Submitted()
    name = world.submit()
    assert world.open().resume(world.recorded) == name
    intent = {"zenml_vertex.parent": PARENT}
    assert world.open().resume(intent) == name
    other = Submission(world.jobs, world.step_runs, world.clock, PARENT, Attempt("another"))
    assert other.resume(intent) is None
    assert other.resume({}) is None


def test_a_job_that_was_just_created_is_given_time_to_be_found_again() -> None:
    """The process that created it was killed a moment ago; it is recorded once it is found."""
    world = Submitted()
    created = world.jobs.create(PARENT, JOB)
    world.jobs.hidden_lists = len(SETTLE_SECONDS) - 1
    name = world.open().resume({"zenml_vertex.parent": PARENT})
    assert str(name) == created["name"] == world.recorded["zenml_vertex.job_name"]


def test_an_intent_is_not_taken_for_no_job_while_jobs_cannot_be_listed() -> None:
    """Whoever asks is told that it is not known, and asks again."""
    world = Submitted()
    world.jobs.create(PARENT, JOB)
    world.jobs.list_errors = [NO_ANSWER] * 1000
    with pytest.raises(ServiceUnavailable):
        world.open().resume({"zenml_vertex.parent": PARENT})


def test_a_job_of_another_attempt_is_not_taken_for_this_one() -> None:
    """After a lost answer, the search finds the job of this attempt and cancels no other."""
    world = Submitted(CreateFault(NO_ANSWER, has_effect=True))
    earlier = world.jobs.script(
        "JOB_STATE_FAILED", labels={STEP_RUN_LABEL: STEP_RUN, ATTEMPT_LABEL: "7"}
    )
    name = world.submit()
    assert str(name) != earlier
    assert world.jobs.cancelled == []
