"""However a job ends, its step ends with a reason, in static and dynamic pipelines."""

import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.pipelines import StartShared, find_jobs, find_progress
from zenml_vertex.following.metadata import find_recorded_name
from zenml_vertex.local_stack.processes.loopback import send_request
from zenml_vertex.local_stack.stack import LocalStack
from zenml_vertex.local_stack.views.pipelines import Completed
from zenml_vertex.local_stack.views.zenml import StepRecord

# A job that is not found is searched for during a minute.
SECONDS = 180


@dataclass
class Ended:
    """A pipeline whose steps have all ended.

    Args:
        completed: The completed run.
        deleted: The run whose job is deleted; for a dynamic pipeline, the same run.
        stack: The stack on which they ran.
    """

    completed: Completed
    deleted: Completed
    stack: LocalStack

    def step(self, name: str) -> StepRecord:
        """Return the last attempt at a step."""
        return self.completed.run.step(name)

    def job(self, name: str) -> dict[str, Any]:
        """Return the only job of a step."""
        (job,) = find_jobs(self.stack, self.completed.run.id, name)
        return job

    def log(self, name: str) -> str:
        """Return what the container of a step wrote."""
        return "\n".join(self.stack.jobs.fetch_lines(self.job(name)["name"], "workerpool0-0"))


@pytest.fixture(scope="module")
def runs(local_stack: LocalStack, start_shared: StartShared) -> dict[str, Ended]:
    """Both runs, at the same time; their sleeping jobs vanish while they run."""
    processes = {
        name: start_shared("endings", name, ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL="1")
        for name in ("deleted", "dynamic", "static")
    }
    for name in ("deleted", "dynamic"):
        match = processes[name].wait_for_line(
            r"Step `is_deleted` .*: submitted as (projects/\S+)\."
        )
        # Vertex AI refuses to delete a job that runs.
        deleted = {"fault": "Deleted", "job_id": match[1].rsplit("/", 1)[-1]}
        answer = send_request(
            f"{local_stack.emulator_url}/emulator/faults",
            method="POST",
            body={"faults": [deleted]},
        )
        assert answer.status == 200, answer
    over = {name: process.wait(SECONDS) for name, process in processes.items()}
    return {
        "static": Ended(over["static"], over["deleted"], local_stack),
        "dynamic": Ended(over["dynamic"], over["dynamic"], local_stack),
    }


@pytest.fixture(params=["static", "dynamic"])
def ended(request: pytest.FixtureRequest, runs: dict[str, Ended]) -> Ended:
    """The run of a static, then of a dynamic pipeline."""
    return runs[request.param]


def test_every_step_has_finished(ended: Ended) -> None:
    """No step and no run is left in an unfinished status.

    A dynamic pipeline that continues after failures is completed in the end.
    """
    assert ended.completed.run.status in {"failed", "completed"}
    last = {step.name: step.status for step in ended.completed.run.steps}
    last.pop("is_deleted", None)
    assert last == {
        "vanishes": "failed",
        "is_killed": "failed",
        "overwrites": "completed",
        "fails_once": "completed",
        "exits": "failed",
        "works": "completed",
    }


def test_a_deleted_job_ends_its_step(ended: Ended) -> None:
    """The reason is on the step run, and the log states it once."""
    step = ended.deleted.run.step("is_deleted")
    assert step.status == "failed"
    assert "does not exist any more" in str(step.error)
    assert str(step.job_name) in str(step.error)
    assert "Next: " in str(step.error)
    assert ended.deleted.output.count("Trying again.") <= 1


def test_a_container_that_never_reports_fails_its_step(ended: Ended) -> None:
    """A step whose job SUCCEEDED without a report has failed, because its result is unknown."""
    assert ended.job("vanishes")["state"] == "JOB_STATE_SUCCEEDED"
    error = str(ended.step("vanishes").error)
    assert "never reported its result to ZenML" in error
    assert "os._exit" in error


