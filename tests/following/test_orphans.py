"""Orphaned jobs: those that no client follows."""

from datetime import datetime, timedelta, timezone

import pytest

from tests.support.fakes import PARENT, InMemoryJobs, InMemoryStepRuns
from zenml_vertex.following.clients import sign_off
from zenml_vertex.following.orphans import (
    TEARDOWN,
    Orphan,
    OrphanSecret,
    explain_end,
    explain_orphan,
    find_orphan_secrets,
    find_orphans,
    list_live_jobs,
)
from zenml_vertex.following.protocols import JobList, StepRunRecord
from zenml_vertex.job.identity import Attempt, JobName
from zenml_vertex.job.request import JobJson
from zenml_vertex.job.secrets import SecretName

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


AWAITED, FAILED, OF_A_STOPPED_RUN, MISSING = (
    f"7c9e6679-7425-40de-944b-e07fc1f90ae{number}" for number in range(4)
)


def _job(number: int, step_run_id: str, state: str = "JOB_STATE_RUNNING") -> JobJson:
    return {
        "name": f"{PARENT}/customJobs/{number}",
        "state": state,
        "labels": {"zenml-step-run-id": step_run_id, "zenml-step": "train"},
    }


def test_orphans_are_told_apart_from_followed_jobs() -> None:
    """Each orphan is listed with a reason.

    Terminal jobs and jobs without the ID of a step run in our label are not listed.
    """
    step_runs = InMemoryStepRuns()
    step_runs.found = {
        AWAITED: StepRunRecord("running", "running", None),
        FAILED: StepRunRecord("failed", "running", None),
        OF_A_STOPPED_RUN: StepRunRecord("running", "stopped", None),
    }
    jobs = [
        _job(1, AWAITED),
        _job(2, FAILED),
        _job(3, OF_A_STOPPED_RUN),
        _job(4, MISSING),
        _job(5, FAILED, "JOB_STATE_CANCELLED"),
        {"name": f"{PARENT}/customJobs/6", "state": "JOB_STATE_RUNNING"},
        _job(7, ""),
        _job(8, "rubbish"),
        _job(9, MISSING.replace("-", "")),
    ]
    found = list(find_orphans(jobs, step_runs, NOW))
    assert [(orphan.name.job_id, orphan.reason) for orphan in found] == [
        ("2", "its step run is failed"),
        ("3", "its pipeline run is stopped"),
        ("4", "its step run no longer exists"),
    ]
    assert found[0] == Orphan(
        JobName.parse(f"{PARENT}/customJobs/2"),
        "train",
        "JOB_STATE_RUNNING",
        "its step run is failed",
    )


@pytest.mark.parametrize(
    ("status", "run_status"),
    [
        ("running", "running"),
        ("provisioning", "running"),
        ("provisioning", "initializing"),
        ("queued", "provisioning"),
    ],
)
def test_the_job_of_an_unfinished_step_is_not_an_orphan(status: str, run_status: str) -> None:
    """The job of an unfinished step is not an orphan: another machine may run the pipeline."""
    assert explain_orphan(StepRunRecord(status, run_status, None), NOW) is None


@pytest.mark.parametrize("run_status", ["running", "failed"])
def test_the_job_of_a_client_that_detached_is_nobodys_orphan(run_status: str) -> None:
    """The local orchestrator has the run fail when its client detaches; the job is to go on.

    Nor is its secret taken away from a container that has yet to read it.
    """
    step_runs = InMemoryStepRuns()
    sign_off(step_runs, AWAITED)
    record = StepRunRecord("running", run_status, None, metadata=step_runs.metadata[AWAITED])
    assert explain_orphan(record, NOW) is None
    assert explain_end(record, NOW) is None
    told_to_stop = StepRunRecord("stopping", run_status, None, metadata=step_runs.metadata[AWAITED])
    assert explain_orphan(told_to_stop, NOW) == "its step run is stopping"


def test_a_job_that_outlives_its_step_beyond_the_teardown_is_an_orphan() -> None:
    """A job that outlives its step by more than Vertex AI's teardown is an orphan."""
    just_now = StepRunRecord("completed", "completed", NOW - timedelta(seconds=60))
    assert explain_orphan(just_now, NOW) is None
    long_ago = StepRunRecord("completed", "completed", NOW - TEARDOWN)
    assert explain_orphan(long_ago, NOW) == "its step has finished"
    unknown = StepRunRecord("completed", "completed", None)
    assert explain_orphan(unknown, NOW) is not None


def test_only_active_jobs_of_this_server_are_listed() -> None:
    """The filter for active jobs of this server uses documented syntax: labels, `!=` and AND."""
    asked = []

    class Recorder(InMemoryJobs):
        def list(self, parent: str, job_filter: str, **_: object) -> JobList:
            asked.append((parent, job_filter))
            return super().list(parent, job_filter)

    assert list_live_jobs(Recorder(), PARENT, "AB-12") == ()
    assert asked == [
        (
            PARENT,
            'labels.zenml-server-id="ab-12" AND state!="JOB_STATE_SUCCEEDED" '
            'AND state!="JOB_STATE_FAILED" AND state!="JOB_STATE_CANCELLED" '
            'AND state!="JOB_STATE_EXPIRED" AND state!="JOB_STATE_PARTIALLY_SUCCEEDED"',
        )
    ]


def test_orphaned_secrets_are_told_from_others() -> None:
    """A secret of a step that has finished is an orphan; nobody else's secret ever is.

    Whoever could label a secret had one of somebody else's destroyed: its name has to be that
    of the attempt in its labels, and its server this one.
    """
    step_runs = InMemoryStepRuns()
    step_runs.found = {
        AWAITED: StepRunRecord("running", "running", None),
        FAILED: StepRunRecord("failed", "running", None),
    }

    def secret(step_run_id: str, name: str = "", **labels: str) -> JobJson:
        own = {
            "zenml-server-id": "server",
            "zenml-step-run-id": step_run_id,
            "zenml-attempt": "1",
            "zenml-step": "train",
        }
        name = name or f"zenml-vertex-{step_run_id}-1"
        return {"name": f"projects/12/secrets/{name}", "labels": {**own, **labels}}

    listed = [
        secret(AWAITED),
        secret(FAILED),
        secret(MISSING, **{"zenml-server-id": "other"}),
        secret(MISSING, "database-password"),
        secret(MISSING, **{"zenml-attempt": "2"}),
        secret("rubbish"),
        {"name": f"projects/12/secrets/zenml-vertex-{MISSING}-1"},
    ]
    found = list(find_orphan_secrets(listed, step_runs, project="p", server_id="SERVER", now=NOW))
    assert found == [
        OrphanSecret(SecretName.of("p", Attempt(FAILED)), "train", "its step run is failed")
    ]
