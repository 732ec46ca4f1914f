"""The end of a failed job's log explains what the service does not."""

import pytest

from tests.support.fakes import PARENT, InMemoryLogs, InMemoryStepRuns, ManualClock
from zenml_vertex.errors import PermissionDenied
from zenml_vertex.following.follower import JobFollower
from zenml_vertex.job.identity import Attempt, JobName
from zenml_vertex.job.request import JobJson

RUN = "step-run"


def follow(logs: InMemoryLogs | None) -> JobFollower:
    """A follower of a job whose step has not reported."""
    return JobFollower(
        name=JobName.parse(f"{PARENT}/customJobs/1"),
        attempt=Attempt(RUN),
        run_id="run",
        reports_itself=True,
        step_runs=InMemoryStepRuns(),
        clock=ManualClock(),
        logs=logs,
    )


def said(follower: JobFollower) -> str:
    """What stands on the step run."""
    assert isinstance(follower.step_runs, InMemoryStepRuns)
    return follower.step_runs.messages[RUN]


def failed(message: str) -> JobJson:
    """A job that has failed with this message."""
    return {"state": "JOB_STATE_FAILED", "error": {"code": 3, "message": message}}


def test_the_log_of_a_failed_job_explains_it() -> None:
    """An exit status says nothing; the container's last lines are read, once, and say why."""
    logs = InMemoryLogs(["Traceback", "ModuleNotFoundError: No module named 'zenml_vertex'"])
    follower = follow(logs)
    follower.see_job(failed("exited with a non-zero status of 1."))
    assert follower.status == "failed"
    assert "zenml-vertex is not in its image" in said(follower)
    assert logs.reads == 1


def test_a_log_that_cannot_be_read_hides_nothing() -> None:
    """Without the permission to read logs, the step still fails with what the service says."""
    follower = follow(InMemoryLogs(PermissionDenied("no logs for you", code=403)))
    follower.see_job(failed("exited with a non-zero status of 139."))
    assert "SIGSEGV" in said(follower)


@pytest.mark.parametrize("state", ["JOB_STATE_SUCCEEDED", "JOB_STATE_CANCELLED"])
def test_no_log_is_read_without_need(state: str) -> None:
    """Reads of logs are few for a whole project: a job that did not fail costs none."""
    logs = InMemoryLogs([])
    follow(logs).see_job({"state": state})
    assert logs.reads == 0
