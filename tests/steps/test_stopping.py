"""The step run of a step that was interrupted, without processes and signals."""

from collections.abc import Callable

import pytest
from zenml.exceptions import RunStoppedException

from tests.support.fakes import InMemoryStepRuns
from zenml_vertex.errors import ServerUnreachable, StepRunNotFound
from zenml_vertex.following.progress import StepLog
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
            stopping_when_interrupted(step_runs, "step", StepLog("train")),
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
        "The ZenML server goes on showing it as running."
    ]
    assert server.tries == 1


def test_another_ctrl_c_does_not_keep_the_step_from_being_stopped(
    interrupt: Callable[[Failing], list[str]],
) -> None:
    """Each further Ctrl-C has one line, and the last one says that the server was not told."""
    server = Failing(KeyboardInterrupt())
    assert interrupt(server) == ["Step `train`: Ctrl-C: still marking the step run as stopped."]
    assert server.ended == {"step": "stopped"}
    *_, last = interrupt(Failing(*[KeyboardInterrupt()] * 3))
    assert last.endswith("as stopped: Ctrl-C. The ZenML server goes on showing it as running.")


def test_a_deleted_step_run_needs_no_word(interrupt: Callable[[Failing], list[str]]) -> None:
    """A step run that was deleted cannot be shown as running."""
    assert interrupt(Failing(StepRunNotFound("gone"))) == []
