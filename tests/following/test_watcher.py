"""Following a job: what its step's status is, and when it is over."""

import logging
from dataclasses import dataclass, field

import pytest

from fakes import InMemoryJobs, InMemoryStepRuns, ManualClock
from zenml_vertex.errors import (
    CredentialsError,
    JobNotFound,
    PermissionDenied,
    ServerUnreachable,
    ServiceUnavailable,
)
from zenml_vertex.following.watcher import JobWatcher
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.request import JobJson

RUN = "step-run"


@dataclass
class World:
    """A watcher and everything around it."""

    jobs: InMemoryJobs = field(default_factory=InMemoryJobs)
    step_runs: InMemoryStepRuns = field(default_factory=InMemoryStepRuns)
    clock: ManualClock = field(default_factory=ManualClock)

    def watch(self, *script: str | JobJson | Exception, reports_itself: bool = True) -> JobWatcher:
        """Watch a job that lives as scripted."""
        return JobWatcher(
            jobs=self.jobs,
            step_runs=self.step_runs,
            clock=self.clock,
            name=JobName.parse(self.jobs.script(*script)),
            step_run_id=RUN,
            reports_itself=reports_itself,
        )


@pytest.fixture
def world() -> World:
    """An empty world whose step run is running."""
    return World()


def test_a_step_that_reported_its_success_is_completed(world: World) -> None:
    """The ZenML server says done; nothing is written over it."""
    world.step_runs.statuses[RUN] = "completed"
    watcher = world.watch("JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED")
    assert watcher.follow() == "completed"
    assert world.step_runs.messages == {}


def test_a_job_that_succeeded_without_a_report_fails_its_step(world: World) -> None:
    """Row F: the built-in operator exits 0 with the run stuck `running`."""
    assert world.watch("JOB_STATE_SUCCEEDED").follow() == "failed"
    assert world.step_runs.statuses[RUN] == "failed"
    assert "never reported its result" in world.step_runs.messages[RUN]


def test_a_command_step_reports_nothing_and_is_completed(world: World) -> None:
    """No ZenML code runs in its container, so Vertex AI's word is enough."""
    assert world.watch("JOB_STATE_SUCCEEDED", reports_itself=False).follow() == "completed"
    assert world.step_runs.messages == {}


def test_a_failure_of_the_infrastructure_is_explained_on_the_step_run(world: World) -> None:
    """Row G: what failed, why, and what to do, where the person looks."""
    error = {"code": 8, "message": "Resources are insufficient in region: europe-west4."}
    watcher = world.watch({"state": "JOB_STATE_FAILED", "error": error})
    assert watcher.follow() == "failed"
    text = world.step_runs.messages[RUN]
    assert "found no free machine" in text
    assert "Resources are insufficient in region: europe-west4." in text
    assert "Next: run the step again later" in text
    assert str(watcher.name) in text
    assert watcher.name.logs_url in text


def test_the_steps_own_exception_is_not_written_over(world: World) -> None:
    """A step that failed by itself has told why; the exit code says less."""
    world.step_runs.statuses[RUN] = "failed"
    error = {"code": 3, "message": "The replica workerpool0-0 exited with a non-zero status of 1."}
    assert world.watch({"state": "JOB_STATE_FAILED", "error": error}).follow() == "failed"
    assert world.step_runs.messages == {}


def test_a_step_that_will_be_retried_has_failed_this_time(world: World) -> None:
    """RETRYING is the server's word for a failed attempt; ZenML must not be told it."""
    world.step_runs.statuses[RUN] = "retrying"
    assert world.watch("JOB_STATE_FAILED").look() == "failed"


def test_a_cancelled_job_stops_its_step(world: World) -> None:
    """And the step run says so."""
    watcher = world.watch("JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED")
    assert watcher.look() == "running"
    assert watcher.look() == "stopped"
    assert world.step_runs.statuses[RUN] == "stopped"
    assert "was cancelled" in world.step_runs.messages[RUN]


@pytest.mark.parametrize("state", ["JOB_STATE_EXPIRED", "JOB_STATE_PARTIALLY_SUCCEEDED"])
def test_every_other_end_is_a_failure(world: World, state: str) -> None:
    """States at which other operators wait for ever."""
    assert world.watch(state).follow() == "failed"


def test_a_deleted_job_ends_its_step(world: World) -> None:
    """Row E: after a minute and five tries, not never and not at the first."""
    watcher = world.watch("JOB_STATE_RUNNING", JobNotFound("gone", code=404))
    assert watcher.follow() == "failed"
    assert "does not exist any more" in world.step_runs.messages[RUN]
    assert world.clock.now - 1000 >= 60
    assert world.jobs.reads >= 6


