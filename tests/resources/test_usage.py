"""Who uses a persistent resource, and how long nobody has."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.support.resources import make_content
from zenml_vertex.resources.protocols import NamedJobs
from zenml_vertex.resources.resource import read_resource
from zenml_vertex.resources.usage import Usage, find_oldest, find_usage

NAME = "projects/1/locations/us-central1/persistentResources/warm"
START = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def at(hours: float) -> str:
    """A time as the API has it, in hours after the resource was created."""
    return (START + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def make_job(
    created: float, ended: float | None = None, on: str | None = "warm", state: str = ""
) -> dict[str, Any]:
    """A job, which has succeeded if it has ended."""
    state = state or ("JOB_STATE_RUNNING" if ended is None else "JOB_STATE_SUCCEEDED")
    spec = {"jobSpec": {"persistentResourceId": on}} if on else {}
    times = {"createTime": at(created)}
    if ended is not None:
        times["endTime"] = at(ended)
    return {"name": f"jobs/{created}", "state": state, **spec, **times}


def use(*jobs: dict[str, Any], is_complete: bool = True, **content: Any) -> Usage:
    """Who uses a resource that was RUNNING six minutes after it was created."""
    times = {"createTime": at(0), "startTime": at(0.1)}
    resource = read_resource(make_content(NAME, **{**times, "replicas": 2, **content}))
    return find_usage(resource, NamedJobs(jobs, is_complete))


def idle_hours(usage: Usage, now: float) -> float | None:
    """How long it has been idle."""
    seconds = usage.idle_seconds(START + timedelta(hours=now))
    return None if seconds is None else round(seconds / 3600, 6)


def test_idle_time_counts_from_the_last_end() -> None:
    """Of all jobs that were on it, the one that ended last counts, in whatever order they come."""
    usage = use(make_job(1, 4), make_job(2, 3), make_job(5, 6, on="other"), make_job(5, 7, on=None))
    assert idle_hours(usage, 10) == 6
    assert usage.idle_machine_hours(START + timedelta(hours=10)) == pytest.approx(12)
    assert not usage.was_never_used


def test_idle_time_counts_from_the_start_without_jobs() -> None:
    """A resource on which no job was has been idle since it was RUNNING; it was not before."""
    usage = use()
    assert (idle_hours(usage, 2.1), usage.was_never_used) == (2, True)
    assert idle_hours(use(startTime=None), 2) is None


def test_a_resource_of_the_same_id_before_it_is_another() -> None:
    """The end of a job on a resource that was deleted says nothing of the next one."""
    assert use(make_job(-2, 5)).was_never_used


def test_a_resource_in_use_is_not_idle() -> None:
    """A job that has not ended, and a machine that anybody has, count as use."""
    usage = use(make_job(1, 2), make_job(4), make_job(3))
    assert [job["name"] for job in usage.jobs] == ["jobs/3", "jobs/4"]
    assert idle_hours(usage, 5) is None
    tuning = use(make_job(1, 2), used=1)
    assert (idle_hours(tuning, 5), tuning.has_unknown_users) == (None, True)
    assert idle_hours(use(make_job(1, 2, state="JOB_STATE_OF_2027")), 5) is None


def test_what_was_not_read_makes_nothing_idle() -> None:
    """Of more jobs than were read, one may be on it still."""
    assert idle_hours(use(make_job(1, 2), is_complete=False), 5) is None


def test_a_resource_that_is_not_running_is_not_idle() -> None:
    """One in ERROR or STOPPING is a matter of its own."""
    assert idle_hours(use(make_job(1, 2), state="ERROR"), 5) is None


def test_a_state_without_an_end_time_has_its_last_change() -> None:
    """EXPIRED has no end time that is known: the update counts."""
    job = {**make_job(1, state="JOB_STATE_EXPIRED"), "updateTime": at(3)}
    assert idle_hours(use(job), 5) == 2


def test_jobs_are_read_since_the_oldest_resource() -> None:
    """If one does not say when it was created, all jobs are read."""
    resources = [read_resource(make_content(NAME, createTime=at(hour))) for hour in (3, 1)]
    assert find_oldest(resources) == START + timedelta(hours=1)
    assert find_oldest([*resources, read_resource(make_content(NAME))]) is None
