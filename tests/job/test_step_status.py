"""What a step run's status means agrees with ZenML's own enum."""

import pytest
from zenml.enums import ExecutionStatus

from zenml_vertex.job.step_status import INACTIVE_STATUSES, STATUSES, interpret_status


def test_every_status_of_zenml_is_in_the_table() -> None:
    """And none that ZenML does not have."""
    assert set(STATUSES) == {status.value for status in ExecutionStatus}


@pytest.mark.smoke
@pytest.mark.parametrize("status", list(ExecutionStatus))
def test_finished_means_what_zenml_means(status: ExecutionStatus) -> None:
    """Except `retrying`, which ZenML calls unfinished: the step's next attempt is another run."""
    meaning = interpret_status(status.value)
    assert meaning.is_finished == (status.is_finished or status is ExecutionStatus.RETRYING)
    assert (meaning.outcome == "completed") == status.is_successful
    if meaning.outcome:
        assert ExecutionStatus(meaning.outcome).is_finished


@pytest.mark.parametrize(
    ("status", "after"),
    [
        (ExecutionStatus.STOPPING, ExecutionStatus.STOPPED),
        (ExecutionStatus.CANCELLING, ExecutionStatus.CANCELLED),
    ],
)
def test_a_step_that_was_told_to_stop_ends_as_stopped(
    status: ExecutionStatus, after: ExecutionStatus
) -> None:
    """It is neither finished nor active until it has."""
    meaning = interpret_status(status.value)
    assert meaning.ends_as == after.value
    assert not meaning.is_finished
    assert not meaning.is_active
    assert interpret_status(after.value).outcome == "stopped"


def test_a_status_is_active_finished_or_ending() -> None:
    """Exactly one of the three."""
    for status, meaning in STATUSES.items():
        assert meaning.is_active + meaning.is_finished + meaning.is_ending == 1, status
        assert (status in INACTIVE_STATUSES) is not meaning.is_active


def test_a_status_that_is_not_in_the_table_is_active() -> None:
    """A newer ZenML server ends no step by a word that this version does not know."""
    assert interpret_status("hibernating").is_active
