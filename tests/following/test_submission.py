"""Each step run gets exactly one job, whatever fails on the way."""

import logging
from typing import Any

import pytest

from tests.support.fakes import PARENT, CreateFault, InMemoryJobs, ManualClock
from tests.support.worlds import JOB, LABELS, STEP_RUN, Submitted
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
from zenml_vertex.following.progress import name_reason
from zenml_vertex.following.protocols import JobList
from zenml_vertex.following.submission import (
    MAX_CREATES,
    SETTLE_SECONDS,
)
from zenml_vertex.job.identity import ATTEMPT_LABEL
from zenml_vertex.job.request import JobJson

NO_ANSWER = ServiceUnavailable("Vertex AI gave no answer.", code=503)


def test_the_job_is_recorded_on_its_step_run_as_soon_as_it_exists() -> None:
    """The intent is recorded before the create, and the job's name and links right after it."""
    world = Submitted()
    name = world.submit()
    assert world.jobs.created == [JOB]
    recorded = dict(world.recorded)
    assert len(recorded.pop("zenml_vertex.client")) == 1
    assert recorded == {
        "zenml_vertex.parent": PARENT,
        "zenml_vertex.job_name": f"{PARENT}/customJobs/1",
        "job_name": f"{PARENT}/customJobs/1",
        "zenml_vertex.console_url": name.console_url,
        "zenml_vertex.logs_url": name.logs_url,
    }
    assert world.clock.sleeps == []


def test_a_job_whose_create_answer_was_lost_is_found_by_its_label() -> None:
    """A job whose create got no answer is found and adopted, and no second job is created."""
    world = Submitted(CreateFault(NO_ANSWER, has_effect=True))
    assert str(world.submit()) == world.recorded["zenml_vertex.job_name"]
    assert len(world.jobs.created) == 1


def test_a_lagging_list_is_waited_for() -> None:
    """A job that lists do not show at first is found later and is not created a second time."""
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
        PermissionDenied("list is not allowed", code=403),
        CredentialsError("no token"),
    ],
)
def test_nothing_is_created_while_the_list_fails(
    error: Exception, minutes: float, caplog: pytest.LogCaptureFixture
) -> None:
    """No job is created while lists fail after a lost answer; one log line says so."""
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
    assert caplog.text.count(", for up to 10 min in all.") == 1


def test_the_step_fails_if_the_lists_keep_failing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """If lists fail until patience ends, the step fails without a second create.

    The log says how to look for a job later.
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


def test_a_failed_search_for_an_earlier_job_does_not_end_the_new_one() -> None:
    """A job is kept even if the search for a possible earlier one fails."""
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


def test_a_create_without_effect_is_retried() -> None:
    """When the searches find no job, exactly one more create is sent."""
    world = Submitted(CreateFault(NO_ANSWER, has_effect=False))
    name = world.submit()
    assert world.alive == [str(name)]
    assert len(world.jobs.created) == 1


def test_a_duplicate_job_is_cancelled() -> None:
    """When a late list shows that there are two jobs, the newer one is cancelled."""
    world = Submitted(CreateFault(NO_ANSWER, has_effect=True))
    world.jobs.hidden_lists = len(SETTLE_SECONDS)
    name = world.submit()
    assert len(world.jobs.created) == 2
    assert str(name) == f"{PARENT}/customJobs/1"
    assert world.jobs.cancelled == [f"{PARENT}/customJobs/2"]


def test_an_outage_ends_the_step_after_a_bounded_number_of_creates() -> None:
    """A long outage ends the step with the service's error after a bounded number of creates."""
    world = Submitted(*[CreateFault(NO_ANSWER, has_effect=False)] * 10)
    with pytest.raises(ServiceUnavailable):
        world.submit()
    assert len(world.jobs.create_faults) == 10 - MAX_CREATES
    assert world.alive == []


