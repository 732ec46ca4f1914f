"""Watching jobs: one poll serves all steps, and every step comes to an end."""

import logging

import pytest

from tests.support.fakes import SERVER, InMemoryJobs, InMemoryStepRuns
from tests.support.worlds import RUN, START, STEP, Watched
from zenml_vertex.errors import (
    CredentialsError,
    JobNotFound,
    PermissionDenied,
    QuotaExceeded,
    RequestRejected,
    ServerUnreachable,
    ServiceUnavailable,
    StepRunNotFound,
)
from zenml_vertex.following.leaving import end_steps_left
from zenml_vertex.following.protocols import JobList
from zenml_vertex.installation import upgrade_advice
from zenml_vertex.job.identity import ATTEMPT_LABEL, RUN_LABEL, SERVER_LABEL, STEP_RUN_LABEL


@pytest.fixture
def world() -> Watched:
    """A watcher without jobs, whose step runs are running."""
    return Watched()


def test_a_step_has_finished_when_it_has_reported(world: Watched) -> None:
    """A step that reported its success is completed, without waiting for Vertex AI's teardown."""
    world.report(at=START + 30)
    assert world.wait("JOB_STATE_PENDING", "JOB_STATE_RUNNING") == "completed"
    assert world.elapsed < 32
    assert world.step_runs.messages == {}


def test_a_step_that_reported_its_failure_has_failed(world: Watched) -> None:
    """A step that reported its own failure has failed, and no message is added to it."""
    world.report(at=START + 30, status="failed")
    assert world.wait("JOB_STATE_RUNNING") == "failed"
    assert world.elapsed < 32
    assert world.step_runs.messages == {}


def test_a_step_that_will_be_retried_has_failed_this_time(world: Watched) -> None:
    """A RETRYING step run counts as failed: ZenML must not be told that status."""
    world.report(at=START, status="retrying")
    assert world.wait("JOB_STATE_RUNNING") == "failed"


def test_a_job_that_succeeded_without_a_report_fails_its_step(world: Watched) -> None:
    """A step whose job succeeded without a report has failed, because its result is unknown."""
    assert world.wait("JOB_STATE_RUNNING", "JOB_STATE_SUCCEEDED") == "failed"
    assert world.step_runs.ended[STEP] == "failed"
    assert "never reported its result" in world.step_runs.messages[STEP]


def test_a_command_step_reports_nothing_and_is_completed(world: Watched) -> None:
    """A command step, which reports nothing, is completed soon after its job has succeeded."""
    script = ["JOB_STATE_RUNNING"] * 20
    assert world.wait(*script, "JOB_STATE_SUCCEEDED", reports_itself=False) == "completed"
    assert world.step_runs.messages == {}
    assert world.elapsed <= 21 * 5


def test_an_infrastructure_failure_is_explained_on_the_step_run(world: Watched) -> None:
    """The step run says what failed, why, and what to do."""
    error = {"code": 8, "message": "Resources are insufficient in region: europe-west4."}
    follower = world.follow({"state": "JOB_STATE_FAILED", "error": error})
    assert world.watcher.wait(STEP) == "failed"
    text = world.step_runs.messages[STEP]
    assert "found no free machine" in text
    assert "Resources are insufficient in region: europe-west4." in text
    assert "Next: run the step again later" in text
    assert str(follower.name) in text
    assert follower.name.logs_url in text


def test_a_cancelled_job_stops_its_step(world: Watched) -> None:
    """The step of a cancelled job is stopped, and its step run says why."""
    assert world.wait("JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED") == "stopped"
    assert world.step_runs.ended[STEP] == "stopped"
    assert "was cancelled" in world.step_runs.messages[STEP]


@pytest.mark.parametrize(("reported", "status"), [("running", "failed"), ("stopping", "stopped")])
def test_a_step_that_used_up_its_time_has_failed(reported: str, status: str) -> None:
    """ZenML retries a failed step, and never a stopped one; a step told to stop is stopped."""
    world = Watched()
    world.step_runs.initial = reported
    job = {
        "state": "JOB_STATE_CANCELLED",
        "startTime": "2026-02-19T17:06:24Z",
        "endTime": "2026-02-19T18:06:24.5Z",
        "jobSpec": {"scheduling": {"timeout": "3600s"}},
    }
    assert world.wait(job) == status
    assert "reached its timeout of 1 h" in world.step_runs.messages[STEP]


