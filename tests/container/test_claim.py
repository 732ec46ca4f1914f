"""The claim: of several containers that could run a step's code, only one does."""

import threading
from collections.abc import Callable

import pytest

from tests.support.fakes import ManualClock
from zenml_vertex.container import claim as claims
from zenml_vertex.container.claim import STALE_SECONDS, Claim, StepClaim


class InMemoryClaim:
    """A claim store in memory; with `fails`, every call raises.

    Args:
        text: What is stored.
        is_exclusive: Whether it lets one of several create.
    """

    def __init__(self, text: str | None = None, *, is_exclusive: bool = False) -> None:
        self.text = text
        self.is_exclusive = is_exclusive
        self.reads = 0
        self.fails = False
        self.written = threading.Event()
        self.looks = threading.Semaphore(0)

    def _check(self) -> None:
        if self.fails:
            raise OSError("the bucket is gone")

    def create(self, text: str) -> bool:
        self._check()
        if self.text is not None:
            return False
        self.text = text
        return True

    def read(self) -> str | None:
        self._check()
        self.reads += 1
        self.looks.release()
        return self.text

    def write(self, text: str) -> None:
        self._check()
        self.text = text
        self.written.set()

    def remove(self) -> None:
        self._check()
        self.text = None

    def wait_for_renewals(self, count: int = 3) -> None:
        """Wait until a thread has looked at the claim that often after this call's beginning."""
        while self.looks.acquire(blocking=False):
            pass
        # The last look may not have been acted upon yet.
        for _ in range(count + 1):
            assert self.looks.acquire(timeout=10)


class EventfulClock(ManualClock):
    """A manual clock that lets something happen at each sleep.

    Args:
        events: Called one after the other, one at each sleep.
    """

    def __init__(self, *events: Callable[[], None]) -> None:
        super().__init__()
        self._events = list(events)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self._events:
            self._events.pop(0)()


def _claim(
    store: InMemoryClaim,
    clock: ManualClock | None = None,
    is_finished: Callable[[], bool] = lambda: False,
    holder: str = "second",
) -> StepClaim:
    return StepClaim(
        store=store, clock=clock or ManualClock(), holder=holder, is_finished=is_finished
    )


def test_the_first_container_runs_the_step_at_once() -> None:
    """The first container creates the claim, and does not wait."""
    store, clock = InMemoryClaim(), ManualClock()
    assert _claim(store, clock).acquire()
    assert Claim.parse(store.text) == Claim("second")
    assert clock.sleeps == []


_UNREADABLE = [
    "",
    "{}",
    "[]",
    "null",
    '{"holder": 1}',
    "\0",
    '{"holder": "x", "renewals": Infinity}',
]


@pytest.mark.parametrize("text", [*_UNREADABLE, "[" * 100_000], ids=lambda text: text[:50])
def test_an_unreadable_claim_goes_stale(text: str) -> None:
    """It may be half of a living container's, and does not block another one for ever."""
    store, clock = InMemoryClaim(text), ManualClock()
    assert _claim(store, clock).acquire()
    assert Claim.parse(store.text) == Claim("second")
    assert STALE_SECONDS <= sum(clock.sleeps) < 2 * STALE_SECONDS


def test_a_claim_that_is_being_written_is_another_containers() -> None:
    """Whoever reads an empty file while another container writes its claim waits for that one."""
    store, over = InMemoryClaim(""), []

    def write() -> None:
        store.text = Claim("first").to_text()

    quiet = [lambda: None] * int(STALE_SECONDS / claims.POLL_SECONDS - 1)
    clock = EventfulClock(*quiet, write, lambda: over.append(True))
    assert not _claim(store, clock, is_finished=lambda: bool(over)).acquire()
    assert Claim.parse(store.text) == Claim("first")


def test_a_finished_step_is_not_run_again() -> None:
    """A second start after the step has reported does nothing and writes no claim."""
    store = InMemoryClaim()
    assert not _claim(store, is_finished=lambda: True).acquire()
    assert store.text is None


