"""The states of a job, read from its record."""

from datetime import datetime, timezone

import pytest

from zenml_vertex.local_stack.views.vertex import StateChange, build_history, is_terminal, read_time


def _at(second: int) -> datetime:
    return datetime(2026, 1, 2, 3, 4, second, tzinfo=timezone.utc)


def test_a_job_that_succeeded_has_three_states() -> None:
    """PENDING starts at the creation, RUNNING at the start time, and the end is the end time."""
    job = {
        "state": "JOB_STATE_SUCCEEDED",
        "createTime": "2026-01-02T03:04:00Z",
        "startTime": "2026-01-02T03:04:20Z",
        "endTime": "2026-01-02T03:04:50Z",
    }
    assert build_history(job) == [
        StateChange("PENDING", _at(0)),
        StateChange("RUNNING", _at(20)),
        StateChange("SUCCEEDED", _at(50)),
    ]


@pytest.mark.parametrize("state", ["QUEUED", "PENDING"])
def test_a_job_that_waits_has_no_end(state: str) -> None:
    """States that the job has not reached are not shown."""
    job = {"state": f"JOB_STATE_{state}", "createTime": "2026-01-02T03:04:00Z"}
    assert build_history(job) == [StateChange(state, _at(0))]


def test_only_the_last_states_are_terminal() -> None:
    """Terminal states are terminal, and CANCELLING is not."""
    assert is_terminal({"state": "JOB_STATE_CANCELLED"})
    assert not is_terminal({"state": "JOB_STATE_CANCELLING"})


def test_times_are_read_whatever_their_digits() -> None:
    """Times with no, three, six or nine digits of a second are read."""
    for digits, microsecond in (("", 0), (".5", 500_000), (".123456789", 123_456)):
        read = read_time(f"2026-01-02T03:04:05{digits}Z")
        assert read == datetime(2026, 1, 2, 3, 4, 5, microsecond, tzinfo=timezone.utc)
