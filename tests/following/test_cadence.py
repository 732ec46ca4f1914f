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
    ServerContext,
    back_off,
    choose_interval,
    choose_note_interval,
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


def test_the_server_is_asked_seldom_where_notes_are_found() -> None:
    """The ZenML server is asked every 20 s at first, and every 90 s in the long run."""
    intervals = [
        choose_server_interval(ServerContext(seconds)) for seconds in (0, 150, 300, 600, 99 * HOUR)
    ]
    assert intervals == [20, 20, 37.5, 75, 90]


def test_the_server_is_asked_more_often_where_no_note_can_be_found() -> None:
    """Without notes, a step's end is noticed after a fiftieth of its running time at most."""
    intervals = [
        choose_server_interval(ServerContext(seconds + 600, seconds_running=seconds))
        for seconds in (0, 100, 1000, HOUR)
    ]
    assert intervals == [1, 2, 20, 72]


def test_a_busy_server_is_asked_less() -> None:
    """A process takes no more than a twentieth of the server's time, however slow it answers."""
    assert choose_server_interval(ServerContext(0, answer_seconds=1.9)) == 38
    busy = ServerContext(0, seconds_running=0, answer_seconds=0.3)
    assert choose_server_interval(busy) == 6
    assert choose_server_interval(ServerContext(0, answer_seconds=60)) == 300


@pytest.mark.parametrize("jobs_elsewhere", [99, 499, 999])
@pytest.mark.parametrize("seconds_running", [None, 0.0])
def test_many_processes_do_not_flood_the_server(
    jobs_elsewhere: int, seconds_running: float | None
) -> None:
    """Processes with one step each ask the ZenML server some 5 times a second together at most."""
    context = ServerContext(0, seconds_running, jobs_elsewhere=jobs_elsewhere)
    assert (1 + jobs_elsewhere) / choose_server_interval(context) < 7


def test_notes_are_looked_for_often() -> None:
    """Notes are looked for twice a second at first, and every five seconds in the long run."""
    assert [choose_note_interval(seconds) for seconds in (0, 100, HOUR)] == [0.5, 1, 5]


def test_notes_that_cannot_be_found_are_looked_for_seldom() -> None:
    """After failed looks, notes are looked for every 30 s at first, then every ten minutes."""
    assert [choose_note_interval(0, failures) for failures in (1, 2, 9)] == [30, 60, 600]


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
