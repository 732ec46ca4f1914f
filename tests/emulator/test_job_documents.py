"""A job's document and the refusals of its calls, as recorded of the real service.

Creates and gets: recordings of the REST API in GoogleCloudPlatform/k8s-config-connector,
`vertexaicustomjob-maximal/_http.log` at commit bd5aacd. Times: jobs described in gretjia/omega.
"""

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tests.support.emulators import PARENT, JobOf, Json, Submit, call, error_of
from vertex_emulator import JobState, ManualClock, Timings, VertexEmulator
from vertex_emulator.core.times import format_timestamp
from vertex_emulator.jobs.events import CancelRequested, Due, Event, ReplicaEnded
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.lifecycle import advance, begin
from vertex_emulator.runtimes.contract import Exit
from vertex_emulator.runtimes.scripted import Script, ScriptedRuntime

START = datetime(2026, 2, 19, 17, 3, 34, 35_308, tzinfo=timezone.utc)
INVALID_NAME = "List of found errors:\t1.Field: name; Message: Invalid CustomJob resource name.\t"


def test_the_answer_to_a_create(emulator: VertexEmulator) -> None:
    """As recorded, a create fills in the disk, adds nothing else, and leaves out what is empty."""
    pool = {
        "containerSpec": {"command": ["sh", "-c", "echo hello world"], "imageUri": "alpine:latest"},
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": "1",
    }
    sent = {
        "displayName": "maximal-job",
        "jobSpec": {
            "enableWebAccess": True,
            "scheduling": {"timeout": "1800s"},
            "serviceAccount": "",
            "workerPoolSpecs": [{**pool, "nfsMounts": []}],
        },
        "labels": {"foo": "bar"},
    }
    answer = call(emulator, "POST", f"/v1beta1/{PARENT}/customJobs", json=sent).json()
    name = answer.pop("name")
    assert re.fullmatch(r"projects/[0-9]{12}/locations/us-central1/customJobs/[1-9]\d{17,18}", name)
    created = answer.pop("createTime")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}(\d{3})?)?Z", created)
    assert answer == {
        "displayName": "maximal-job",
        "jobSpec": {
            "enableWebAccess": True,
            "scheduling": {"timeout": "1800s"},
            "workerPoolSpecs": [
                {**pool, "diskSpec": {"bootDiskSizeGb": 100, "bootDiskType": "pd-ssd"}}
            ],
        },
        "labels": {"foo": "bar"},
        "state": "JOB_STATE_PENDING",
        "updateTime": created,
    }


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("POST", ":cancel"), ("DELETE", "")], ids=lambda one: one
)
def test_a_job_that_is_not_there(emulator: VertexEmulator, method: str, path: str) -> None:
    """An ID that is not a number is an invalid name, and a job that does not exist is not found."""
    for wrong in ("customjob-1", "12x", "١٢"):
        error = error_of(call(emulator, method, f"/v1/{PARENT}/customJobs/{wrong}{path}"))
        assert error == {"code": 400, "message": INVALID_NAME, "status": "INVALID_ARGUMENT"}
    for missing in ("404", "7468771114961862656", "9" * 25):
        error = error_of(call(emulator, method, f"/v1/{PARENT}/customJobs/{missing}{path}"))
        assert (error["code"], error["status"]) == (404, "NOT_FOUND")
        assert error["message"] == "The CustomJob does not exist."


@pytest.mark.parametrize(
    ("job", "field"),
    [
        ({"jobSpec": {}}, "job_spec.worker_pool_specs"),
        ({"jobSpec": {"workerPoolSpecs": []}}, "job_spec.worker_pool_specs"),
        ({}, "job_spec"),
    ],
)
def test_a_job_without_pools_names_what_is_missing(
    emulator: VertexEmulator, job: Json, field: str
) -> None:
    """An empty job spec lacks its worker pools, and an absent one is missing itself."""
    body = {"displayName": "a job", **job}
    error = error_of(call(emulator, "POST", f"/v1/{PARENT}/customJobs", json=body))
    assert [item["field"] for item in error["details"][0]["fieldViolations"]] == [field]


def test_an_active_job_is_not_deleted_and_an_ended_one_not_cancelled(
    submit: Submit, job_of: JobOf
) -> None:
    """Each is refused with the job's name and state, and after the end a job can be deleted."""
    clock = ManualClock()
    runtime = ScriptedRuntime(lambda _: Script(100.0))
    with VertexEmulator(clock=clock, runtime=runtime, timings=Timings(5, 10, 20)) as emulator:
        job_id = submit(emulator, job_of("true"))["name"].rsplit("/", 1)[-1]
        path = f"/v1/{PARENT}/customJobs/{job_id}"
        refusal = f'The CustomJob "{PARENT}/customJobs/{job_id}" is in state JOB_STATE_'
        for seconds, state in ((0, "QUEUED"), (5, "PENDING"), (10, "RUNNING"), (110, "RUNNING")):
            clock.advance(seconds)
            error = error_of(call(emulator, "DELETE", path))
            assert (error["code"], error["status"]) == (400, "FAILED_PRECONDITION")
            assert error["message"] == f"{refusal}{state} and cannot be deleted."
        clock.advance(10)
        error = error_of(call(emulator, "POST", f"{path}:cancel", json={}))
        assert (error["code"], error["status"]) == (400, "FAILED_PRECONDITION")
        assert error["message"] == f"{refusal}SUCCEEDED and cannot be canceled."
        assert call(emulator, "DELETE", path).json()["done"] is True
        assert call(emulator, "GET", path).status_code == 404


