"""Lists of jobs: in order, and a page costs what it shows."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
import requests

from tests.support.emulators import PARENT, JobOf, Submit
from vertex_emulator import ManualClock, MemoryStore, ScriptedRuntime, VertexEmulator
from vertex_emulator.jobs import service
from vertex_emulator.jobs.creation_order import CreationOrder, position_of
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.list_filter import compile_filter

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
JOB = Job(
    project="p",
    number="1",
    location="us-central1",
    job_id="1",
    request={"displayName": "a job", "jobSpec": {}},
    create_time=START,
    update_time=START,
)


def build_job(number: int, location: str = "us-central1") -> Job:
    """Build a job; two are created in each second."""
    moment = START + timedelta(seconds=number // 2)
    return replace(JOB, job_id=str(100 + number), location=location, create_time=moment)


def test_jobs_are_kept_in_order() -> None:
    """Whatever the order in which jobs are added, the newest comes first, then the highest ID."""
    jobs = [build_job(number) for number in range(20)]
    other = build_job(5, location="europe-west4")
    order = CreationOrder()
    for job in random.Random(1).sample([*jobs, other], 21):
        order.add(job)
    newest = [job.job_id for job in reversed(jobs)]
    assert order.before(JOB.parent, None, 100) == newest
    assert order.before(JOB.parent, position_of(jobs[10]), 3) == ["109", "108", "107"]
    assert order.before(other.parent, None, 100) == [other.job_id]
    assert sorted(order.all(), reverse=True) == sorted([*newest, other.job_id], reverse=True)
    order.remove(jobs[19])
    order.remove(jobs[19])
    assert order.before(JOB.parent, None, 1) == ["118"]


@pytest.fixture
def emulator() -> Iterator[VertexEmulator]:
    """An emulator whose jobs run nothing, and wait."""
    store = MemoryStore()
    with VertexEmulator(clock=ManualClock(), runtime=ScriptedRuntime(), store=store) as emulator:
        yield emulator


def test_a_page_of_jobs_costs_what_it_shows(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page of a list looks at its own jobs and one more, and together they have all jobs."""
    names = [submit(emulator, job_of("true"))["name"] for _ in range(60)]
    looked_at: list[Job] = []

    def compile_counting(text: str) -> Callable[[Job], bool]:
        matches = compile_filter(text)
        return lambda job: looked_at.append(job) or matches(job)  # type: ignore[func-returns-value]

    monkeypatch.setattr(service, "compile_filter", compile_counting)
    query = {"pageSize": "10", "pageToken": "", "filter": 'display_name="a job"'}
    listed: list[str] = []
    while True:
        looked_at.clear()
        answer = requests.get(f"{emulator.url}/v1/{PARENT}/customJobs", query, timeout=10).json()
        assert len(looked_at) <= 11
        listed += [job["name"] for job in answer["customJobs"]]
        query["pageToken"] = answer.get("nextPageToken", "")
        if not query["pageToken"]:
            break
    assert sorted(listed) == sorted(names)
    assert listed == [job.name for job in emulator.jobs]


def test_a_deleted_job_is_on_no_page(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf
) -> None:
    """A job that is deleted between two pages is on none, and the others are still there."""
    for _ in range(4):
        submit(emulator, job_of("true"))
    names = [job.name for job in emulator.jobs]
    url = f"{emulator.url}/v1/{PARENT}/customJobs"
    first = requests.get(url, {"pageSize": "2"}, timeout=10).json()
    for name in (names[1], names[2]):
        emulator._driver.delete(name.rsplit("/", 1)[1])
    query = {"pageSize": "2", "pageToken": first["nextPageToken"]}
    second = requests.get(url, query, timeout=10).json()
    assert [job["name"] for job in second["customJobs"]] == [names[3]]
