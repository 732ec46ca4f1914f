"""Progress as the user reads it."""

import pytest

from tests.support.fakes import CreateFault
from tests.support.worlds import Submitted
from zenml_vertex.errors import ServiceUnavailable
from zenml_vertex.following.progress import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0s"), (-1, "0s"), (59.4, "59s"), (60, "1m 0s"), (3599.6, "1h 0m"), (90061, "25h 1m")],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    """A duration is written in at most two units."""
    assert format_duration(seconds) == text


def test_the_log_says_what_a_search_has_found(caplog: pytest.LogCaptureFixture) -> None:
    """A search that finds nothing is reported, after a lost request and after a Ctrl-C."""
    caplog.set_level("INFO")
    lost = ServiceUnavailable("Vertex AI gave no answer.", code=503)
    Submitted(CreateFault(lost, has_effect=False)).submit()
    assert "No job was found; creating it again." in caplog.text
    with pytest.raises(KeyboardInterrupt):
        Submitted(CreateFault(KeyboardInterrupt(), has_effect=False)).submit()
    assert "Ctrl-C: unclear whether a Vertex AI job was created" in caplog.text
    assert "No Vertex AI job was found." in caplog.text