def test_the_jobs_that_a_process_leaves_are_named(caplog: pytest.LogCaptureFixture) -> None:
    """A process that ends names the jobs that may go on, each with the command that ends it."""
    world = Watched()
    world.follow("JOB_STATE_RUNNING", step_run_id="left")
    world.follow("JOB_STATE_RUNNING", step_run_id="also left")
    world.follow("JOB_STATE_FAILED", step_run_id="ended")
    world.watcher.wait("ended")
    end_steps_left([(world.jobs, follower) for follower in world.watcher.left])
    assert caplog.messages[-1] == (
        "This process ends, and 2 Vertex AI jobs that it followed may go on and cost money. "
        "`zenml-vertex jobs list` shows what is running. To end them:\n"
        "gcloud ai custom-jobs cancel 1 --region=europe-west4 --project=123\n"
        "gcloud ai custom-jobs cancel 2 --region=europe-west4 --project=123"
    )


@pytest.mark.parametrize("state", ["JOB_STATE_EXPIRED", "JOB_STATE_PARTIALLY_SUCCEEDED"])
def test_every_other_terminal_state_is_a_failure(world: Watched, state: str) -> None:
    """Each remaining terminal state fails the step, rather than being waited on forever."""
    assert world.wait(state) == "failed"


def test_a_deleted_job_ends_its_step(world: Watched) -> None:
    """A job that is not found ends its step after a minute and five tries, and not before."""
    assert world.wait("JOB_STATE_RUNNING", JobNotFound("gone", code=404)) == "failed"
    assert "does not exist any more" in world.step_runs.messages[STEP]
    assert 60 <= world.elapsed < 120
    assert world.jobs.reads >= 5


def test_a_job_that_is_not_found_for_a_moment_is_followed(world: Watched) -> None:
    """A new job is followed even if lists and reads do not show it at first."""
    world.report(at=START + 40)
    lost = JobNotFound("not yet", code=404)
    assert world.wait(lost, lost, lost, "JOB_STATE_RUNNING") == "completed"


def test_a_deleted_step_run_ends_its_job(world: Watched) -> None:
    """A job whose step run is not found five times is cancelled."""
    world.step_runs.deleted = {STEP}
    assert world.wait("JOB_STATE_RUNNING") == "stopped"
    assert 15 <= world.elapsed < 60
    assert world.jobs.cancelled == [str(world.watcher.find(STEP).name)]  # type: ignore[union-attr]


def test_a_step_run_that_is_not_found_for_a_moment_is_followed(world: Watched) -> None:
    """Failed reads of a step run end nothing if it is found again in between."""
    world.report(at=START + 200)
    lost = StepRunNotFound("not now")
    world.step_runs.question_errors = [lost, lost, lost, lost, None] * 100
    assert world.wait("JOB_STATE_RUNNING") == "completed"
    assert world.jobs.cancelled == []


@pytest.mark.parametrize("state", ["JOB_STATE_FAILED", "JOB_STATE_CANCELLED"])
def test_a_deleted_step_run_does_not_disturb_the_others(world: Watched, state: str) -> None:
    """When one step run is deleted, the other steps are followed to their own ends."""
    world.report(at=START + 200)
    other = world.follow("JOB_STATE_RUNNING", state, step_run_id="deleted")
    world.step_runs.deleted = {"deleted"}
    assert world.wait("JOB_STATE_RUNNING") == "completed"
    assert world.elapsed < 210
    assert other.status == "stopped"


def test_a_lost_permission_ends_the_step_after_its_grace_period(world: Watched) -> None:
    """A lost permission ends the step after fifteen minutes, in which it can be restored."""
    world.jobs.list_errors = [PermissionDenied("no", code=403)] * 1000
    assert world.wait(PermissionDenied("no", code=403)) == "failed"
    assert world.elapsed >= 15 * 60
    assert "it may still be running" in world.step_runs.messages[STEP]