def test_a_dead_container_is_replaced() -> None:
    """A claim that is not renewed for a while is taken over."""
    store, clock = InMemoryClaim(Claim("first", 7).to_text()), ManualClock()
    assert _claim(store, clock).acquire()
    assert Claim.parse(store.text) == Claim("second")
    assert sum(clock.sleeps) >= STALE_SECONDS


def test_a_live_container_is_left_alone() -> None:
    """A second start waits while the claim is renewed, until the step has finished."""
    store = InMemoryClaim(Claim("first").to_text())
    rounds = 100
    over = []

    def renew(number: int) -> Callable[[], None]:
        def event() -> None:
            store.text = Claim("first", number).to_text()

        return event

    clock = EventfulClock(*(renew(n) for n in range(rounds)), lambda: over.append(True))
    assert not _claim(store, clock, is_finished=lambda: bool(over)).acquire()
    assert Claim.parse(store.text) == Claim("first", rounds - 1)
    assert sum(clock.sleeps) > 4 * STALE_SECONDS


def test_a_store_that_fails_for_a_minute_frees_nobodys_claim() -> None:
    """A container that waits asks again, and gives up the claim only if the store stays away."""
    store, over = InMemoryClaim(Claim("first").to_text()), []

    def fail() -> None:
        store.fails = True

    def recover() -> None:
        store.fails, store.text = False, Claim("first", 3).to_text()

    outage = [fail] * int(60 / claims.POLL_SECONDS)
    clock = EventfulClock(*outage, recover, lambda: over.append(True))
    assert not _claim(store, clock, is_finished=lambda: bool(over)).acquire()
    assert Claim.parse(store.text) == Claim("first", 3)

    with pytest.raises(OSError, match="the bucket is gone"):
        _claim(store, clock := EventfulClock(fail)).acquire()
    assert sum(clock.sleeps) < 2 * STALE_SECONDS


def test_a_container_that_gives_up_is_replaced_at_once() -> None:
    """A claim that is removed without a result is taken over at once."""
    store = InMemoryClaim(Claim("first").to_text())
    clock = EventfulClock(store.remove)
    assert _claim(store, clock).acquire()
    assert sum(clock.sleeps) < STALE_SECONDS


def test_only_one_of_two_containers_takes_over() -> None:
    """The last container to write the claim holds it, and the other one keeps waiting."""
    store = InMemoryClaim(Claim("first").to_text())
    over = []

    def third_writes() -> None:
        store.text = Claim("third").to_text()

    # The rounds until the claim is stale, then the settling time after this container's write.
    quiet = [lambda: None] * int(STALE_SECONDS / claims.POLL_SECONDS)
    clock = EventfulClock(*quiet, third_writes, lambda: over.append(True))
    assert not _claim(store, clock, is_finished=lambda: bool(over)).acquire()
    assert Claim.parse(store.text) == Claim("third")


def test_a_container_that_claims_what_was_left_is_not_overwritten() -> None:
    """Of two that wait for a third, the one that creates the claim anew runs the step."""
    over = []

    class Contested(InMemoryClaim):
        def create(self, text: str) -> bool:
            if self.text is None:
                self.text = Claim("third").to_text()
            return super().create(text)

    store = Contested(Claim("first").to_text(), is_exclusive=True)
    clock = EventfulClock(store.remove, lambda: None, lambda: over.append(True))
    assert not _claim(store, clock, is_finished=lambda: bool(over)).acquire()
    assert Claim.parse(store.text) == Claim("third")


def test_a_long_question_to_the_server_makes_no_claim_stale() -> None:
    """What the other container has stored meanwhile is read before its claim is overwritten."""
    store, clock, questions = InMemoryClaim(Claim("first").to_text()), ManualClock(), []

    def is_finished() -> bool:
        questions.append(True)
        clock.sleep(10 * STALE_SECONDS)
        store.text = Claim("first", len(questions)).to_text()
        return len(questions) > 4

    assert not _claim(store, clock, is_finished=is_finished).acquire()
    assert Claim.parse(store.text) == Claim("first", 5)


def test_an_overwritten_claim_is_not_held() -> None:
    """Of two first starts at the same time, the one whose claim was overwritten notices it."""
    store = InMemoryClaim()
    first = _claim(store, holder="first")
    assert first.acquire()
    assert first.is_held()
    store.text = Claim("second").to_text()
    assert not first.is_held()


