"""Waiting for operations on persistent resources."""

import pytest

from tests.support.fakes import ManualClock
from tests.support.resources import InMemoryResources
from zenml_vertex.errors import RequestRejected, ResourceNotFound, ServiceUnavailable
from zenml_vertex.resources.lifecycle import LONGEST_PAUSE_SECONDS, wait_for_operation
from zenml_vertex.resources.protocols import OperationJson

BEGUN: OperationJson = {"name": "operations/1", "metadata": {"progressMessage": "Received."}}
WAITS: OperationJson = {"metadata": {"progressMessage": "Waiting."}}
DONE: OperationJson = {"metadata": {"progressMessage": "Ready."}, "done": True}


def wait(*answers: OperationJson | Exception) -> tuple[list[str], ManualClock]:
    """Wait for an operation whose reads find this; what is said, and the clock."""
    said: list[str] = []
    clock = ManualClock()
    wait_for_operation(InMemoryResources({}, list(answers)), BEGUN, clock, say=said.append)
    return said, clock


def test_progress_is_said_once_with_its_time() -> None:
    """Each new message of Vertex AI is one line, with the time since the wait began."""
    said, _ = wait(WAITS, WAITS, WAITS, DONE)
    assert said == ["0 s: Received.", "2 s: Waiting.", "16 s: Ready."]


def test_an_operation_that_is_done_is_not_read_again() -> None:
    """A deletion is mostly done in its answer."""
    clock = ManualClock()
    wait_for_operation(InMemoryResources({}), {"name": "o", "done": True}, clock, say=print)
    assert clock.sleeps == []


def test_an_outage_is_waited_out() -> None:
    """A read that fails for a while ends no wait, and is said once; pauses stay short."""
    outage = ServiceUnavailable("Vertex AI did not respond.")
    said, clock = wait(*[outage] * 20, DONE)
    assert said[1:] == ["Vertex AI did not respond.", said[-1]]
    assert max(clock.sleeps) == LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize(
    "answer", [ServiceUnavailable("gone for good"), ResourceNotFound("no", code=404)]
)
def test_a_wait_ends_with_what_does_not_pass(answer: Exception) -> None:
    """Ten minutes without an answer, or an answer that no time changes, end the wait."""
    with pytest.raises(type(answer)):
        wait(answer)


def test_a_failed_operation_says_why() -> None:
    """The error has the code and the words of Vertex AI, on one line."""
    error = {"code": 8, "message": "Resources are insufficient\nin region: us-central1"}
    with pytest.raises(RequestRejected) as raised:
        wait({"done": True, "error": error})
    assert str(raised.value) == (
        "Vertex AI has given up with code 8: Resources are insufficient in region: us-central1."
    )
