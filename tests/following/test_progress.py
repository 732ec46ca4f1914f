"""What a person sees."""

import pytest

from zenml_vertex.following.progress import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0s"), (-1, "0s"), (59.4, "59s"), (60, "1m 0s"), (3599.6, "1h 0m"), (90061, "25h 1m")],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    """Two units at the most."""
    assert format_duration(seconds) == text