@pytest.mark.parametrize("is_exclusive", [False, True])
def test_a_deleted_claim_is_not_held(is_exclusive: bool) -> None:
    """The container creates it again before it runs the step's code, or waits for who has."""
    store, clock = InMemoryClaim(is_exclusive=is_exclusive), ManualClock()
    first = _claim(store, clock, holder="first")
    assert first.acquire()
    clock.sleep(STALE_SECONDS / 2)
    store.text = None
    assert not first.is_held()
    assert first.acquire()
    assert Claim.parse(store.text) == Claim("first")


def test_a_claim_that_one_container_alone_can_create_is_not_read_again() -> None:
    """The check before the step's code costs nothing then, unless renewals have failed for long."""
    store, clock = InMemoryClaim(is_exclusive=True), ManualClock()
    first = _claim(store, clock, holder="first")
    assert first.acquire()
    assert first.is_held()
    assert store.reads == 0
    clock.sleep(STALE_SECONDS / 2)
    store.text = Claim("second").to_text()
    assert not first.is_held()


def test_a_claim_whose_answer_was_lost_is_this_containers_own() -> None:
    """A client that asks again after a lost answer finds its own claim, and waits for nobody."""
    store, clock = InMemoryClaim(Claim("first").to_text(), is_exclusive=True), ManualClock()
    assert _claim(store, clock, holder="first").acquire()
    assert clock.sleeps == []


def test_a_claim_is_renewed_while_the_step_runs_and_removed_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A renewal changes the claim, which shows that its holder is alive; the end removes it."""
    monkeypatch.setattr(claims, "RENEWAL_SECONDS", 0.001)
    store = InMemoryClaim()
    claim = _claim(store)
    claim.acquire()
    store.written.clear()
    with claim.renewed():
        assert store.written.wait(10)
        assert store.text != Claim("second").to_text()
    assert store.text is None


@pytest.mark.parametrize("is_exclusive", [False, True])
def test_a_renewal_leaves_another_containers_claim_alone(
    monkeypatch: pytest.MonkeyPatch, is_exclusive: bool
) -> None:
    """A container that was late notices that another one has taken over, also as it ends."""
    monkeypatch.setattr(claims, "RENEWAL_SECONDS", 0.001)
    store = InMemoryClaim(is_exclusive=is_exclusive)
    first, second = _claim(store, holder="first"), Claim("second").to_text()
    assert first.acquire()
    store.text = second
    with first.renewed():
        store.wait_for_renewals()
        assert store.text == second
        assert not first.is_held()
    assert store.text == second


@pytest.mark.parametrize("text", [None, "", "\0"])
def test_a_renewal_stores_a_broken_claim_again(
    monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    """A claim that was deleted or spoilt while the step runs does not stay so."""
    monkeypatch.setattr(claims, "RENEWAL_SECONDS", 0.001)
    store = InMemoryClaim()
    first = _claim(store, holder="first")
    assert first.acquire()
    store.text = text
    with first.renewed():
        store.wait_for_renewals()
        assert first.is_held()


def test_a_container_does_not_wait_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that lost its claim takes over from a dead container while its own renewals go on."""
    monkeypatch.setattr(claims, "RENEWAL_SECONDS", 0.001)
    store = InMemoryClaim(is_exclusive=True)

    def give_up() -> None:
        raise TimeoutError

    quiet = [store.wait_for_renewals] * int(2 * STALE_SECONDS / claims.POLL_SECONDS)
    first = _claim(store, EventfulClock(*quiet, give_up), holder="first")
    assert first.acquire()
    store.text = Claim("second").to_text()
    with first.renewed():
        store.wait_for_renewals()
        assert not first.is_held()
        assert first.acquire()
        assert first.is_held()


def test_a_store_that_fails_does_not_end_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures to renew or remove the claim do not change the step's own result."""
    monkeypatch.setattr(claims, "RENEWAL_SECONDS", 0.001)
    store = InMemoryClaim()
    claim = _claim(store)
    claim.acquire()
    with claim.renewed():
        store.fails = True
    assert store.text is not None
