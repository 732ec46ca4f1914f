from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vertex_emulator.jobs.events import (
    CancelRequested,
    Due,
    EndReplicas,
    Event,
    InternalError,
    ReplicaEnded,
    StartReplicas,
    WriteLine,
)
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.kept import job_from_json, job_to_json
from vertex_emulator.jobs.lifecycle import advance, begin
from vertex_emulator.jobs.states import JobState
from vertex_emulator.jobs.timings import Timings
from vertex_emulator.jobs.transitions import IllegalTransition
from vertex_emulator.runtimes.contract import Exit

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
TIMINGS = Timings(queueing=10, provisioning=180, teardown=60, cleanup=30)
# Vertex AI docs, "Understanding the custom training service", and JobState.
DOCUMENTED = {
    "QUEUED": {"PENDING", "CANCELLING"},
    "PENDING": {"RUNNING", "CANCELLING"},
    "RUNNING": {"PENDING", "SUCCEEDED", "FAILED", "CANCELLING"},
    "CANCELLING": {"CANCELLED", "SUCCEEDED", "FAILED"},
}


def new_job(**scheduling: Any) -> Job:
    """Build a job that was just created."""
    request: dict[str, Any] = {"displayName": "a job", "jobSpec": {"workerPoolSpecs": [{}]}}
    if scheduling:
        request["jobSpec"]["scheduling"] = scheduling
    return Job(
        project="p",
        number="1",
        location="us-central1",
        job_id="2",
        request=request,
        create_time=START,
        update_time=START,
    )


class Life:
    """A job, its time, and the effects that it has requested."""

    def __init__(self, **scheduling: Any) -> None:
        self.now = START
        self.job, effects = begin(new_job(**scheduling), TIMINGS)
        self.effects = list(effects)

    def tell(self, event: Event) -> None:
        before = self.job.state
        self.job, effects = advance(self.job, event, self.now, TIMINGS)
        self.effects += effects
        after = self.job.state
        assert before is after or after.name in DOCUMENTED[before.name]

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.tell(Due())

    def end(self, status: int, start_error: str | None = None) -> None:
        self.tell(ReplicaEnded(self.job.attempt, Exit(status, start_error)))

    @property
    def lines(self) -> list[str]:
        return [effect.text for effect in self.effects if isinstance(effect, WriteLine)]

    @property
    def starts(self) -> list[int]:
        return [effect.attempt for effect in self.effects if isinstance(effect, StartReplicas)]

    @property
    def states(self) -> list[str]:
        return [state.name for state, _ in self.job.history]


def running(**scheduling: Any) -> Life:
    """Build a job whose container runs."""
    life = Life(**scheduling)
    life.wait(10)
    life.wait(180)
    return life


def test_a_job_that_succeeds() -> None:
    """A job is QUEUED, PENDING, RUNNING and SUCCEEDED, with the service's times and lines.

    Its end is that of its container, and the teardown goes on after the terminal state.
    """
    life = running()
    life.now += timedelta(seconds=100)
    life.end(0)
    assert life.job.state is JobState.RUNNING
    life.wait(60)
    assert life.states == ["QUEUED", "PENDING", "RUNNING", "SUCCEEDED"]
    shown = life.job.to_json()
    assert shown["createTime"] == "2026-01-01T00:00:00Z"
    assert shown["startTime"] == "2026-01-01T00:03:10Z"
    assert shown["endTime"] == "2026-01-01T00:04:50Z"
    assert shown["updateTime"] == "2026-01-01T00:05:50Z"
    assert "error" not in shown
    assert life.lines[-1] == "Tearing down training program."
    life.wait(30)
    assert life.job.to_json() == shown
    assert life.lines == [
        "Waiting for job to be provisioned.",
        "Vertex AI is provisioning job running framework. First time usage might take couple of "
        "minutes, and subsequent runs can be much faster.",
        "Vertex AI is setting up this job.",
        "Waiting for training program to start.",
        "Job is preparing.",
        "Job is running.",
        "Tearing down training program.",
        "Finished tearing down training program.",
        "Job completed successfully.",
    ]


