"""However a job ends, its step ends too, and says why: in static and in dynamic pipelines."""

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

# A job that is not found is looked for during a minute.
SECONDS = 180


@dataclass
class Ended:
    """A pipeline's steps, all over.

    Args:
        completed: The run.
        deleted: The run with the job that is deleted; of a dynamic pipeline, the same.
        stack: Where they ran.
    """

    completed: Completed
    deleted: Completed
    stack: LocalStack

    def step(self, name: str) -> StepRecord:
        """The last attempt at a step."""
        return self.completed.run.step(name)

    def job(self, name: str) -> dict[str, Any]:
        """The only job of a step."""
        (job,) = find_jobs(self.stack, self.completed.run.id, name)
        return job

    def log(self, name: str) -> str:
        """What the container of a step wrote."""
        entries = self.stack.jobs.fetch_log(self.job(name)["name"], "workerpool0-0")
        return "\n".join(str(entry["jsonPayload"]["message"]) for entry in entries)


@pytest.fixture(scope="module")
def runs(local_stack: LocalStack, start_shared: StartShared) -> dict[str, Ended]:
    """Both runs, at the same time; their sleeping jobs are deleted by somebody."""
    processes = {
        name: start_shared("endings", name, ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL="1")
        for name in ("deleted", "dynamic", "static")
    }
    for name in ("deleted", "dynamic"):
        match = processes[name].wait_for_line(r"(projects/\S+) runs step `is_deleted`")
        answer = send_request(f"{local_stack.emulator_url}/v1/{match[1]}", method="DELETE")
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
    """None is left provisioning, running, stopping or retrying, and neither is the run.

    A dynamic pipeline that goes on after failures is completed in the end.
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
    """The reason is on the step run, and the log does not repeat itself. Row E."""
    step = ended.deleted.run.step("is_deleted")
    assert step.status == "failed"
    assert "does not exist any more" in str(step.error)
    assert str(step.job_name) in str(step.error)
    assert "Next: " in str(step.error)
    assert ended.deleted.output.count("Trying again.") <= 1


def test_a_container_that_never_reports_fails_its_step(ended: Ended) -> None:
    """The job SUCCEEDED, and nobody knows the step's result. Row F."""
    assert ended.job("vanishes")["state"] == "JOB_STATE_SUCCEEDED"
    error = str(ended.step("vanishes").error)
    assert "never reported its result to ZenML" in error
    assert "os._exit" in error


def test_what_the_infrastructure_says_is_on_the_step_run(ended: Ended) -> None:
    """What failed, why in the service's own words, and what to do. Row G."""
    job = ended.job("is_killed")
    error = str(ended.step("is_killed").error)
    assert "ran out of memory (or was killed with status 137)" in error
    assert job["error"]["message"] in error
    assert "Next: choose a `machine_type` with more memory" in error
    assert f"gcloud ai custom-jobs stream-logs {job['name'].rsplit('/', 1)[-1]}" in error
    assert "ran out of memory (or was killed with status 137)" in ended.completed.output


def test_the_steps_own_metadata_does_not_hide_its_job(ended: Ended) -> None:
    """A step may call anything `job_name`; its job is found under a name of its own. Row R."""
    step = ended.step("overwrites")
    assert step.metadata["job_name"] == "mine"
    assert str(find_recorded_name(step.metadata)) == ended.job("overwrites")["name"]
    assert step.metadata["zenml_vertex.console_url"].startswith("https://console.cloud.google.com")


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
    """A function step and a command step that are retried; every job is named by its step run."""
    attempts = [step for step in ended.completed.run.steps if step.name == name]
    jobs = list(reversed(find_jobs(ended.stack, ended.completed.run.id, name)))
    assert [(step.version, step.status) for step in attempts] == list(enumerate(statuses, start=1))
    assert [step.job_name for step in attempts] == [job["name"] for job in jobs]
    assert [job["state"] for job in jobs] == [f"JOB_STATE_{state}" for state in states]
    assert [job["labels"]["zenml-step-run-id"] for job in jobs] == [step.id for step in attempts]


def test_a_command_is_run_as_it_is(ended: Ended) -> None:
    """Nothing of ZenML runs in its container; the job's success is the step's."""
    container = ended.job("works")["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    assert container["command"] == ["echo", "nothing of ZenML"]
    assert ended.log("works") == "nothing of ZenML"


def test_a_command_that_fails_says_with_which_status(ended: Ended) -> None:
    """No ZenML code could report it."""
    assert "the step's container exited with status 3" in str(ended.step("exits").error)


def test_a_steps_own_exception_stays(ended: Ended) -> None:
    """What the step reported itself says more than its container's exit status."""
    first = next(step for step in ended.completed.run.steps if step.name == "fails_once")
    assert str(first.error) == "not at the first attempt"


@pytest.mark.parametrize("name", ["vanishes", "works"])
def test_each_change_of_state_is_one_line_with_the_time_in_the_last(
    ended: Ended, name: str
) -> None:
    """However often the job was read."""
    job_id = ended.job(name)["name"].rsplit("/", 1)[-1]
    lines = find_progress(ended.completed.output, job_id)
    assert lines
    states = [line.split()[0] for line in lines]
    known = ["QUEUED", "PENDING", "RUNNING", "SUCCEEDED"]
    assert states == [state for state in known if state in states]
    assert states[-1] == "SUCCEEDED"
    for line in lines[1:]:
        assert re.fullmatch(r"[A-Z]+ after \d+s (queued|provisioning|running)", line), line


def test_who_acts_is_said_once(ended: Ended) -> None:
    """Also where several threads submit at the same time."""
    assert ended.completed.output.count("Vertex AI: acting as ") == 1
