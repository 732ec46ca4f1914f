"""The manual clock, and the timer that runs on it."""

import logging
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vertex_emulator import ManualClock, SystemClock
from vertex_emulator.core.timer import Timer

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def clock() -> ManualClock:
    """A manual clock."""
    return ManualClock(START)


@pytest.fixture
def timer(clock: ManualClock) -> Iterator[Timer]:
    """A timer on that clock."""
    timer = Timer(clock)
    timer.start()
    yield timer
    timer.stop()


def at(seconds: float) -> datetime:
    """Return the time that many seconds after the clock's first one."""
    return START + timedelta(seconds=seconds)


def test_everything_due_is_done_when_advance_returns(clock: ManualClock, timer: Timer) -> None:
    """All due calls, also those set by other calls, are made at their times and in order."""
    seen: list[tuple[str, float]] = []

    def note(name: str) -> None:
        seen.append((name, (clock.now() - START).total_seconds()))
        if name == "b":
            timer.set("child", clock.now() + timedelta(seconds=1), lambda: note("child"))

    timer.set("c", at(30), lambda: note("c"))
    timer.set("b", at(20), lambda: note("b"))
    timer.set("a", at(10), lambda: note("a"))
    timer.set("far", at(1000), lambda: note("far"))
    clock.advance(30)
    assert seen == [("a", 10), ("b", 20), ("child", 21), ("c", 30)]
    assert clock.now() == at(30)


def test_what_is_due_now_is_done_by_settle(clock: ManualClock, timer: Timer) -> None:
    """`settle` makes the calls that are due without moving the clock."""
    seen: list[str] = []
    timer.set("a", at(0), lambda: seen.append("a"))
    clock.settle()
    assert seen == ["a"]
    assert clock.now() == START


def test_calls_at_one_time_are_made_in_the_order_they_were_set(
    clock: ManualClock, timer: Timer
) -> None:
    """A hundred calls set for one time are made in the order in which they were set."""
    seen: list[int] = []
    for number in range(100):
        timer.set(number, at(5), partial(seen.append, number))
    clock.advance(5)
    assert seen == list(range(100))


def test_a_call_is_replaced_and_cancelled(clock: ManualClock, timer: Timer) -> None:
    """Each key has one call at a time, and thousands of replaced ones do not accumulate."""
    seen: list[int] = []
    for number in range(5000):
        timer.set("key", at(100 + number), partial(seen.append, number))
    assert len(timer._entries) < 200
    timer.set("gone", at(1), lambda: seen.append(-1))
    timer.cancel("gone")
    timer.set("never", at(1), lambda: seen.append(-2))
    timer.set("never", None, lambda: None)
    clock.advance(10_000)
    assert seen == [4999]


def test_a_failing_call_does_not_stop_the_timer(
    clock: ManualClock, timer: Timer, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in a call is logged, and the next call is made."""
    seen: list[str] = []
    timer.set("bad", at(1), lambda: 1 / 0)
    timer.set("good", at(2), lambda: seen.append("good"))
    with caplog.at_level(logging.ERROR):
        clock.advance(2)
    assert seen == ["good"]
    assert "ZeroDivisionError" in caplog.text


def test_a_timer_call_cannot_advance_the_clock(clock: ManualClock, timer: Timer) -> None:
    """A timer call that advances the clock would wait for itself, so `advance` refuses it."""
    refused: list[str] = []

    def advance() -> None:
        with pytest.raises(RuntimeError) as caught:
            clock.advance(1)
        refused.append(str(caught.value))

    timer.set("bad", at(1), advance)
    clock.advance(1)
    assert refused == ["a call that the clock has caused cannot advance it"]


def test_two_threads_advance(clock: ManualClock, timer: Timer) -> None:
    """Two threads that advance move the clock by their sum, and every call is made once."""
    seen: list[int] = []
    for number in range(200):
        timer.set(number, at(number + 1), partial(seen.append, number))

    def advance() -> None:
        for _ in range(100):
            clock.advance(1)

    threads = [threading.Thread(target=advance) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now() == at(200)
    assert seen == list(range(200))


def test_a_clock_does_not_wait_for_a_stopped_timer(clock: ManualClock) -> None:
    """`advance` returns although a timer on the clock was stopped."""
    timer = Timer(clock)
    timer.start()
    timer.set("a", at(1), lambda: None)
    timer.stop()
    clock.advance(10)
    assert clock.now() == at(10)


def test_a_timer_runs_on_the_system_clock() -> None:
    """On the system clock, a call is made without any `advance`."""
    clock = SystemClock()
    timer = Timer(clock)
    timer.start()
    come = threading.Event()
    timer.set("a", clock.now() + timedelta(seconds=0.01), come.set)
    assert come.wait(10)
    timer.stop()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 10)), max_size=30),
    st.lists(st.integers(0, 20), max_size=10),
)
def test_the_steps_of_advancing_do_not_matter(
    wishes: list[tuple[int, int]], advances: list[int]
) -> None:
    """However time is divided into steps, the same calls are made in order at the same times."""

    def play(steps: list[int]) -> list[tuple[int, float]]:
        clock = ManualClock(START)
        timer = Timer(clock)
        seen: list[tuple[int, float]] = []

        def note(index: int, again: int) -> None:
            seen.append((index, (clock.now() - START).total_seconds()))
            if again:
                moment = clock.now() + timedelta(seconds=again)
                timer.set(index, moment, lambda: note(index, 0))

        for index, (moment, again) in enumerate(wishes):
            timer.set(index, at(moment), partial(note, index, again))
        timer.start()
        for step in steps:
            clock.advance(step)
        timer.stop()
        return seen

    assert play([*advances, 300]) == play([sum(advances) + 300])
