"""The table of step run statuses agrees with ZenML's own enum."""

import pytest
from zenml.enums import ExecutionStatus

from zenml_vertex.job.step_status import INACTIVE_STATUSES, STATUSES, interpret_status


def test_every_status_of_zenml_is_in_the_table() -> None:
    """The table has every status of ZenML and no other."""
    assert set(STATUSES) == {status.value for status in ExecutionStatus}


@pytest.mark.smoke
@pytest.mark.parametrize("status", list(ExecutionStatus))
def test_finished_means_what_zenml_means(status: ExecutionStatus) -> None:
    """A status is finished where ZenML's enum says so; `retrying` is too, as its run has ended."""
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
    """A stopping step run is neither finished nor active, and it ends as stopped."""
    meaning = interpret_status(status.value)
    assert meaning.ends_as == after.value
    assert not meaning.is_finished
    assert not meaning.is_active
    assert interpret_status(after.value).outcome == "stopped"


def test_a_status_is_active_finished_or_ending() -> None:
    """Each status is exactly one of active, finished and ending."""
    for status, meaning in STATUSES.items():
        assert meaning.is_active + meaning.is_finished + meaning.is_ending == 1, status
        assert (status in INACTIVE_STATUSES) is not meaning.is_active


def test_an_unknown_status_is_active() -> None:
    """A status that only a newer ZenML server knows counts as active and does not end a step."""
    assert interpret_status("hibernating").is_active
