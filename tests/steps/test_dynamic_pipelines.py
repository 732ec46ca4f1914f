"""Dynamic pipelines: steps that run at the same time, and how each of them ends."""

import os
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.pipelines import StartShared
from zenml_vertex.local_stack.stack import LocalStack
from zenml_vertex.local_stack.views.pipelines import Completed, PipelineProcess
from zenml_vertex.local_stack.views.zenml import RunRecord

SLEEPERS = ("sleeps", "sleeps_elsewhere", "sleeps_in_python")
STEPS = ("fails", *SLEEPERS)
# After a first interruption, ZenML waits until the jobs have ended, and says so at this level only.
WAITING = {"EXECUTION_MODE": "stop_on_failure", "ZENML_LOGGING_VERBOSITY": "DEBUG"}


@dataclass
class Ended:
    """A run while all its jobs were running, and after it had ended."""

    before: RunRecord
    jobs_before: Mapping[str, dict[str, Any]]
    completed: Completed
    stack: LocalStack

    def state(self, name: str) -> str:
        """Return the state of a step's job after the run had ended."""
        state: str = self.stack.jobs.fetch(self.jobs_before[name]["name"])["state"]
        return state


@pytest.fixture(scope="module")
def runs(
    local_stack: LocalStack, start_shared: StartShared, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Ended]:
    """A run in which a step fails, one that is interrupted, and one that is interrupted twice."""
    names = ("failure", "interrupt", "twice")
    files = {name: tmp_path_factory.mktemp(name) / "fail" for name in names}
    for file in files.values():
        os.mkfifo(file)
    processes = {
        name: start_shared(
            "siblings",
            name,
            str(file),
            ZENML_DYNAMIC_PIPELINE_MONITORING_INTERVAL="1",
            **(WAITING if name == "twice" else {}),
        )
        for name, file in files.items()
    }
    before = {name: _wait_until_all_run(process) for name, process in processes.items()}
    runs = {name: local_stack.records.fetch_run(run_id) for name, run_id in before.items()}
    jobs = {
        name: {step.name: local_stack.jobs.fetch(str(step.job_name)) for step in run.steps}
        for name, run in runs.items()
    }
    files["failure"].write_text("\n")
    processes["interrupt"].send_signal(signal.SIGTERM)
    processes["twice"].send_signal(signal.SIGHUP)
    processes["twice"].wait_for_line("Requested stopping of child pipelines")
    processes["twice"].send_signal(signal.SIGINT)
    return {
        name: Ended(runs[name], jobs[name], process.wait(60), local_stack)
        for name, process in processes.items()
    }


def _wait_until_all_run(process: PipelineProcess) -> str:
    running = set()
    for line in process.lines(90):
        if match := re.search(r"\(job (\d+)\): RUNNING", line):
            running.add(match[1])
        if len(running) == len(STEPS):
            break
    assert process.run_id
    return process.run_id


def test_a_running_job_is_named_on_its_step_run(runs: dict[str, Ended]) -> None:
    """Each step run names its job while the job runs, on a second step operator too."""
    ended = runs["failure"]
    assert {step.name for step in ended.before.steps} == set(STEPS)
    for step in ended.before.steps:
        job = ended.jobs_before[step.name]
        assert job["state"] == "JOB_STATE_RUNNING"
        assert job["labels"]["zenml-step-run-id"] == step.id
    assert "/locations/us-central1/" in ended.jobs_before["sleeps_elsewhere"]["name"]


def test_a_failing_step_ends_a_fail_fast_pipeline(runs: dict[str, Ended]) -> None:
    """When a step fails, its siblings' jobs are cancelled, and the run ends when they have."""
    ended = runs["failure"]
    assert ended.completed.returncode != 0
    run = ended.completed.run
    assert run.status == "failed"
    assert run.step("fails").status == "failed"
    assert {ended.state(name) for name in SLEEPERS} == {"JOB_STATE_CANCELLED"}
    assert run.step("sleeps").status == "stopped"
    assert "was cancelled" in str(run.step("sleeps").error)


def test_a_step_of_another_step_operator_is_cancelled_too(runs: dict[str, Ended]) -> None:
    """A step is cancelled even though ZenML asks the stack's first operator, in another region."""
    assert runs["failure"].completed.run.step("sleeps_elsewhere").status == "stopped"


def test_a_cancelled_python_step_ends(runs: dict[str, Ended]) -> None:
    """A step whose container gets SIGTERM ends as stopped or failed, with an end time."""
    step = runs["failure"].completed.run.step("sleeps_in_python")
    assert step.status in {"stopped", "failed"}
    assert step.end_time is not None


@pytest.mark.parametrize("which", ["interrupt", "twice"])
def test_an_interruption_ends_the_steps(runs: dict[str, Ended], which: str) -> None:
    """After a SIGTERM, or a SIGHUP and a Ctrl-C that ends the wait, no job or step is left running.

    Where ZenML waits for the jobs, a second interruption leaves it no time to end a step run.
    """
    ended = runs[which]
    assert ended.completed.returncode != 0
    states = {ended.state(name) for name in STEPS}
    assert states <= {"JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED"}
    statuses = {step.status for step in ended.completed.run.steps}
    assert statuses <= {"stopped", "failed"}
