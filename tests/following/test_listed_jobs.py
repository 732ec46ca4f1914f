"""What it costs to take over the steps of a run that another process has submitted."""

import pytest

from tests.support.fakes import PARENT, InMemoryJobs
from tests.support.worlds import LABELS, RUN, Submitted
from zenml_vertex.errors import JobNotFound, PermissionDenied
from zenml_vertex.following.listed_jobs import ListedJobs
from zenml_vertex.following.metadata import build_job_metadata
from zenml_vertex.job.identity import RUN_LABEL, STEP_RUN_LABEL, JobName

STEPS = 30


def script_jobs(jobs: InMemoryJobs, *, state: str = "JOB_STATE_RUNNING") -> list[str]:
    """Add the jobs of a run's steps."""
    return [
        jobs.script(state, labels={**LABELS, RUN_LABEL: RUN, STEP_RUN_LABEL: str(number)})
        for number in range(STEPS)
    ]


def test_the_steps_of_a_run_are_taken_over_with_one_list() -> None:
    """A process that resumes many steps made one request for each before it followed any."""
    world = Submitted()
    names = script_jobs(world.jobs)
    listed = ListedJobs(world.jobs, PARENT)
    for number, name in enumerate(names):
        recorded = build_job_metadata(JobName.parse(name))
        submission = world.open_for(str(number))
        assert str(submission.resume(recorded, read=lambda name: listed.get(RUN, name))) == name
    assert (world.jobs.reads, world.jobs.lists) == (1, 1)


def test_a_listed_job_is_checked_like_one_that_was_read() -> None:
    """A step that named a job of another step in its run did not get it for its own."""
    world = Submitted()
    names = script_jobs(world.jobs)
    listed = ListedJobs(world.jobs, PARENT)
    for name in names[:2]:
        recorded = build_job_metadata(JobName.parse(name))
        found = world.open_for("7").resume(recorded, read=lambda name: listed.get(RUN, name))
        assert str(found) == names[7]


def test_a_job_that_is_not_listed_is_read() -> None:
    """Jobs that have ended, or that nobody is allowed to list, are read one by one."""
    jobs = InMemoryJobs()
    ended = script_jobs(jobs, state="JOB_STATE_SUCCEEDED")
    listed = ListedJobs(jobs, PARENT)
    assert [listed.get(RUN, name)["name"] for name in ended] == ended
    assert (jobs.reads, jobs.lists) == (STEPS, 1)
    jobs.list_errors = [PermissionDenied("no list", code=403)]
    assert [listed.get("other-run", name)["name"] for name in ended] == ended
    assert (jobs.reads, jobs.lists) == (2 * STEPS, 2)
    with pytest.raises(JobNotFound):
        listed.get(RUN, f"{PARENT}/customJobs/404")


def test_a_job_is_found_by_its_number() -> None:
    """A name with the project's ID finds the job that is listed with the project's number."""
    jobs = InMemoryJobs()
    names = script_jobs(jobs)
    listed = ListedJobs(jobs, PARENT)
    listed.get(RUN, names[0])
    number = names[1].rpartition("/")[2]
    found = listed.get(RUN, f"projects/by-id/locations/europe-west4/customJobs/{number}")
    assert found["name"] == names[1]
    assert jobs.reads == 1
