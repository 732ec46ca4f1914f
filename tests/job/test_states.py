"""The meaning of each job state."""

import pytest
from google.cloud.aiplatform_v1.types import JobState
from zenml.enums import ExecutionStatus

from zenml_vertex.job.states import STATES, interpret


def test_every_state_of_the_api_is_in_the_table() -> None:
    """Google's enum and the table have the same twelve names."""
    assert set(STATES) == set(JobState.__members__)
    assert len(STATES) == 12


@pytest.mark.parametrize("state", sorted(STATES))
def test_every_meaning_is_a_status_that_zenml_accepts(state: str) -> None:
    """No state means STOPPING, RETRYING or CANCELLING, which would hang ZenML's dynamic runner."""
    assert ExecutionStatus(interpret(state).status) in {
        ExecutionStatus.PROVISIONING,
        ExecutionStatus.RUNNING,
        ExecutionStatus.COMPLETED,
        ExecutionStatus.FAILED,
        ExecutionStatus.STOPPED,
    }
    assert interpret(state).is_terminal == ExecutionStatus(interpret(state).status).is_finished


@pytest.mark.parametrize("state", ["JOB_STATE_DREAMING", "42", ""])
def test_an_unknown_state_counts_as_running(state: str) -> None:
    """A state that Google adds later counts as running and does not end a step."""
    assert interpret(state).status == "running"
    assert not interpret(state).is_terminal
