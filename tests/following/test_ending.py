"""Ending a job, and seeing that it happens."""

import logging

import pytest

from fakes import PARENT, InMemoryJobs, ManualClock
from zenml_vertex.errors import CredentialsError, PermissionDenied, RequestRejected
from zenml_vertex.following.ending import cancel_and_verify, cancel_job
from zenml_vertex.job.identity import JobName


def test_a_cancel_is_verified_to_a_terminal_state() -> None:
    """CancelCustomJob is only a wish; the job's state is the fact."""
    jobs, clock = InMemoryJobs(), ManualClock()
    name = JobName.parse(jobs.script("JOB_STATE_RUNNING"))
    assert cancel_and_verify(jobs, name, clock) == "JOB_STATE_CANCELLED"
    assert jobs.cancelled == [str(name)]


def test_a_job_that_is_over_already_needs_no_cancel() -> None:
    """What the API answers then is not documented; the state decides."""
    jobs = InMemoryJobs()
    name = JobName.parse(jobs.script("JOB_STATE_SUCCEEDED"))
    cancel_job(jobs, name)


def test_a_refused_cancel_of_a_running_job_is_an_error() -> None:
    """A refusal is believed only if the job is over."""

    class Refusing(InMemoryJobs):
        def cancel(self, name: str) -> None:
            del name
            raise RequestRejected("no", code=400)

    jobs = Refusing()
    with pytest.raises(RequestRejected):
        cancel_job(jobs, JobName.parse(jobs.script("JOB_STATE_RUNNING")))


def test_a_deleted_job_is_ended() -> None:
    """There is nothing left to pay for."""
    cancel_job(InMemoryJobs(), JobName.parse(f"{PARENT}/customJobs/77"))
    name = JobName.parse(f"{PARENT}/customJobs/77")
    assert cancel_and_verify(InMemoryJobs(), name, ManualClock()) is None


@pytest.mark.parametrize(
    "fault", [PermissionDenied("no", code=403), CredentialsError("no token"), None]
)
def test_a_job_that_does_not_end_is_named_with_the_command_to_look_at_it(
    fault: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Never silently left running."""

    class Stubborn(InMemoryJobs):
        def cancel(self, name: str) -> None:
            del name
            if fault:
                raise fault

    caplog.set_level(logging.WARNING)
    jobs, clock = Stubborn(), ManualClock()
    name = JobName.parse(jobs.script("JOB_STATE_RUNNING"))
    assert cancel_and_verify(jobs, name, clock, budget_seconds=30) is None
    assert "gcloud ai custom-jobs" in caplog.text
    assert name.job_id in caplog.text
