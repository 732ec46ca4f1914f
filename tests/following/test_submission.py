"""Exactly one job for one step run, whatever fails on the way."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from fakes import PARENT, CreateFault, InMemoryJobs, InMemoryStepRuns, ManualClock
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
from zenml_vertex.following.submission import (
    MAX_CREATES,
    PERMISSION_PATIENCE_SECONDS,
    QUOTA_PATIENCE_SECONDS,
    SETTLE_SECONDS,
    Submission,
    recover_name,
)
from zenml_vertex.job.identity import STEP_RUN_LABEL, JobName
from zenml_vertex.job.states import interpret

STEP_RUN = "6a1f"
JOB = {"displayName": "run-train", "labels": {STEP_RUN_LABEL: STEP_RUN}}
NO_ANSWER = ServiceUnavailable("Vertex AI gave no answer.", code=503)


class World:
    """Everything that a submission touches.

    Args:
        create_faults: What goes wrong at the first creates; None is nothing.
    """

    def __init__(self, *create_faults: CreateFault | None) -> None:
        self.jobs = InMemoryJobs()
        self.jobs.create_faults = list(create_faults)
        self.step_runs = InMemoryStepRuns()
        self.clock = ManualClock()

    def submit(self, recorded: Mapping[str, Any] | None = None) -> JobName:
        """Submit the step run; a new submission each time, as a new process would."""
        submission = Submission(self.jobs, self.step_runs, self.clock, PARENT, STEP_RUN)
        return submission.submit(JOB, recorded or {})

    @property
    def alive(self) -> list[str]:
        """The jobs that cost money."""
        return [
            name
            for name, script in self.jobs.scripts.items()
            if not interpret(str(script[-1])).is_terminal
        ]

    @property
    def recorded(self) -> Mapping[str, Any]:
        """What stands on the step run."""
        return self.step_runs.metadata.get(STEP_RUN, {})


def test_the_job_is_named_on_its_step_run_as_soon_as_it_exists() -> None:
    """The intent first, then the whole resource name, and links for people."""
    world = World()
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
    world = World(CreateFault(NO_ANSWER, has_effect=True))
    assert str(world.submit()) == world.recorded["zenml_vertex.job_name"]
    assert len(world.jobs.created) == 1


def test_a_list_that_lags_is_given_time() -> None:
    """A job that no list shows at first is not created a second time."""
    world = World(CreateFault(NO_ANSWER, has_effect=True))
    world.jobs.hidden_lists = len(SETTLE_SECONDS) - 1
    world.submit()
    assert len(world.jobs.created) == 1
    assert world.clock.sleeps == list(SETTLE_SECONDS)


def test_a_failed_look_is_no_look() -> None:
    """While the list fails too, nothing is known, and nothing is created."""
    world = World(CreateFault(NO_ANSWER, has_effect=True))
    world.jobs.list_errors = [NO_ANSWER, QuotaExceeded("slow down", code=429)]
    world.submit()
    assert len(world.jobs.created) == 1


def test_nothing_is_created_again_while_nobody_can_look(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the create nor a list is answered: a second create might be a second job."""
    world = World(CreateFault(NO_ANSWER, has_effect=True))
    world.jobs.list_errors = [NO_ANSWER] * 3 * len(SETTLE_SECONDS)
    with pytest.raises(ServiceUnavailable):
        world.submit()
    assert len(world.jobs.created) == 1
    assert "zenml-vertex jobs list --orphans" in caplog.text


def test_a_create_without_effect_is_tried_again() -> None:
    """After the looks found nothing, one more create is right."""
    world = World(CreateFault(NO_ANSWER, has_effect=False))
    name = world.submit()
    assert world.alive == [str(name)]
    assert len(world.jobs.created) == 1


def test_an_extra_job_is_ended() -> None:
    """A job that no list showed in time is found with the next, which is cancelled: one stays."""
    world = World(CreateFault(NO_ANSWER, has_effect=True))
    world.jobs.hidden_lists = len(SETTLE_SECONDS)
    name = world.submit()
    assert len(world.jobs.created) == 2
    assert str(name) == f"{PARENT}/customJobs/1"
    assert world.jobs.cancelled == [f"{PARENT}/customJobs/2"]


def test_an_outage_ends_the_step_after_a_bounded_number_of_creates() -> None:
    """No endless loop, and the error is the service's own."""
    world = World(*[CreateFault(NO_ANSWER, has_effect=False)] * 10)
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
    world = World(CreateFault(error, has_effect=False))
    with pytest.raises(type(error)):
        world.submit()
    assert world.jobs.created == []
    assert world.clock.sleeps == []


