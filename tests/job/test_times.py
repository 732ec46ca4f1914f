"""How long a job waited and ran, and durations as people read them."""

import pytest

from zenml_vertex.job.times import JobTimes, format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.04, "0 s"),
        (0.46, "0.5 s"),
        (3, "3 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (3599.6, "1 h"),
        (90061, "25 h 1 min"),
    ],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    """A duration is written in at most two units, with tenths only where they count."""
    assert format_duration(seconds) == text


def test_a_jobs_own_times_tell_how_long_it_waited_and_ran() -> None:
    """The times of a recorded job are read as they are: with and without fractions of a second."""
    times = JobTimes.read(
        {
            "createTime": "2026-02-19T17:06:23.500000Z",
            "startTime": "2026-02-19T17:08:28Z",
            "endTime": "2026-02-19T17:09:28.123456789Z",
        }
    )
    assert (times.waited, times.ran, times.existed) == (124.5, 60.123456, 184.623456)


@pytest.mark.parametrize(
    "text", ["", "projects/1", "2026-02-19T17:08:28", "99999-01-01T00:00:00Z", {}, None, True]
)
def test_a_time_that_cannot_be_read_counts_as_not_there(text: object) -> None:
    """A time in another form, or in no time zone, ends nothing: the durations are left out."""
    times = JobTimes.read({"createTime": text, "startTime": "2026-02-19T17:08:28Z"})
    assert (times.waited, times.ran, times.existed) == (None, None, None)


def test_a_job_that_starts_before_it_was_created_waited_for_no_time() -> None:
    """The start in whole seconds may lie before the creation, which is no negative wait."""
    job = {"createTime": "2026-02-19T17:08:28.9Z", "startTime": "2026-02-19T17:08:28Z"}
    assert JobTimes.read(job).waited == 0
