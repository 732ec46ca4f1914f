"""Cancelling a job and verifying that it ends."""

import logging

import pytest

from tests.support.fakes import PARENT, InMemoryJobs, ManualClock
from zenml_vertex.errors import (
    CredentialsError,
    PermissionDenied,
    QuotaExceeded,
    RequestRejected,
    ServiceUnavailable,
    VertexStepOperatorError,
)
from zenml_vertex.following.ending import (
    cancel_and_verify,
    cancel_job,
    cancel_quietly,
)
from zenml_vertex.following.patience import Task, choose_patience
from zenml_vertex.following.progress import JobLog, StepLog
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.request import JobJson


def name_job(name: str) -> JobLog:
    """Return the lines about a job."""
    return StepLog("train").of(JobName.parse(name))


def test_a_cancel_is_verified_to_a_terminal_state() -> None:
    """A cancel is complete only when the job's state is terminal.

    CancelCustomJob only requests it.
    """
    jobs, clock = InMemoryJobs(), ManualClock()
    log = name_job(jobs.script("JOB_STATE_RUNNING"))
    assert cancel_and_verify(jobs, log, clock) == "JOB_STATE_CANCELLED"
    assert jobs.cancelled == [str(log.name)]


def test_a_job_that_has_ended_needs_no_cancel() -> None:
    """A job in a terminal state counts as ended, whatever the API answers to the cancel."""
    jobs = InMemoryJobs()
    log = name_job(jobs.script("JOB_STATE_SUCCEEDED"))
    cancel_job(jobs, log, ManualClock())


def test_a_refused_cancel_of_a_running_job_is_an_error() -> None:
    """A refused cancel is raised unless the job is in a terminal state."""

    class Refusing(InMemoryJobs):
        def cancel(self, name: str) -> None:
            del name
            raise RequestRejected("no", code=400)

    jobs = Refusing()
    with pytest.raises(RequestRejected):
        cancel_job(jobs, name_job(jobs.script("JOB_STATE_RUNNING")), ManualClock())


def test_a_deleted_job_counts_as_ended() -> None:
    """Cancelling a job that no longer exists succeeds, because it costs nothing."""
    cancel_job(InMemoryJobs(), name_job(f"{PARENT}/customJobs/77"), ManualClock())
    log = name_job(f"{PARENT}/customJobs/77")
    assert cancel_and_verify(InMemoryJobs(), log, ManualClock()) is None


