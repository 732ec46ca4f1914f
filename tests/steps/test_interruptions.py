"""Ctrl-C and other signals in a static pipeline, whatever the operator is doing at the time."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.support.gate import Gate, Stop
from tests.support.pipelines import StartShared, find_jobs
from zenml_vertex.local_stack.stack import LocalStack
from zenml_vertex.local_stack.views.pipelines import Completed, PipelineProcess
from zenml_vertex.local_stack.views.zenml import RunRecord

JOBS = r"/customJobs(\?|$)"


@dataclass
class Interrupted:
    """A pipeline process that has been started and waits for its signals."""

    process: PipelineProcess
    stack: LocalStack

    def wait_until_running(self) -> RunRecord:
        """Wait until the job runs, and return the run at that moment."""
        self.process.wait_for_line(r"\(job \d+\): RUNNING")
        assert self.process.run_id
        return self.stack.records.fetch_run(self.process.run_id)

    def interrupt(self, number: int = signal.SIGINT) -> Completed:
        """Send a signal and wait for the process to exit."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def assert_ended_with(self, states: list[str]) -> None:
        """Assert that the run's only jobs have these states and that no attempt follows."""
        jobs = find_jobs(self.stack, self.process.run_id)
        assert [job["state"] for job in jobs] == [f"JOB_STATE_{state}" for state in states]
        assert self.process.run_id
        run = self.stack.records.fetch_run(self.process.run_id)
        assert [(step.status, step.version) for step in run.steps] == [("stopped", 1)]


@dataclass
class Started:
    """All processes of this module."""

    ctrl_c: Interrupted
    hangup: Interrupted
    impatient: Interrupted
    reading: Interrupted
    creating: Interrupted
    recording: Interrupted
    unrecorded: Interrupted
    held: dict[str, Stop]


@pytest.fixture(scope="module")
def started(
    local_stack: LocalStack,
    start_shared: StartShared,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Started]:
    """The processes, started together because they mostly wait."""
    held = {
        "reading": Stop("GET", JOBS),
        "creating": Stop("POST", JOBS),
        "recording": Stop("POST", "/run-metadata$", "zenml_vertex.job_name"),
    }
    refused = Stop(
        "POST",
        "/run-metadata$",
        "zenml_vertex.job_name",
        status=400,
        answer='{"detail": ["ValueError", "the disk is full"]}',
        once=False,
    )
    with ExitStack() as gates:

        def start(command: str = "sleep", **environment: str) -> Interrupted:
            return Interrupted(start_shared("sleepers", command, **environment), local_stack)

        def vertex(stop: Stop) -> dict[str, str]:
            gate = gates.enter_context(Gate(local_stack.emulator_url, stop))
            return {"AIPLATFORM_EMULATOR_HOST": gate.host}

        def zenml(stop: Stop) -> dict[str, str]:
            gate = gates.enter_context(Gate(local_stack.zenml_url, stop))
            folder = tmp_path_factory.mktemp("zenml")
            return {"ZENML_STORE_URL": f"http://{gate.host}", "ZENML_CONFIG_PATH": str(folder)}

        yield Started(
            ctrl_c=start(),
            hangup=start(),
            impatient=start("stubborn"),
            reading=start(**vertex(held["reading"])),
            creating=start(**vertex(held["creating"])),
            recording=start(**zenml(held["recording"])),
            unrecorded=start(**zenml(refused)),
            held=held,
        )


def test_an_interruption_between_creating_and_recording_leaves_no_job(started: Started) -> None:
    """A job that its step run does not name yet is cancelled, and no other job follows."""
    started.held["recording"].wait()
    assert started.recording.interrupt().returncode != 0
    started.recording.process.wait_for_line(r"\(job \d+\): CANCELLED")
    jobs = find_jobs(started.recording.stack, started.recording.process.run_id)
    assert [job["state"] for job in jobs] == ["JOB_STATE_CANCELLED"]


def test_a_sigterm_during_a_read_is_not_lost(started: Started) -> None:
    """A SIGTERM ends the step, even if the read that it interrupts would never return."""
    started.held["reading"].wait()
    assert started.reading.interrupt(signal.SIGTERM).returncode != 0
    started.reading.assert_ended_with(["CANCELLED"])


def test_an_interruption_before_the_job_exists_creates_none(started: Started) -> None:
    """After an early interruption, neither this attempt nor a retry creates a job."""
    started.held["creating"].wait()
    assert started.creating.interrupt().returncode != 0
    assert started.held["creating"].seen == 1
    started.creating.assert_ended_with([])


@pytest.mark.parametrize(
    ("which", "number", "reason"),
    [("ctrl_c", signal.SIGINT, "Ctrl-C"), ("hangup", signal.SIGHUP, "SIGHUP")],
)
def test_an_interruption_cancels_the_job_and_starts_no_retry(
    started: Started, which: str, number: int, reason: str
) -> None:
    """The only job is cancelled before the process exits, although the step has retries left.

    The step run names its job while it runs, and is stopped afterwards.
    """
    interrupted: Interrupted = getattr(started, which)
    step = interrupted.wait_until_running().step("sleeps")
    (job,) = find_jobs(interrupted.stack, interrupted.process.run_id)
    assert step.status == "running"
    assert step.job_name == job["name"]

    completed = interrupted.interrupt(number)

    assert completed.returncode != 0
    assert f"was interrupted ({reason})" in str(completed.run.step("sleeps").error)
    assert f": {reason}: cancelling the job" in completed.output
    interrupted.assert_ended_with(["CANCELLED"])


def test_a_second_ctrl_c_starts_no_retry_either(started: Started) -> None:
    """A second Ctrl-C ends the wait for the job's end, and the job is still cancelled."""
    interrupted = started.impatient
    interrupted.wait_until_running()
    interrupted.process.send_signal(signal.SIGINT)
    interrupted.process.wait_for_line("Ctrl-C: cancelling the job")

    completed = interrupted.interrupt()

    assert completed.returncode != 0
    assert "Vertex AI has accepted the cancel" in completed.output
    (job,) = find_jobs(interrupted.stack, interrupted.process.run_id)
    assert job["state"] in {"JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED"}
    interrupted.assert_ended_with([job["state"].removeprefix("JOB_STATE_")])


def test_a_job_whose_name_cannot_be_recorded_is_cancelled(started: Started) -> None:
    """No attempt leaves a job that its step run does not name."""
    completed = started.unrecorded.process.wait()
    assert completed.returncode != 0
    assert completed.run.status == "failed"
    jobs = find_jobs(started.unrecorded.stack, completed.run.id)
    assert len(jobs) == len(completed.run.steps) == 4
    for job in jobs:
        assert job["state"] in {"JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED"}
