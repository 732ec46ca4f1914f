"""One job for one step run, and none that nobody knows of."""

import logging

import pytest

from fakes import PARENT, InMemoryJobs, InMemoryStepRuns
from zenml_vertex.errors import CredentialsError, RequestRejected, VertexStepOperatorError
from zenml_vertex.following.submission import submit_job

JOB = {"displayName": "run-train"}


def test_the_job_is_named_on_its_step_run_as_soon_as_it_exists() -> None:
    """Whole resource name, and links for people."""
    jobs, step_runs = InMemoryJobs(), InMemoryStepRuns()
    name = submit_job(jobs, step_runs, parent=PARENT, job=JOB, step_run_id="s")
    assert jobs.created == [JOB]
    assert step_runs.metadata["s"] == {
        "zenml_vertex.job_name": f"{PARENT}/customJobs/1",
        "job_name": f"{PARENT}/customJobs/1",
        "zenml_vertex.console_url": name.console_url,
        "zenml_vertex.logs_url": name.logs_url,
    }


@pytest.mark.parametrize("error", [RuntimeError("server down"), KeyboardInterrupt()])
def test_a_job_whose_name_cannot_be_recorded_is_cancelled(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Row S: a crash between create and publishing orphans the built-in operator's job."""
    jobs, step_runs = InMemoryJobs(), InMemoryStepRuns()
    step_runs.record_error = error
    with pytest.raises(type(error)):
        submit_job(jobs, step_runs, parent=PARENT, job=JOB, step_run_id="s")
    assert jobs.cancelled == [f"{PARENT}/customJobs/1"]
    assert f"{PARENT}/customJobs/1" in caplog.text


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
    jobs, step_runs = Refusing(), InMemoryStepRuns()
    step_runs.record_error = RuntimeError("server down")
    with pytest.raises(RuntimeError, match="server down"):
        submit_job(jobs, step_runs, parent=PARENT, job=JOB, step_run_id="s")
    assert "may still be running and cost money" in caplog.text