@pytest.mark.parametrize(
    "fault", [PermissionDenied("no", code=403), CredentialsError("no token"), None]
)
def test_a_job_that_does_not_end_is_named_with_the_command_to_inspect_it(
    fault: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    """A job that keeps running after its cancel is reported with the command to inspect it."""

    class Stubborn(InMemoryJobs):
        def cancel(self, name: str) -> None:
            del name
            if fault:
                raise fault

    caplog.set_level(logging.WARNING)
    jobs, clock = Stubborn(), ManualClock()
    log = name_job(jobs.script("JOB_STATE_RUNNING"))
    assert cancel_and_verify(jobs, log, clock, budget_seconds=30) is None
    assert "gcloud ai custom-jobs" in caplog.text
    assert str(log) in caplog.text


@pytest.mark.parametrize(
    "fault",
    [
        ServiceUnavailable("Bad Gateway", code=502),
        QuotaExceeded("slow down", code=429),
        PermissionDenied("not yet", code=403),
        CredentialsError("no token"),
    ],
)
def test_a_failed_cancel_is_retried(
    fault: VertexStepOperatorError, caplog: pytest.LogCaptureFixture
) -> None:
    """A cancel that fails for a while is retried until it works, with one line in the log."""

    class Failing(InMemoryJobs):
        def cancel(self, name: str) -> None:
            if clock.now < 1060:
                raise fault
            super().cancel(name)

        def get(self, name: str) -> JobJson:
            if 1060 < clock.now < 1090:
                raise fault
            return super().get(name)

    jobs, clock = Failing(), ManualClock()
    log = name_job(jobs.script("JOB_STATE_RUNNING"))
    assert cancel_and_verify(jobs, log, clock) == "JOB_STATE_CANCELLED"
    assert caplog.text.count(", for up to 2 min in all.") == 1
    assert "may still be running" not in caplog.text


def test_a_cancel_that_keeps_failing_is_given_up() -> None:
    """Retries of a cancel end, and the error tells the user how to cancel the job."""

    class Failing(InMemoryJobs):
        def cancel(self, name: str) -> None:
            del name
            raise error

    error = ServiceUnavailable("Bad Gateway", code=502)
    patience = choose_patience(Task.CANCEL, error).seconds
    jobs, clock = Failing(), ManualClock()
    with pytest.raises(ServiceUnavailable):
        cancel_job(jobs, name_job(jobs.script("JOB_STATE_RUNNING")), clock)
    assert patience <= clock.now - 1000 < patience + 10


def test_a_second_ctrl_c_does_not_keep_a_job_alive() -> None:
    """A second Ctrl-C in the middle of the cancel still cancels the job, and at once."""

    class Interrupted(InMemoryJobs):
        presses = 1

        def cancel(self, name: str) -> None:
            if self.presses:
                self.presses -= 1
                raise KeyboardInterrupt
            super().cancel(name)

    jobs = Interrupted()
    log = name_job(jobs.script("JOB_STATE_RUNNING"))
    with pytest.raises(KeyboardInterrupt):
        cancel_quietly(jobs, log, ManualClock())
    assert jobs.cancelled == [str(log.name)]


def test_a_second_ctrl_c_before_the_cancel_cancels_the_job(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A Ctrl-C while the line about the first one is written leaves no job uncancelled."""

    class Impatient(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "cancelling the job" in record.getMessage():
                raise KeyboardInterrupt

    jobs = InMemoryJobs()
    log = name_job(jobs.script("JOB_STATE_RUNNING"))
    handler, logger = Impatient(), logging.getLogger("zenml_vertex")
    logger.addHandler(handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            cancel_and_verify(jobs, log, ManualClock(), after=KeyboardInterrupt())
    finally:
        logger.removeHandler(handler)
    assert jobs.cancelled == [str(log.name)]
    assert "Vertex AI has accepted the cancel" in caplog.text


def test_a_second_ctrl_c_in_the_wait_confirms_the_cancel(caplog: pytest.LogCaptureFixture) -> None:
    """Who leaves without waiting reads that the cancel was accepted, and how to see the end."""

    class Impatient(ManualClock):
        def sleep(self, seconds: float) -> None:
            del seconds
            raise KeyboardInterrupt

    jobs = InMemoryJobs()
    log = name_job(jobs.script("JOB_STATE_RUNNING"))
    with pytest.raises(KeyboardInterrupt):
        cancel_and_verify(jobs, log, Impatient())
    assert jobs.cancelled == [str(log.name)]
    (line,) = caplog.messages
    assert line.startswith("Step `train` (job 1): Ctrl-C: not waiting any longer.")
    assert "accepted the cancel" in line
    assert line.endswith("gcloud ai custom-jobs describe 1 --region=europe-west4 --project=123")


def test_a_job_that_cannot_be_read_after_its_cancel_is_not_called_uncancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Vertex AI has accepted the cancel: only how the job ends is not known."""
    jobs = InMemoryJobs()
    log = name_job(jobs.script("JOB_STATE_RUNNING"))

    def withdraw(_: int) -> None:
        raise RequestRejected("The permission is gone.", code=400)

    jobs.on_read = withdraw
    assert cancel_and_verify(jobs, log, ManualClock()) is None
    assert jobs.cancelled == [str(log.name)]
    (line,) = caplog.messages
    assert "accepted the cancel, and the job cannot be read: The permission is gone. See" in line
    assert "could not cancel" not in line


@pytest.mark.parametrize(
    ("presses", "said"),
    [
        (1, "Vertex AI has accepted the cancel"),
        (2, "it may still be running and cost money: Ctrl-C"),
    ],
)
def test_a_ctrl_c_in_the_cancel_itself_is_reported_as_it_ended(
    presses: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A cancel is confirmed only if Vertex AI has answered one of its requests."""

    class Interrupted(InMemoryJobs):
        left = presses

        def cancel(self, name: str) -> None:
            if self.left:
                self.left -= 1
                raise KeyboardInterrupt
            super().cancel(name)

    jobs = Interrupted()
    log = name_job(jobs.script("JOB_STATE_RUNNING"))
    with pytest.raises(KeyboardInterrupt):
        cancel_and_verify(jobs, log, ManualClock())
    (line,) = caplog.messages
    assert line.startswith("Step `train` (job 1): ")
    assert said in line
