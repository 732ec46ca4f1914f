"""Which errors are waited out, for how long, and how a call is retried."""

import pytest

from tests.support.fakes import ManualClock
from zenml_vertex import errors
from zenml_vertex.errors import (
    CredentialsError,
    JobNotFound,
    NotYetPermitted,
    PermissionDenied,
    QuotaExceeded,
    RequestRejected,
    ServerUnreachable,
    ServiceUnavailable,
    StepRunNotFound,
    VertexStepOperatorError,
)
from zenml_vertex.following.patience import FailureRuns, Patience, Retrying, Task, choose_patience

START = 1000.0
NO_ANSWER = ServiceUnavailable("Vertex AI gave no answer.")
OF_MACHINES = QuotaExceeded("quota metrics exceed", code=429, is_of_machines=True)


class Failing:
    """A call that fails, temporarily or for good.

    Args:
        clock: The clock of the test.
        error: The exception that the call raises.
        until: The time on the clock from which the call succeeds.
    """

    def __init__(self, clock: ManualClock, error: Exception, until: float = float("inf")) -> None:
        self.clock = clock
        self.error = error
        self.until = until
        self.times: list[float] = []

    def __call__(self) -> str:
        self.times.append(self.clock.now - START)
        if self.clock.now < self.until:
            raise self.error
        return "done"


def _kinds(kind: type[VertexStepOperatorError]) -> set[type[VertexStepOperatorError]]:
    return {kind}.union(*(_kinds(derived) for derived in kind.__subclasses__()))


def test_retryable_errors() -> None:
    """The retryable errors are those without an answer, call quotas, and access that is missing."""
    named = {kind for kind in _kinds(VertexStepOperatorError) if kind.__module__ == errors.__name__}
    assert {kind for kind in named if kind.retryable} == {
        CredentialsError,
        NotYetPermitted,
        PermissionDenied,
        ServerUnreachable,
        ServiceUnavailable,
    }
    assert QuotaExceeded("slow down", code=429).retryable
    assert not OF_MACHINES.retryable


