"""The end of a failed job's log explains what the service's message does not."""

from datetime import datetime, timezone

import pytest

from tests.support.fakes import PARENT, InMemoryLogs, InMemoryStepRuns, ManualClock
from zenml_vertex.errors import PermissionDenied
from zenml_vertex.following.follower import JobFollower
from zenml_vertex.following.progress import StepLog
from zenml_vertex.job.identity import Attempt, JobName
from zenml_vertex.job.request import JobJson

RUN = "step-run"


def follow(logs: InMemoryLogs | None) -> JobFollower:
    """Follow a job whose step has not reported."""
    return JobFollower(
        step=StepLog("train"),
        name=JobName.parse(f"{PARENT}/customJobs/1"),
        attempt=Attempt(RUN),
        run_id="run",
        reports_itself=True,
        step_runs=InMemoryStepRuns(),
        clock=ManualClock(),
        logs=logs,
    )


def read_message(follower: JobFollower) -> str:
    """Return the message on the step run."""
    assert isinstance(follower.step_runs, InMemoryStepRuns)
    return follower.step_runs.messages[RUN]


def build_failed_job(message: str) -> JobJson:
    """Build a failed job with this message."""
    return {"state": "JOB_STATE_FAILED", "error": {"code": 3, "message": message}}


def test_the_log_of_a_failed_job_explains_it() -> None:
    """The container's last log lines, which are read once, explain an exit status."""
    logs = InMemoryLogs(["Traceback", "ModuleNotFoundError: No module named 'zenml_vertex'"])
    follower = follow(logs)
    follower.see_job(build_failed_job("exited with a non-zero status of 1."))
    assert follower.status == "failed"
    assert "zenml-vertex is not in its image" in read_message(follower)
    assert logs.reads == 1
    assert logs.created is None


def test_the_log_is_read_from_the_creation_on() -> None:
    """The search begins at the job's `createTime`, and is without bound if that cannot be read."""
    for text, created in (
        (
            "2026-02-19T12:58:05.025482Z",
            datetime(2026, 2, 19, 12, 58, 5, 25482, tzinfo=timezone.utc),
        ),
        ("' OR severity>=DEFAULT", None),
    ):
        logs = InMemoryLogs([])
        follow(logs).see_job({**build_failed_job("status of 1."), "createTime": text})
        assert logs.created == created


def test_a_log_that_cannot_be_read_hides_nothing() -> None:
    """Without permission to read logs, the step still fails with the service's own message."""
    follower = follow(InMemoryLogs(PermissionDenied("no logs for you", code=403)))
    follower.see_job(build_failed_job("exited with a non-zero status of 139."))
    assert "SIGSEGV" in read_message(follower)


@pytest.mark.parametrize("state", ["JOB_STATE_SUCCEEDED", "JOB_STATE_CANCELLED"])
def test_no_log_is_read_without_need(state: str) -> None:
    """The log of a job that did not fail is not read: the quota of log reads is small."""
    logs = InMemoryLogs([])
    follow(logs).see_job({"state": state})
    assert logs.reads == 0