@pytest.mark.parametrize(
    "error",
    [RequestRejected("bad machine", code=400), PermissionDenied("not allowed", code=403)],
)
def test_a_refused_create_is_not_retried(error: Exception) -> None:
    """A 4xx answer to a create is raised at once, without a second create."""
    world = Submitted(CreateFault(error, has_effect=False))
    with pytest.raises(type(error)):
        world.submit()
    assert world.jobs.created == []
    assert world.clock.sleeps == []


def test_an_exceeded_call_quota_is_waited_out() -> None:
    """After 429, creates are retried after Retry-After, or else after growing pauses."""
    world = Submitted(
        CreateFault(QuotaExceeded("slow down", code=429, retry_after=17.0), has_effect=False),
        CreateFault(QuotaExceeded("slow down", code=429), has_effect=False),
        CreateFault(QuotaExceeded("slow down", code=429), has_effect=False),
    )
    world.submit()
    assert len(world.jobs.created) == 1
    assert world.clock.sleeps[0] == 17.0
    assert world.clock.sleeps[2] > world.clock.sleeps[1]


def test_the_wait_for_a_call_quota_is_bounded() -> None:
    """After a bounded wait for the quota, the step ends with the service's own message."""
    error = QuotaExceeded("slow down", code=429)
    world = Submitted(*[CreateFault(error, has_effect=False)] * 1000)
    with pytest.raises(QuotaExceeded):
        world.submit()
    assert sum(world.clock.sleeps) <= choose_patience(Task.CREATE, error).seconds


def test_an_exceeded_machine_quota_is_raised_at_once() -> None:
    """A create beyond the project's machine quota is not retried, because waiting does not help."""
    error = QuotaExceeded("quota metrics exceed", code=429, is_of_machines=True)
    world = Submitted(CreateFault(error, has_effect=False))
    with pytest.raises(QuotaExceeded):
        world.submit()
    assert world.clock.sleeps == []


def test_a_permission_that_propagates_is_waited_for() -> None:
    """A role that a service agent was just given is waited for some minutes, and no longer."""
    error = NotYetPermitted("the agent may not read the repository", code=400)
    world = Submitted(*[CreateFault(error, has_effect=False)] * 3)
    world.submit()
    assert len(world.jobs.created) == 1

    world = Submitted(*[CreateFault(error, has_effect=False)] * 1000)
    with pytest.raises(NotYetPermitted):
        world.submit()
    assert sum(world.clock.sleeps) <= choose_patience(Task.CREATE, error).seconds


def test_a_step_run_that_names_its_job_is_not_submitted_again() -> None:
    """A repeated submit follows the job that the step run names."""
    world = Submitted()
    first = world.submit()
    assert world.submit(world.recorded) == first
    assert len(world.jobs.created) == 1


def test_the_job_of_a_client_killed_after_the_create_is_adopted() -> None:
    """The next client finds the job by the intent on the step run and the label on the job."""
    world = Submitted()
    world.step_runs.record(STEP_RUN, {"zenml_vertex.parent": PARENT})
    created = world.jobs.create(PARENT, JOB)
    assert str(world.submit(world.recorded)) == created["name"]
    assert len(world.jobs.created) == 1


def test_a_client_killed_before_the_create_is_succeeded_by_one_that_creates() -> None:
    """An intent whose job does not appear in lists in time leads to a new create."""
    world = Submitted()
    world.submit({"zenml_vertex.parent": PARENT})
    assert len(world.jobs.created) == 1
    assert world.clock.sleeps == list(SETTLE_SECONDS)


def test_nothing_is_created_for_a_step_run_that_cannot_be_written_to() -> None:
    """No job is created if its intent cannot be recorded within a minute."""
    world = Submitted()
    world.step_runs.record_errors = [ServerUnreachable("the ZenML server is down")] * 1000
    with pytest.raises(ServerUnreachable):
        world.submit()
    assert world.jobs.created == []
    assert 0 < sum(world.clock.sleeps) <= SERVER_RESTART.seconds