def test_a_permission_that_is_restored_in_time_ends_nothing(world: Watched) -> None:
    """A permission that is restored in time leaves no trace on the step run."""
    world.report(at=START + 14 * 60)
    world.jobs.list_errors = [PermissionDenied("no", code=403)] * 20
    assert world.wait(*[PermissionDenied("no", code=403)] * 20, "JOB_STATE_RUNNING") == "completed"
    assert world.step_runs.messages == {}


@pytest.mark.parametrize(
    "error", [PermissionDenied("no", code=403), RequestRejected("no such filter", code=400)]
)
def test_jobs_that_cannot_be_listed_are_read(world: Watched, error: Exception) -> None:
    """The permission `customJobs.get` alone is enough to follow a job."""
    world.jobs.list_errors = [error] * 1000
    assert world.wait("JOB_STATE_RUNNING", "JOB_STATE_FAILED") == "failed"
    assert world.elapsed < 30


def test_each_kind_of_failure_has_its_own_patience(world: Watched) -> None:
    """A job that is not found for a moment after a one-hour outage is still followed."""

    class Down(InMemoryJobs):
        def list(self, *_: object, **__: object) -> JobList:
            if world.elapsed < 3600:
                raise ServiceUnavailable("Vertex AI gave no answer.")
            raise PermissionDenied("list is not allowed", code=403)

    world.jobs = Down()
    world.watcher = world.new_watcher()
    not_found = JobNotFound("not found", code=404)
    world.report(at=START + 7200)
    assert world.wait(not_found, not_found, "JOB_STATE_RUNNING") == "completed"
    assert world.jobs.reads > 2


def test_an_expired_login_ends_the_step_after_the_same_grace_period(world: Watched) -> None:
    """An expired login ends the step after fifteen minutes, rather than at once or never."""
    expired = CredentialsError("No access token: run `gcloud auth login` again.")
    world.jobs.list_errors = [expired] * 1000
    assert world.wait("JOB_STATE_RUNNING") == "failed"
    assert world.elapsed >= 15 * 60
    assert "`gcloud auth login`" in world.step_runs.messages[STEP]


def test_a_login_that_is_renewed_in_time_ends_nothing(world: Watched) -> None:
    """A job is followed further when its expired login is renewed in time."""
    world.report(at=START + 60)
    world.jobs.list_errors = [CredentialsError("No access token.")] * 2
    assert world.wait("JOB_STATE_RUNNING") == "completed"


