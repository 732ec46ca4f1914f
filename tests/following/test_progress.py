"""Progress as the user reads it."""

import pytest

from zenml_vertex.following.progress import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0s"), (-1, "0s"), (59.4, "59s"), (60, "1m 0s"), (3599.6, "1h 0m"), (90061, "25h 1m")],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    """A duration is written in at most two units."""
    assert format_duration(seconds) == text