def test_a_server_that_is_down_for_a_moment_does_not_fail_the_step() -> None:
    """A short outage is waited out, both while building the job and while recording the intent."""
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
    """The name of a running job is recorded as soon as the restarted server answers."""
    world = Submitted()
    world.step_runs.record_errors = [None, *[ServerUnreachable("down")] * 5]
    name = world.submit()
    assert world.recorded["zenml_vertex.job_name"] == str(name)
    assert world.jobs.cancelled == []


@pytest.mark.parametrize("error", [RuntimeError("server broken"), KeyboardInterrupt()])
def test_a_job_whose_name_cannot_be_recorded_is_cancelled(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """A job whose name cannot be recorded on its step run is cancelled, or it would run unseen."""
    caplog.set_level(logging.INFO)
    world = Submitted()
    world.step_runs.record_errors = [None, error]
    with pytest.raises(type(error)):
        world.submit()
    assert world.jobs.cancelled == [f"{PARENT}/customJobs/1"]
    assert f"Step `train` (job 1): {name_reason(error)}: cancelling the job" in caplog.text
    assert "Step `train` (job 1): CANCELLED." in caplog.text


def test_ctrl_c_during_the_create_leaves_no_job() -> None:
    """After a Ctrl-C during the create, the job is searched for and cancelled."""
    world = Submitted(CreateFault(KeyboardInterrupt(), has_effect=True))
    with pytest.raises(KeyboardInterrupt):
        world.submit()
    assert world.alive == []
    assert len(world.jobs.created) == 1


@pytest.mark.parametrize("refusal", [RequestRejected("no", code=400), CredentialsError("no token")])
def test_a_cancel_that_fails_too_does_not_hide_the_first_error(
    refusal: VertexStepOperatorError, caplog: pytest.LogCaptureFixture
) -> None:
    """The first error is raised, and the log says which job may still be running."""

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
def test_a_second_ctrl_c_leaves_no_visible_job(hidden: int) -> None:
    """A second Ctrl-C, during the search or the cancel, still cancels each job that lists show."""
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


def test_a_job_is_found_from_its_step_run() -> None:
    """A job is found by its name on the step run, else by the intent and its label."""
    world = Submitted()
    name = world.submit()
    assert world.open().resume(world.recorded) == name
    intent = {"zenml_vertex.parent": PARENT}
    assert world.open().resume(intent) == name
    other = world.open_for("another")
    assert other.resume(intent) is None
    assert other.resume({}) is None


def test_a_job_of_a_client_that_was_just_killed_is_waited_for() -> None:
    """A job that a killed client has just created is waited for, and recorded once it is found."""
    world = Submitted()
    created = world.jobs.create(PARENT, JOB)
    world.jobs.hidden_lists = len(SETTLE_SECONDS) - 1
    name = world.open().resume({"zenml_vertex.parent": PARENT})
    assert str(name) == created["name"] == world.recorded["zenml_vertex.job_name"]


def test_a_job_is_unknown_while_jobs_cannot_be_listed() -> None:
    """While lists fail, looking for a job raises; the answer is not that no job exists."""
    world = Submitted()
    world.jobs.create(PARENT, JOB)
    world.jobs.list_errors = [NO_ANSWER] * 1000
    with pytest.raises(ServiceUnavailable):
        world.open().resume({"zenml_vertex.parent": PARENT})


def test_a_job_of_another_attempt_is_not_taken_for_this_one() -> None:
    """After a lost answer, the search adopts the job of this attempt and cancels no other."""
    world = Submitted(CreateFault(NO_ANSWER, has_effect=True))
    earlier = world.jobs.script("JOB_STATE_FAILED", labels={**LABELS, ATTEMPT_LABEL: "7"})
    name = world.submit()
    assert str(name) != earlier
    assert world.jobs.cancelled == []