def test_an_infrastructure_failure_is_explained_on_the_step_run(ended: Ended) -> None:
    """The step run says what failed, why in the service's own words, and what to do."""
    job = ended.job("is_killed")
    error = str(ended.step("is_killed").error)
    assert "ran out of memory (or was killed with status 137)" in error
    assert job["error"]["message"] in error
    assert "Next: choose a `machine_type` with more memory" in error
    assert f"gcloud ai custom-jobs stream-logs {job['name'].rsplit('/', 1)[-1]}" in error
    assert "ran out of memory (or was killed with status 137)" in ended.completed.output


def test_the_steps_own_metadata_does_not_hide_its_job(ended: Ended) -> None:
    """A step may log `job_name` as metadata; its job is found under a key of our own."""
    step = ended.step("overwrites")
    assert step.metadata["job_name"] == "mine"
    assert str(find_recorded_name(step.metadata)) == ended.job("overwrites")["name"]
    # Google's console has nothing of an emulator.
    assert "zenml_vertex.console_url" not in step.metadata


@pytest.mark.parametrize(
    ("name", "statuses", "states"),
    [
        ("fails_once", ["retried", "completed"], ["FAILED", "SUCCEEDED"]),
        ("exits", ["retried", "failed"], ["FAILED", "FAILED"]),
    ],
)
def test_each_attempt_has_a_step_run_and_a_job_of_its_own(
    ended: Ended, name: str, statuses: list[str], states: list[str]
) -> None:
    """Each attempt at a retried step has its own step run, which names its own job."""
    attempts = [step for step in ended.completed.run.steps if step.name == name]
    jobs = list(reversed(find_jobs(ended.stack, ended.completed.run.id, name)))
    assert [(step.version, step.status) for step in attempts] == list(enumerate(statuses, start=1))
    assert [step.job_name for step in attempts] == [job["name"] for job in jobs]
    assert [job["state"] for job in jobs] == [f"JOB_STATE_{state}" for state in states]
    assert [job["labels"]["zenml-step-run-id"] for job in jobs] == [step.id for step in attempts]


def test_a_command_is_run_as_it_is(ended: Ended) -> None:
    """A command step runs no ZenML code, and its job's success is the step's."""
    container = ended.job("works")["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    assert container["command"] == ["echo", "nothing of ZenML"]
    assert ended.log("works") == "nothing of ZenML"


def test_a_failed_command_gives_its_exit_status(ended: Ended) -> None:
    """The error of a command step gives the command's exit status."""
    assert "the step's container exited with status 3" in str(ended.step("exits").error)


def test_a_steps_own_exception_is_kept(ended: Ended) -> None:
    """The exception that a step reported is not replaced by its container's exit status."""
    first = next(step for step in ended.completed.run.steps if step.name == "fails_once")
    assert str(first.error) == "not at the first attempt, nor with GOCSPX-token"


def test_the_log_says_what_a_step_has_raised(ended: Ended) -> None:
    """One line of the client says what, where, after how long, and without secrets."""
    assert re.search(
        r"Step `fails_once` \(job \d+\): the step failed( after \d\S* s)?: ValueError: not at the "
        r"first attempt, nor with \*\*\* \(endings\.py, line \d+\)\. The traceback is in",
        ended.completed.output,
    ), ended.completed.output


@pytest.mark.parametrize("name", ["vanishes", "works"])
def test_each_change_of_state_is_one_log_line(ended: Ended, name: str) -> None:
    """Each change of a job's state is logged once, with the time that the job says it took."""
    job_id = ended.job(name)["name"].rsplit("/", 1)[-1]
    lines = find_progress(ended.completed.output, job_id)
    assert lines
    states = [re.split(r"\W", line)[0] for line in lines]
    known = ["PENDING", "RUNNING", "SUCCEEDED"]
    assert states == [state for state in known if state in states]
    assert states[-1] == "SUCCEEDED"
    started = r"started \d.* s after it was created"
    times = {
        "RUNNING": f", {started}",
        "SUCCEEDED": rf" after running for \d.* s|, {started}, ran for \d.* s",
    }
    for state, line in zip(states, lines, strict=True):
        assert re.fullmatch(times.get(state, ""), line.removeprefix(state)), line


def test_the_identity_is_logged_once(ended: Ended) -> None:
    """The acting identity is logged once, even if several threads submit at the same time."""
    assert ended.completed.output.count("Vertex AI: acting as ") == 1