def test_a_quota_of_calls_is_waited_for() -> None:
    """429 passes; Retry-After is kept to, and without one the pauses grow."""
    world = World(
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
    world = World(*[CreateFault(QuotaExceeded("slow down", code=429), has_effect=False)] * 1000)
    with pytest.raises(QuotaExceeded):
        world.submit()
    assert sum(world.clock.sleeps) <= QUOTA_PATIENCE_SECONDS


def test_a_quota_of_machines_is_not_waited_for() -> None:
    """More machines than the project may ever have do not come by waiting."""
    error = QuotaExceeded("quota metrics exceed", code=429, is_of_machines=True)
    world = World(CreateFault(error, has_effect=False))
    with pytest.raises(QuotaExceeded):
        world.submit()
    assert world.clock.sleeps == []


def test_a_permission_that_spreads_is_waited_for() -> None:
    """An agent that has just been given its role gets some minutes, and no more."""
    error = NotYetPermitted("the agent may not read the repository", code=400)
    world = World(*[CreateFault(error, has_effect=False)] * 3)
    world.submit()
    assert len(world.jobs.created) == 1

    world = World(*[CreateFault(error, has_effect=False)] * 1000)
    with pytest.raises(NotYetPermitted):
        world.submit()
    assert sum(world.clock.sleeps) <= PERMISSION_PATIENCE_SECONDS


def test_a_step_run_that_names_its_job_is_not_submitted_again() -> None:
    """A repeated submit follows the job that is there."""
    world = World()
    first = world.submit()
    assert world.submit(world.recorded) == first
    assert len(world.jobs.created) == 1


@pytest.mark.parametrize("key", ["job_name", "zenml_vertex.job_name"])
def test_the_builtin_operators_job_is_followed_too(key: str) -> None:
    """A run that the built-in operator has started goes on."""
    world = World()
    assert str(world.submit({key: f"{PARENT}/customJobs/77"})) == f"{PARENT}/customJobs/77"
    assert world.jobs.created == []


def test_a_client_killed_after_the_create_is_followed_by_the_next() -> None:
    """The intent is on the step run and the label on the job: the next process finds it."""
    world = World()
    world.step_runs.record(STEP_RUN, {"zenml_vertex.parent": PARENT})
    created = world.jobs.create(PARENT, JOB)
    assert str(world.submit(world.recorded)) == created["name"]
    assert len(world.jobs.created) == 1


def test_a_client_killed_before_the_create_is_followed_by_one_that_creates() -> None:
    """An intent without a job is no job, once the list has had its time."""
    world = World()
    world.submit({"zenml_vertex.parent": PARENT})
    assert len(world.jobs.created) == 1
    assert world.clock.sleeps == list(SETTLE_SECONDS)


def test_nothing_is_created_for_a_step_run_that_cannot_be_written_to() -> None:
    """The intent comes first: where it cannot be recorded there is no job."""
    world = World()
    world.step_runs.record_errors = [ServerUnreachable("the ZenML server is down")]
    with pytest.raises(ServerUnreachable):
        world.submit()
    assert world.jobs.created == []


def test_a_server_that_restarts_is_waited_for() -> None:
    """A job runs already: its name is recorded as soon as the server is back."""
    world = World()
    world.step_runs.record_errors = [None, *[ServerUnreachable("down")] * 5]
    name = world.submit()
    assert world.recorded["zenml_vertex.job_name"] == str(name)
    assert world.jobs.cancelled == []


@pytest.mark.parametrize("error", [RuntimeError("server broken"), KeyboardInterrupt()])
def test_a_job_whose_name_cannot_be_recorded_is_cancelled(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """A step run that does not name its job would leave it running unseen."""
    world = World()
    world.step_runs.record_errors = [None, error]
    with pytest.raises(type(error)):
        world.submit()
    assert world.jobs.cancelled == [f"{PARENT}/customJobs/1"]
    assert f"{PARENT}/customJobs/1" in caplog.text


def test_ctrl_c_during_the_create_leaves_no_job() -> None:
    """Nobody knows whether the job was made; it is looked for, and ended."""
    world = World(CreateFault(KeyboardInterrupt(), has_effect=True))
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
    world = World()
    world.jobs = Refusing()
    world.step_runs.record_errors = [None, RuntimeError("server broken")]
    with pytest.raises(RuntimeError, match="server broken"):
        world.submit()
    assert "may still be running and cost money" in caplog.text


def test_a_job_is_recovered_from_what_the_step_run_says() -> None:
    """By its name, else by the intent and its label; without either there is none."""
    world = World()
    name = world.submit()
    assert recover_name(world.jobs, world.recorded, STEP_RUN) == name
    assert recover_name(world.jobs, {"zenml_vertex.parent": PARENT}, STEP_RUN) == name
    assert recover_name(world.jobs, {"zenml_vertex.parent": PARENT}, "another") is None
    assert recover_name(world.jobs, {}, STEP_RUN) is None