@pytest.mark.parametrize("status", [1, 2, 75, 127, 137])
def test_a_job_whose_program_fails(status: int) -> None:
    """An exit status that is not known as transient fails the job with code 3 and a link."""
    life = running()
    life.end(status)
    assert "error" not in life.job.to_json()
    life.wait(60)
    error = life.job.to_json()["error"]
    life.wait(30)
    assert life.states[-1] == "FAILED"
    assert error["code"] == 3
    assert error["message"] == (
        f"The replica workerpool0-0 exited with a non-zero status of {status}. Termination reason: "
        "Error. To find out more about why your job exited please check the logs: "
        "https://console.cloud.google.com/logs/viewer?project=1&resource=ml_job%2Fjob_id%2F2"
        "&advancedFilter=resource.type%3D%22ml_job%22%0Aresource.labels.job_id%3D%222%22"
    )
    # Of failing jobs, no tearing down is announced.
    assert life.lines[-4:] == [
        "Job is running.",
        error["message"],
        "Finished tearing down training program.",
        "Job failed.",
    ]
    severities = [one.severity for one in life.effects if isinstance(one, WriteLine)]
    assert severities[-4:] == ["INFO", "ERROR", "INFO", "INFO"]


def test_a_command_that_cannot_be_started() -> None:
    """A StartError is status 128 with the reason, and the command is not retried."""
    life = running()
    life.end(128, start_error="failed to create containerd task: no such file")
    life.wait(60)
    assert life.job.error == {
        "code": 3,
        "message": "The replica workerpool0-0 exited with a non-zero status of 128. Termination "
        "reason: StartError. Termination log message: failed to create containerd task: no such "
        "file",
    }
    assert life.starts == [1]


@pytest.mark.parametrize("status", [6, 11, 134, 139])
def test_a_transient_exit_restarts_the_job_three_times(status: int) -> None:
    """SIGABRT and SIGSEGV restart the command at most three times and keep startTime."""
    life = running()
    for _ in range(3):
        life.end(status)
        assert life.job.state is JobState.PENDING
        life.wait(180)
        assert life.job.state is JobState.RUNNING
    life.end(status)
    life.wait(60)
    assert life.job.state is JobState.FAILED
    assert life.starts == [1, 2, 3, 4]
    assert life.job.start_time == START + timedelta(seconds=190)
    assert f"status of {status}." in (life.job.error or {})["message"]


def test_a_restarted_job_can_succeed() -> None:
    """A job that succeeds after a restart has no error."""
    life = running()
    life.end(139)
    life.wait(180)
    life.end(0)
    life.wait(60)
    assert life.states == ["QUEUED", "PENDING", "RUNNING", "PENDING", "RUNNING", "SUCCEEDED"]
    assert "error" not in life.job.to_json()


def test_disabled_retries_prevent_restarts() -> None:
    """With `disableRetries`, neither a transient exit nor an internal error restarts the job."""
    life = running(disableRetries=True)
    life.end(139)
    life.wait(60)
    assert (life.job.state, life.starts) == (JobState.FAILED, [1])
    life = running(disableRetries=True)
    life.tell(InternalError())
    life.wait(60)
    assert (life.job.state, life.starts) == (JobState.FAILED, [1])


def test_internal_errors_restart_the_job_twice() -> None:
    """The third internal error fails the job with code 13."""
    life = running()
    for _ in range(2):
        life.tell(InternalError())
        life.wait(180)
    life.tell(InternalError())
    life.wait(60)
    assert life.job.error == {
        "code": 13,
        "message": "Internal error occurred for the current attempt.",
    }
    assert life.starts == [1, 2, 3]
    assert "Job will not be retried, max error retry attempts reached." in life.lines


def test_an_internal_error_does_not_change_a_decided_end() -> None:
    """A cancelled or finished job keeps its end, whatever the platform's error."""
    life = running()
    life.tell(CancelRequested())
    life.tell(InternalError())
    life.wait(60)
    assert (life.job.state, life.starts) == (JobState.CANCELLED, [1])
    life = running()
    life.end(0)
    life.tell(InternalError())
    life.wait(60)
    assert (life.job.state, life.starts) == (JobState.SUCCEEDED, [1])
    life = Life()
    life.tell(InternalError())
    life.wait(10)
    assert life.states == ["QUEUED", "PENDING"]


def test_a_running_job_is_cancelled() -> None:
    """CANCELLING asks the container to end, and CANCELLED follows its exit, with code 1."""
    life = running()
    life.tell(CancelRequested())
    assert life.job.state is JobState.CANCELLING
    assert life.effects[-1] == EndReplicas()
    life.wait(100_000)
    assert life.job.state is JobState.CANCELLING
    life.end(143)
    life.wait(60)
    assert life.states[-2:] == ["CANCELLING", "CANCELLED"]
    assert life.job.error == {"code": 1, "message": "CANCELED"}
    assert life.job.end_time == life.now
    life.wait(30)
    assert life.lines[-3:] == [
        "Job is running.",
        "Finished tearing down training program.",
        "Job cancelled.",
    ]