def test_the_teardown_goes_on_after_the_end(submit: Submit, job_of: JobOf) -> None:
    """As recorded, a job ends before its state says so, and is torn down after that."""
    clock = ManualClock(START)
    runtime = ScriptedRuntime(lambda _: Script(63.0))
    timings = Timings(provisioning=294.5, teardown=19, cleanup=50)
    with VertexEmulator(clock=clock, runtime=runtime, timings=timings) as emulator:
        name = submit(emulator, job_of("true"))["name"]
        clock.advance(294.5 + 63 + 18)
        assert emulator.job(name).state is JobState.RUNNING
        assert "endTime" not in requests.get(f"{emulator.url}/v1/{name}", timeout=10).json()
        clock.advance(1)
        ended = requests.get(f"{emulator.url}/v1/{name}", timeout=10).json()
        assert ended["state"] == "JOB_STATE_SUCCEEDED"
        assert ended["createTime"] == "2026-02-19T17:03:34.035308Z"
        assert ended["startTime"] == "2026-02-19T17:08:28Z"
        assert ended["endTime"] == "2026-02-19T17:09:31Z"
        assert ended["updateTime"] == "2026-02-19T17:09:50.535308Z"
        before = len(emulator.log_entries(name))
        clock.advance(49)
        assert len(emulator.log_entries(name)) == before
        clock.advance(1)
        assert len(emulator.log_entries(name)) == before + 2
        assert requests.get(f"{emulator.url}/v1/{name}", timeout=10).json() == ended


def test_the_last_lines_are_written_by_the_next_emulator(
    submit: Submit, job_of: JobOf, tmp_path: Path
) -> None:
    """A teardown that an emulator has begun is ended by the one that comes after a crash."""
    clock = ManualClock()
    options: dict[str, Any] = {
        "clock": clock,
        "data_dir": tmp_path,
        "runtime": ScriptedRuntime(),
        "timings": Timings(0, 0, 0, cleanup=60),
    }
    with VertexEmulator(**options) as emulator:
        name = submit(emulator, job_of("true"))["name"]
        clock.settle()
        assert emulator.job(name).is_terminal
        before = len(emulator.log_entries(name))
        emulator.crash()
    with VertexEmulator(**options) as again:
        clock.advance(60)
        assert len(again.log_entries(name)) == before + 2


@pytest.mark.parametrize(
    ("microsecond", "text"),
    [
        (0, "34Z"),
        (500_000, "34.500Z"),
        (1_000, "34.001Z"),
        (35_308, "34.035308Z"),
        (1, "34.000001Z"),
    ],
)
def test_a_time_has_the_digits_that_it_needs(microsecond: int, text: str) -> None:
    """A time has no, three or six digits of a second, as protocol messages have in JSON."""
    assert format_timestamp(START.replace(microsecond=microsecond)) == f"2026-02-19T17:03:{text}"


waits = st.floats(0, 3, allow_nan=False).map(lambda seconds: timedelta(seconds=seconds))


@given(st.lists(waits, min_size=6, max_size=6), st.sampled_from(["end", "fail", "cancel"]))
def test_no_time_precedes_another(moments: list[timedelta], how: str) -> None:
    """Whatever the fractions of seconds are, a job's times are in their order."""
    queued, provisioned, ran, stopped, ended, cleaned = moments
    timings = Timings(
        queueing=queued.total_seconds(),
        provisioning=provisioned.total_seconds(),
        teardown=ended.total_seconds(),
        cleanup=cleaned.total_seconds(),
    )
    job = Job("p", "1", "us-central1", "2", {"jobSpec": {}}, START + stopped, START + stopped)
    job, _ = begin(job, timings)
    now = job.create_time

    def tell(event: Event, wait: timedelta) -> None:
        nonlocal job, now
        now += wait
        while (due := job.next_time) is not None and due <= now:
            job, _ = advance(job, Due(), due, timings)
        job, _ = advance(job, event, now, timings)
        _check_times(job)

    if how == "cancel":
        tell(CancelRequested(), ran)
    else:
        tell(Due(), queued + provisioned)
        tell(ReplicaEnded(1, Exit(int(how == "fail"))), ran)
    tell(ReplicaEnded(1, Exit(143)), stopped)
    tell(Due(), ended + cleaned + timedelta(microseconds=2))
    assert job.is_terminal


def _check_times(job: Job) -> None:
    shown = job.to_json()
    names = [name for name in ("createTime", "startTime", "endTime", "updateTime") if name in shown]
    times = [datetime.fromisoformat(shown[name].replace("Z", "+00:00")) for name in names]
    assert times == sorted(times)
    assert ("endTime" in shown) == job.is_terminal
    if job.state is JobState.CANCELLED:
        assert shown["endTime"] == shown["updateTime"]
