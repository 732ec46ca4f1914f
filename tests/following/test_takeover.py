"""Which of several processes takes over a step run, whatever the order of what they do."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.fakes import InMemoryStepRuns, ManualClock
from zenml_vertex.clock import read_time
from zenml_vertex.errors import ServerUnreachable, StepRunNotFound
from zenml_vertex.following import clients, takeover
from zenml_vertex.following.clients import Lease, find_following
from zenml_vertex.following.metadata import CLIENT_KEY
from zenml_vertex.following.takeover import find_winners, withdraw
from zenml_vertex.processes import Process, find_this_process

STEP = "step-run"
DEAD = replace(find_this_process(), client_id="dead", started="1")


class Contest:
    """Processes that bid for a step run whose client has ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.step_runs = InMemoryStepRuns()
        self.step_runs.record(STEP, {CLIENT_KEY: replace(_sign(), process=DEAD).to_metadata()})
        self.clock = ManualClock()
        self.name = "none"
        self._monkeypatch = monkeypatch

    @property
    def recorded(self) -> Mapping[str, Any]:
        """The metadata of the step run."""
        return dict(self.step_runs.read_metadata(STEP))

    def become(self, name: str) -> None:
        """Go on as another process, elsewhere."""
        self.name = name
        process = Process(name, "elsewhere", 1)
        for module in (clients, takeover):
            self._monkeypatch.setattr(module, "find_this_process", lambda: process)

    def bid(self, before: Mapping[str, Any]) -> str | None:
        """Bid; who has won, None if this process has."""
        winners = find_winners(self.step_runs, self.clock, {STEP: before})
        return winners[STEP].process.client_id if winners else None

    def find_follower(self) -> str | None:
        """Who follows the step run, as all others see it."""
        following = find_following(self.recorded, {}, read_time())
        return (
            following.lease.process.client_id if following.lease and not following.is_over else None
        )


def _sign() -> Lease:
    return Lease.sign(read_time())


@pytest.fixture
def contest(monkeypatch: pytest.MonkeyPatch) -> Contest:
    """A step run whose client has ended."""
    return Contest(monkeypatch)


def test_of_three_that_see_a_step_run_left_alone_one_takes_it_over(
    contest: Contest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two `jobs attach` that were started in the same second both followed.

    However late a bid arrives, even when the first has long decided, the others know who has it,
    and nobody takes a loser for a follower.
    """
    before = contest.recorded
    others = ["second", "third"]
    won: list[str | None] = []

    def let_others_bid(_: float) -> None:
        """What the others do while each of them waits."""
        if others:
            me = contest.name
            contest.become(others.pop(0))
            won.append(contest.bid(before))
            contest.become(me)

    monkeypatch.setattr(contest.clock, "sleep", let_others_bid)
    contest.become("first")
    won.append(contest.bid(before))
    assert won == ["first", "first", None]
    assert contest.find_follower() == "first"
    contest.become("late")
    assert contest.bid(before) == "first"


def test_whoever_looks_after_a_bid_leaves_the_step_run_to_it(contest: Contest) -> None:
    """A process is seen to follow before it has asked Vertex AI anything, until it withdraws."""
    assert contest.find_follower() is None
    contest.become("first")
    assert contest.bid(contest.recorded) is None
    assert contest.find_follower() == "first"
    assert withdraw(contest.step_runs, STEP)
    assert contest.find_follower() is None


def test_a_bid_of_a_process_that_has_ended_counts_for_nothing(contest: Contest) -> None:
    """Whoever was killed while it attached kept nobody from it; nor does one that is overridden."""
    bid = f"{clients.BID_PREFIX}dead"
    contest.step_runs.record(
        STEP, {CLIENT_KEY: {bid: replace(_sign(), process=DEAD).to_metadata()}}
    )
    assert contest.find_follower() is None
    contest.become("first")
    contest.bid(contest.recorded)
    # With `--force`, by whoever has seen the first one's bid.
    contest.become("second")
    assert contest.bid(contest.recorded) is None


def test_a_bid_is_believed_no_longer_than_a_lease(contest: Contest) -> None:
    """A step can write one."""
    contest.become("forged")
    bid = f"{clients.BID_PREFIX}forged"
    lease = _sign().to_metadata()
    lease["until"] = (read_time() + timedelta(days=9)).isoformat()
    contest.step_runs.record(STEP, {CLIENT_KEY: {bid: lease}})
    recorded = contest.recorded
    assert find_following(recorded, {}, read_time() + timedelta(minutes=44)).absence is None
    assert find_following(recorded, {}, read_time() + timedelta(minutes=46)).absence
    rubbish: Any
    for rubbish in (1, "x", {}, None):
        contest.step_runs.record(STEP, {CLIENT_KEY: {bid: rubbish}})
        assert contest.find_follower() is None


def test_a_step_run_that_was_deleted_is_left_to_whoever_follows(contest: Contest) -> None:
    """That says what has become of it."""
    contest.step_runs.record_errors = [StepRunNotFound("It was deleted.")]
    contest.become("first")
    assert contest.bid(contest.recorded) is None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ServerUnreachable("down")])
def test_a_bid_that_is_given_up_is_taken_back(
    contest: Contest, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """After a Ctrl-C, nobody else could attach from another machine for a quarter of an hour."""

    def fail(_: float) -> None:
        raise error

    contest.become("first")
    monkeypatch.setattr(contest.clock, "sleep", fail)
    with pytest.raises(type(error)):
        contest.bid(contest.recorded)
    assert contest.find_follower() is None