@pytest.mark.parametrize(
    ("task", "error", "patience"),
    [
        (Task.FOLLOW, JobNotFound("gone", code=404), Patience(60, 5)),
        (Task.FOLLOW, StepRunNotFound("gone"), Patience(15, 5)),
        (Task.FOLLOW, PermissionDenied("no", code=403), Patience(900, 10)),
        (Task.FOLLOW, CredentialsError("no token"), Patience(900, 10)),
        (Task.FOLLOW, RequestRejected("no", code=400), Patience(7200, 60)),
        (Task.FOLLOW, NO_ANSWER, Patience(7200, 60)),
        (Task.FOLLOW, ServerUnreachable("no answer"), Patience(7200, 60)),
        (Task.CREATE, NO_ANSWER, Patience(0)),
        (Task.CREATE, QuotaExceeded("slow down", code=429), Patience(300)),
        (Task.CREATE, OF_MACHINES, Patience(0)),
        (Task.CREATE, NotYetPermitted("not yet", code=400), Patience(120)),
        (Task.CREATE, PermissionDenied("no", code=403), Patience(0)),
        (Task.FIND, NO_ANSWER, Patience(600)),
        (Task.FIND, PermissionDenied("no", code=403), Patience(600)),
        (Task.FIND, RequestRejected("no", code=400), Patience(0)),
        (Task.CANCEL, QuotaExceeded("slow down", code=429), Patience(120)),
        (Task.CANCEL, JobNotFound("gone", code=404), Patience(0)),
        (Task.CANCEL_LINGERING, CredentialsError("no token"), Patience(900)),
        (Task.ASK_SERVER, ServerUnreachable("no answer"), Patience(60)),
        (Task.ASK_SERVER, StepRunNotFound("gone"), Patience(0)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_each_kind_of_error_has_its_patience(
    task: Task, error: VertexStepOperatorError, patience: Patience
) -> None:
    """An error has the patience of its closest base class.

    One without patience is raised at once.
    """
    assert choose_patience(task, error) == patience


def test_patience_is_spent_when_both_budgets_are() -> None:
    """Patience ends only when both the time and the number of tries are spent."""
    patience = Patience(seconds=60, failures=5)
    assert not patience.is_spent(seconds=59, failures=500)
    assert not patience.is_spent(seconds=5000, failures=4)
    assert patience.is_spent(seconds=60, failures=5)


def test_a_call_is_retried_until_it_works(caplog: pytest.LogCaptureFixture) -> None:
    """The log says once that the call is retried, and for how long at most."""
    clock = ManualClock()
    call = Failing(clock, NO_ANSWER, until=START + 10)
    assert Retrying(Task.CANCEL, clock)(call) == "done"
    assert call.times == [0, 3, 6, 9, 12]
    assert [record.message for record in caplog.records] == [
        "Vertex AI gave no answer. Trying again in 3 s, for up to 2 min in all."
    ]


@pytest.mark.parametrize(
    ("task", "error", "seconds"),
    [
        (Task.CREATE, QuotaExceeded("slow down", code=429), 300),
        (Task.CANCEL, NO_ANSWER, 120),
        (Task.ASK_SERVER, ServerUnreachable("no answer"), 60),
    ],
)
def test_the_last_try_is_made_when_patience_ends(
    task: Task, error: VertexStepOperatorError, seconds: float
) -> None:
    """The last try is made exactly when patience ends, and its error is raised."""
    clock = ManualClock()
    call = Failing(clock, error)
    with pytest.raises(type(error)) as caught:
        Retrying(task, clock)(call)
    assert caught.value is error
    assert call.times[-1] == seconds


def test_calls_share_one_budget() -> None:
    """A second call has only the patience that the first one left."""
    clock = ManualClock()
    retrying = Retrying(Task.CANCEL, clock, seconds=20)
    retrying(Failing(clock, NO_ANSWER, until=START + 15))
    call = Failing(clock, NO_ANSWER)
    with pytest.raises(ServiceUnavailable):
        retrying(call)
    assert call.times == [15, 18, 20]


@pytest.mark.parametrize("error", [RequestRejected("no", code=400), ValueError("a defect")])
def test_permanent_errors_are_raised_at_once(error: Exception) -> None:
    """Refusals and defects are raised without a retry."""
    clock = ManualClock()
    call = Failing(clock, error)
    with pytest.raises(type(error)):
        Retrying(Task.CANCEL, clock, seconds=1000)(call)
    assert call.times == [0]


def test_a_retry_after_beyond_the_patience_is_not_waited_for() -> None:
    """A Retry-After that is longer than the remaining patience raises the error at once."""
    clock = ManualClock()
    call = Failing(clock, QuotaExceeded("slow down", code=429, retry_after=301))
    with pytest.raises(QuotaExceeded):
        Retrying(Task.CREATE, clock)(call)
    assert clock.sleeps == []


def test_a_cancel_does_not_wait_for_the_whole_retry_after() -> None:
    """A cancel is retried before a long Retry-After has passed, because the job costs money."""
    clock = ManualClock()
    error = QuotaExceeded("slow down", code=429, retry_after=3600)
    Retrying(Task.CANCEL, clock)(Failing(clock, error, until=START + 5))
    assert clock.sleeps == [3, 3]


def test_each_kind_of_failure_has_its_own_patience() -> None:
    """Failures of one kind do not spend the patience with another kind."""
    clock = ManualClock()
    runs = FailureRuns(clock)
    short, long = Patience(10, 2), Patience(100, 2)
    assert not runs.note(short)
    assert not runs.note(long)
    clock.sleep(10)
    assert runs.note(short)
    assert not runs.note(long)
    runs.clear(short)
    assert not runs.note(short)
    clock.sleep(90)
    runs.clear_all(but=[short])
    assert runs.note(short)
    assert not runs.note(long)
