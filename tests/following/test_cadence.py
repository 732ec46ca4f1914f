"""How often jobs and step runs are polled."""

import pytest

from zenml_vertex.errors import (
    CredentialsError,
    PermissionDenied,
    QuotaExceeded,
    RequestRejected,
    ServiceUnavailable,
    VertexStepOperatorError,
)
from zenml_vertex.following.cadence import (
    QUICKEST_SECONDS,
    PollContext,
    back_off,
    choose_interval,
    choose_server_interval,
)

HOUR = 3600.0


def test_polls_become_rarer_while_nothing_changes() -> None:
    """Polls slow down from 12 a minute to one a minute for a job that has run for hours."""
    intervals = [
        choose_interval(PollContext(seconds)) for seconds in (0, 119, 120, 600, HOUR, 99 * HOUR)
    ]
    assert intervals == [5, 5, 15, 30, 60, 60]


def test_a_job_that_is_about_to_change_is_polled_often() -> None:
    """A queued or provisioning job is polled often for some minutes, then rarely."""
    assert choose_interval(PollContext(500, is_starting=True)) == QUICKEST_SECONDS
    assert choose_interval(PollContext(HOUR, is_starting=True)) == 60


def test_a_command_that_reports_nothing_is_polled_often() -> None:
    """A command step is polled often, because only Vertex AI reports its end."""
    assert choose_interval(PollContext(500, is_silent=True)) == QUICKEST_SECONDS


@pytest.mark.parametrize("jobs_elsewhere", [99, 999, 9_999])
def test_many_processes_together_stay_below_the_quota(jobs_elsewhere: int) -> None:
    """Many processes with one step each make fewer than 600 reads a minute together."""
    context = PollContext(0, is_starting=True, jobs_elsewhere=jobs_elsewhere)
    reads_a_minute = 2 * (1 + jobs_elsewhere) * 60 / choose_interval(context)
    assert reads_a_minute < 600


def test_the_server_is_asked_twice_a_second_at_first() -> None:
    """The ZenML server is polled twice a second at first, and every ten seconds in the long run."""
    assert choose_server_interval(0) == 0.5
    assert choose_server_interval(5 * 60) == 0.5
    assert choose_server_interval(10 * 60) == 1
    assert choose_server_interval(HOUR) == 6
    assert choose_server_interval(99 * HOUR) == 10
    assert choose_server_interval(0, jobs_elsewhere=1000) == 10


@pytest.mark.parametrize("jobs_elsewhere", [49, 99, 499])
def test_many_processes_do_not_flood_the_server(jobs_elsewhere: int) -> None:
    """Processes with one step each send the ZenML server at most 50 requests a second together."""
    questions = (1 + jobs_elsewhere) / choose_server_interval(0, jobs_elsewhere)
    assert questions == pytest.approx(50, rel=0.05)


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (ServiceUnavailable("no answer"), [5, 10, 20, 30]),
        (QuotaExceeded("slow down"), [10, 20, 40, 60]),
        (CredentialsError("log in"), [10, 20, 40, 120]),
        (PermissionDenied("no"), [10, 20, 40, 120]),
        (RequestRejected("no such filter"), [10, 20, 40, 300]),
    ],
)
def test_polls_slow_down_after_failures(error: VertexStepOperatorError, waits: list[float]) -> None:
    """Each failure makes the next poll later, up to a limit, which the kind of failure decides."""
    assert [back_off(failures, [error]) for failures in (1, 2, 3, 50)] == waits


def test_polls_wait_as_long_as_they_are_told() -> None:
    """Retry-After is respected, whatever else went wrong in the same poll."""
    told = QuotaExceeded("slow down", retry_after=77)
    assert back_off(1, [told, ServiceUnavailable("no answer")]) == 77


def test_many_processes_stay_apart_after_failures() -> None:
    """A thousand processes do not knock twelve times a minute each at a service that is down."""
    assert back_off(1, [ServiceUnavailable("no answer")], jobs_elsewhere=999) > 300