@pytest.mark.parametrize("seconds", [[], [10]])
def test_a_job_is_cancelled_before_it_runs(seconds: list[float]) -> None:
    """A queued or pending job that is cancelled starts no container.

    As recorded, its `startTime` is a moment after its creation all the same.
    """
    life = Life()
    for wait in seconds:
        life.wait(wait)
    life.tell(CancelRequested())
    life.tell(CancelRequested())
    life.wait(0)
    assert life.states[-2:] == ["CANCELLING", "CANCELLED"]
    assert life.starts == []
    shown = life.job.to_json()
    assert life.job.start_time is None
    assert shown["startTime"] == "2026-01-01T00:00:00" + (".115Z" if seconds else "Z")
    assert shown["endTime"] == shown["updateTime"]
    life.wait(30)
    assert life.lines[-1] == "Job cancelled."


@pytest.mark.parametrize(("status", "state"), [(0, "SUCCEEDED"), (1, "FAILED")])
def test_a_cancel_can_come_too_late(status: int, state: str) -> None:
    """A job whose container has ended keeps its outcome after CANCELLING."""
    life = running()
    life.end(status)
    life.tell(CancelRequested())
    assert life.job.state is JobState.CANCELLING
    life.wait(60)
    assert life.states[-1] == state


def test_a_job_that_takes_too_long() -> None:
    """A job is cancelled at its timeout, as in a public report of a seven-day job."""
    life = running(timeout="3600s")
    life.wait(3599)
    assert life.job.state is JobState.RUNNING
    life.wait(1)
    assert life.effects[-1] == EndReplicas()
    life.end(143)
    life.wait(60)
    assert life.states[-2:] == ["CANCELLING", "CANCELLED"]
    assert (life.job.error or {})["code"] == 1


def test_seven_days_are_the_default() -> None:
    """A job without a timeout may run for seven days."""
    life = running()
    life.wait(7 * 24 * 3600 - 1)
    assert life.job.state is JobState.RUNNING
    life.wait(1)
    assert life.job.state is JobState.CANCELLING


def test_a_late_exit_of_an_earlier_container_is_ignored() -> None:
    """After a restart, the first container's exit does not affect the second one."""
    life = running()
    life.end(139)
    life.wait(180)
    life.tell(ReplicaEnded(1, Exit(0)))
    assert (life.job.state, life.job.stage) == (JobState.RUNNING, "running")


def test_an_invalid_transition_is_refused() -> None:
    """The one function that changes a state refuses a transition that the service never makes."""
    job = replace(running().job, state=JobState.QUEUED, stage="tearing_down", due=START)
    with pytest.raises(IllegalTransition, match="JOB_STATE_QUEUED -> JOB_STATE_SUCCEEDED"):
        advance(replace(job, ending=JobState.SUCCEEDED), Due(), START, TIMINGS)


events = st.lists(
    st.one_of(
        st.floats(0, 1000).map(lambda seconds: ("wait", seconds)),
        st.sampled_from([0, 1, 137, 139]).map(lambda status: ("end", status)),
        st.just(("cancel", 0)),
        st.just(("lose", 0)),
    ),
    max_size=30,
)


@given(events, st.booleans())
def test_any_events_give_a_documented_job(story: list[tuple[str, float]], no_retries: bool) -> None:
    """After any events in any order, states, times, errors and restarts are within bounds."""
    life = Life(**({"disableRetries": True} if no_retries else {}))
    for kind, value in story:
        job = life.job
        if kind == "wait":
            life.wait(value)
        elif kind == "end":
            life.end(int(value))
        else:
            life.tell(CancelRequested() if kind == "cancel" else InternalError())
        if job.is_terminal:
            assert life.job.to_json() == job.to_json()
        assert life.job.update_time >= job.update_time
        assert (life.job.end_time is not None) is life.job.is_terminal
        assert ("RUNNING" in life.states) is (life.job.start_time is not None)
        assert job_from_json(job_to_json(life.job)) == life.job
    assert len(life.starts) <= (1 if no_retries else 1 + 3 + 2)
    assert life.starts == list(range(1, len(life.starts) + 1))
    shown = life.job.to_json()
    assert ("error" in shown) is (life.job.state in {JobState.FAILED, JobState.CANCELLED})
    if "CANCELLING" in life.states:
        assert "PENDING" not in life.states[life.states.index("CANCELLING") :]