def test_ten_minutes_without_an_answer_are_one_log_line(
    world: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """The step is followed through ten minutes without answers, with one line in the log."""
    caplog.set_level(logging.INFO)
    world.report(at=START + 601)
    down = ServiceUnavailable("Vertex AI gave no answer.")
    world.jobs.list_errors = [down] * 21
    world.step_runs.question_errors = [ServerUnreachable("The ZenML server is down.")] * 16
    assert world.wait(*[down] * 21, "JOB_STATE_RUNNING") == "completed"
    assert 600 < world.elapsed < 720
    lines = [record.getMessage() for record in caplog.records]
    assert sum("gave no answer" in line for line in lines) == 1
    assert sum("ZenML server is down" in line for line in lines) == 1


def test_a_day_without_an_answer_ends_the_step(world: Watched) -> None:
    """After two hours and sixty tries without an answer, the step fails with a diagnosis."""
    down = ServiceUnavailable("Vertex AI gave no answer.")
    world.jobs.list_errors = [down] * 10_000
    assert world.wait(down) == "failed"
    assert 2 * 3600 <= world.elapsed < 8 * 3600
    assert "cannot be followed any longer" in world.step_runs.messages[STEP]


def test_a_server_that_never_comes_back_does_not_hold_the_step(
    world: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """If the job has ended and the ZenML server does not answer, the step fails in the end."""

    def unreachable(*_: object) -> str:
        raise ServerUnreachable("The ZenML server is down.")

    world.step_runs.status = unreachable  # type: ignore[method-assign, assignment]
    world.step_runs.fail = unreachable  # type: ignore[method-assign, assignment]
    assert world.wait("JOB_STATE_SUCCEEDED") == "failed"
    assert 2 * 3600 <= world.elapsed < 8 * 3600
    assert "The ZenML server is down." in caplog.text


def test_an_exhausted_quota_is_respected(world: Watched) -> None:
    """After 429, Vertex AI is not called before Retry-After has passed."""
    world.report(at=START + 90)
    world.jobs.list_errors = [QuotaExceeded("slow down", code=429, retry_after=60)]
    assert world.wait("JOB_STATE_RUNNING") == "completed"
    assert world.jobs.lists == 1 + (90 - 60) // 5


def test_an_unknown_state_warns_once_and_counts_as_running(
    world: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """An unknown job state is logged once as a warning and counts as running."""
    world.report(at=START + 20)
    world.follow("99", "JOB_STATE_RUNNING", "99")
    assert world.watcher.poll(STEP) == "running"
    assert world.watcher.wait(STEP) == "completed"
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "`99`" in warnings[0].getMessage()


def test_a_duplicate_job_of_a_step_is_cancelled(
    world: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    """A job left by a create whose answer was lost is cancelled once a list shows it."""
    world.report(at=START + 20)
    world.follow("JOB_STATE_RUNNING")
    labels = {RUN_LABEL: RUN, STEP_RUN_LABEL: STEP, SERVER_LABEL: SERVER}
    extra = world.jobs.script("JOB_STATE_RUNNING", labels=labels)
    other = world.jobs.script(
        "JOB_STATE_RUNNING", labels={RUN_LABEL: RUN, STEP_RUN_LABEL: "of-another-process"}
    )
    elsewhere = world.jobs.script(
        "JOB_STATE_RUNNING", labels={**labels, SERVER_LABEL: "with-a-copy-of-the-database"}
    )
    assert world.watcher.wait(STEP) == "completed"
    assert world.jobs.cancelled == [extra]
    assert other not in world.jobs.cancelled
    assert elsewhere not in world.jobs.cancelled
    assert "is a duplicate for its step" in caplog.text


def test_a_state_that_stays_unknown_ends_the_step_after_hours(world: Watched) -> None:
    """A job that stays in an unknown state fails its step after hours."""
    assert world.wait("99") == "failed"
    assert 6 * 3600 <= world.elapsed < 7 * 3600
    assert upgrade_advice() in world.step_runs.messages[STEP]


def test_a_state_that_is_unknown_for_a_while_ends_nothing(world: Watched) -> None:
    """A job that returns from an unknown state in time is followed, however often that happens."""
    hours = [*["99"] * 200, "JOB_STATE_RUNNING"] * 5
    world.report(at=START + 20 * 3600)
    assert world.wait(*hours) == "completed"


def test_the_status_of_the_server_wins_over_the_operators(
    world: Watched,
) -> None:
    """The operator returns the status that is on the step run, even if it tried to set another."""

    class Stopping(InMemoryStepRuns):
        def fail(self, step_run_id: str, message: str) -> str:
            super().fail(step_run_id, message)
            return "stopped"

    world.step_runs = Stopping()
    world.watcher = world.new_watcher()
    assert world.wait("JOB_STATE_FAILED") == "stopped"


def test_asking_for_an_unwatched_step_run_is_an_error(world: Watched) -> None:
    """Asking for a step run that is not watched raises, rather than saying that it runs."""
    with pytest.raises(KeyError):
        world.watcher.poll("unknown")


def test_a_job_of_another_attempt_is_not_a_duplicate(world: Watched) -> None:
    """Each attempt has a job of its own; a job without an attempt label belongs to the first."""
    world.report(at=START + 20)
    first = {
        RUN_LABEL: RUN,
        STEP_RUN_LABEL: STEP,
        SERVER_LABEL: SERVER,
        ATTEMPT_LABEL: "1",
    }
    second = {**first, ATTEMPT_LABEL: "2"}
    world.follow("JOB_STATE_RUNNING")
    duplicate = world.jobs.script("JOB_STATE_RUNNING", labels=first)
    world.jobs.script("JOB_STATE_RUNNING", labels=second)
    assert world.watcher.wait(STEP) == "completed"
    assert world.jobs.cancelled == [duplicate]
