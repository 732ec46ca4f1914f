"""The step run of a step that was interrupted, without processes and signals."""

import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from zenml.exceptions import RunStoppedException

from tests.support.components import make_operator
from tests.support.fakes import InMemoryJobs, InMemoryStepRuns, ManualClock
from tests.support.worlds import Watched
from zenml_vertex.errors import ServerUnreachable, ServiceUnavailable, StepRunNotFound
from zenml_vertex.following.progress import StepLog
from zenml_vertex.steps import interruptions
from zenml_vertex.steps.interruptions import stopping_when_interrupted


class Failing(InMemoryStepRuns):
    """A ZenML server whose answers to `stop` are exceptions, until there are none left."""

    def __init__(self, *errors: BaseException) -> None:
        super().__init__()
        self.errors = list(errors)
        self.tries = 0

    def stop(self, step_run_id: str, message: str) -> str:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return super().stop(step_run_id, message)


@pytest.fixture
def interrupt(caplog: pytest.LogCaptureFixture) -> Callable[[Failing], list[str]]:
    """Interrupt a step, and return what the log says."""

    def interrupt(step_runs: Failing) -> list[str]:
        caplog.set_level("INFO")
        with (
            pytest.raises(RunStoppedException, match=r"was interrupted \(Ctrl-C\)"),
            stopping_when_interrupted(step_runs, "step", StepLog("train", run_id="run-1")),
        ):
            raise KeyboardInterrupt
        return caplog.messages

    return interrupt


def test_a_server_that_does_not_respond_is_asked_once(
    interrupt: Callable[[Failing], list[str]],
) -> None:
    """Three lines about one outage, and three waits for it, followed a Ctrl-C."""
    server = Failing(*[ServerUnreachable("The ZenML server cannot be reached.")] * 3)
    assert interrupt(server) == [
        "Step `train`: could not mark the step run as stopped: The ZenML server cannot be reached. "
        "The ZenML server may go on showing it as running. Once the server answers, end it with: "
        "zenml-vertex jobs settle run-1"
    ]
    assert server.tries == 1


def test_another_ctrl_c_does_not_keep_the_step_from_being_stopped(
    interrupt: Callable[[Failing], list[str]],
) -> None:
    """Each further Ctrl-C has one line, and the last one says that the server was not told."""
    server = Failing(KeyboardInterrupt())
    assert interrupt(server) == [
        "Step `train`: Ctrl-C: still marking the step run as stopped, for 3 s at most."
    ]
    assert server.ended == {"step": "stopped"}
    *_, last = interrupt(Failing(*[KeyboardInterrupt()] * 3))
    assert "as stopped: Ctrl-C. The ZenML server may go on showing it as running." in last


@pytest.mark.parametrize("presses", ["while the step run is marked", "while the job is cancelled"])
def test_after_a_second_ctrl_c_a_server_that_hangs_is_left(
    presses: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process waited for ZenML's client, which tries for minutes, and named no step.

    ZenML's own words to its server, which come after that, are not waited for either.
    """
    hurried: list[float] = []
    monkeypatch.setattr(interruptions, "HURRY_SECONDS", 0.01)
    monkeypatch.setattr(interruptions, "hurry", hurried.append)
    closed = threading.Event()

    class Hanging(Failing):
        def stop(self, step_run_id: str, message: str) -> str:
            if self.errors:
                raise self.errors.pop(0)
            assert closed.wait(60)
            return super().stop(step_run_id, message)

    is_marked = presses == "while the step run is marked"
    server = Hanging(KeyboardInterrupt()) if is_marked else Hanging()

    def press() -> None:
        with stopping_when_interrupted(server, "step", StepLog("train", run_id="run-1")):
            try:
                raise KeyboardInterrupt
            finally:
                if not is_marked:
                    raise KeyboardInterrupt

    try:
        with pytest.raises(RunStoppedException):
            press()
        assert not server.ended
    finally:
        closed.set()
    assert "the ZenML server gave no answer" in caplog.messages[-1]
    assert caplog.messages[-1].endswith("end it with: zenml-vertex jobs settle run-1")
    assert hurried == [0.01]


def test_the_signal_that_has_ended_a_process_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of a dynamic pipeline said only that its process had ended, though by Ctrl-C.

    A notebook ends long after the last Ctrl-C in it, and of something else.
    """
    monkeypatch.delattr(sys, "ps1", raising=False)
    monkeypatch.delattr(sys, "last_value", raising=False)
    assert interruptions.name_last_interruption() is None
    stopped = RunStoppedException("stopped")
    stopped.__context__ = KeyboardInterrupt()
    monkeypatch.setattr(sys, "last_value", stopped, raising=False)
    assert interruptions.name_last_interruption() == "Ctrl-C"
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    assert interruptions.name_last_interruption() is None


def test_a_deleted_step_run_needs_no_word(interrupt: Callable[[Failing], list[str]]) -> None:
    """A step run that was deleted cannot be shown as running."""
    assert interrupt(Failing(StepRunNotFound("gone"))) == []


class Impatient(ManualClock):
    """A clock whose first sleeps are ended by Ctrl-C."""

    presses = 2

    def sleep(self, seconds: float) -> None:
        self.presses -= 1
        if self.presses >= 0:
            raise KeyboardInterrupt
        super().sleep(seconds)


class Uncancellable(InMemoryJobs):
    """Vertex AI, which answers every cancel with 503."""

    def cancel(self, name: str) -> None:
        self.cancelled.append(name)
        raise ServiceUnavailable("Vertex AI answered 503.", code=503)


def test_after_a_second_ctrl_c_a_cancel_that_fails_is_not_waited_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two more minutes of tries followed, and ZenML showed a traceback of Google's client.

    The job is cancelled once more, without a pause, and the last line has the command.
    """
    world = Watched(jobs=Uncancellable(), clock=Impatient())
    operator = make_operator()
    operator._clock, operator._step_runs = world.clock, world.step_runs  # type: ignore[assignment]
    monkeypatch.setattr(operator, "get_settings", lambda _: operator.config)
    config = SimpleNamespace(step_operator=operator.name)
    step_run: Any = SimpleNamespace(
        id=uuid4(), pipeline_run_id=uuid4(), name="train", version=1, config=config
    )
    world.follow("JOB_STATE_RUNNING", step_run_id=str(step_run.id))
    operator._running._watchers[step_run.id] = world.watcher

    with pytest.raises(RunStoppedException):
        operator.wait(step_run)
    tries = len(world.jobs.cancelled)
    operator.cleanup_step_submission(step_run)

    assert len(world.jobs.cancelled) == tries + 1
    assert world.clock.sleeps == []
    assert "Cancel it with: gcloud ai custom-jobs cancel" in caplog.messages[-1]