def test_a_job_that_is_not_found_for_a_moment_is_followed(world: World) -> None:
    """A read may not see what was just created."""
    world.step_runs.statuses[RUN] = "completed"
    lost = JobNotFound("not yet", code=404)
    assert world.watch(lost, lost, lost, "JOB_STATE_SUCCEEDED").follow() == "completed"


def test_a_lost_permission_ends_the_step_after_its_grace(world: World) -> None:
    """Fifteen minutes to notice and to give it back."""
    watcher = world.watch(PermissionDenied("no", code=403))
    assert watcher.follow() == "failed"
    assert world.clock.now - 1000 >= 15 * 60
    assert "it may still be running" in world.step_runs.messages[RUN]


def test_an_expired_login_ends_the_step_after_the_same_grace(world: World) -> None:
    """Neither at once, which would cancel a job that is well, nor never."""
    expired = CredentialsError("No access token: run `gcloud auth login` again.")
    assert world.watch(expired).follow() == "failed"
    assert world.clock.now - 1000 >= 15 * 60
    assert "`gcloud auth login`" in world.step_runs.messages[RUN]


def test_a_login_that_is_renewed_in_time_is_followed(world: World) -> None:
    """The job has gone on meanwhile."""
    world.step_runs.statuses[RUN] = "completed"
    expired = CredentialsError("No access token.")
    assert world.watch(expired, expired, "JOB_STATE_SUCCEEDED").follow() == "completed"


def test_ten_minutes_without_an_answer_are_borne_in_one_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The wait goes on, calmly."""
    caplog.set_level(logging.INFO)
    world.step_runs.statuses[RUN] = "completed"
    down = ServiceUnavailable("Vertex AI gave no answer.")
    watcher = world.watch(*[down] * 55, "JOB_STATE_SUCCEEDED")
    assert watcher.follow() == "completed"
    lines = [record.getMessage() for record in caplog.records]
    assert sum("gave no answer" in line for line in lines) == 1


def test_a_zenml_server_that_is_down_does_not_end_the_step(world: World) -> None:
    """The job is over; its step's result waits for the server to come back."""
    answers = iter([ServerUnreachable("down"), ServerUnreachable("down"), "completed"])

    def status(_: str) -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    world.step_runs.status = status  # type: ignore[method-assign]
    assert world.watch("JOB_STATE_SUCCEEDED").follow() == "completed"


def test_a_passing_failure_is_raised_to_the_dynamic_runner(world: World) -> None:
    """ZenML then keeps the step and asks again."""
    watcher = world.watch(ServiceUnavailable("down"), "JOB_STATE_RUNNING")
    with pytest.raises(ServiceUnavailable):
        watcher.look()
    assert watcher.look() == "running"


def test_each_change_of_state_is_one_line_with_the_time_spent(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """However often the state is read."""
    caplog.set_level(logging.INFO)
    world.step_runs.statuses[RUN] = "completed"
    world.watch(
        *["JOB_STATE_QUEUED"] * 3,
        *["JOB_STATE_PENDING"] * 125,
        *["JOB_STATE_RUNNING"] * 2,
        "JOB_STATE_SUCCEEDED",
    ).follow()
    lines = [record.getMessage() for record in caplog.records]
    assert lines[:2] == ["Vertex AI job 1: QUEUED.", "Vertex AI job 1: PENDING after 3s queued."]
    assert len(lines) == 4
    assert "m " in lines[2]
    assert lines[3].startswith("Vertex AI job 1: SUCCEEDED after 2s running")


def test_an_unknown_state_warns_once_and_counts_as_running(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A state of tomorrow's API."""
    world.step_runs.statuses[RUN] = "completed"
    watcher = world.watch("99", "JOB_STATE_RUNNING", "99", "99", "JOB_STATE_SUCCEEDED")
    assert watcher.look() == "running"
    assert watcher.follow() == "completed"
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "`99`" in warnings[0].getMessage()


def test_looks_become_rarer_while_nothing_changes(world: World) -> None:
    """600 reads a minute are shared by everyone in the project."""
    world.step_runs.statuses[RUN] = "completed"
    world.watch(*["JOB_STATE_RUNNING"] * 400, "JOB_STATE_SUCCEEDED").follow()
    assert world.clock.sleeps[0] == 1.0
    assert world.clock.sleeps[100] == 5.0
    assert world.clock.sleeps[-1] == 15.0
