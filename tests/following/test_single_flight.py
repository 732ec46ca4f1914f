"""A poll continues without the caller that started it, and none of its errors is lost."""

import threading

import pytest

from zenml_vertex.following.single_flight import SingleFlight

LONG = 60.0


def _join() -> None:
    for thread in threading.enumerate():
        if thread.name == "zenml-vertex-poll":
            thread.join(LONG)


def test_what_a_poll_raises_reaches_its_caller() -> None:
    """An error in the polling thread is raised to the caller, every time."""

    def poll() -> None:
        raise ValueError("broken")

    flight = SingleFlight(poll)
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            flight.run(LONG)


def test_an_error_without_a_caller_is_raised_at_the_next_poll() -> None:
    """An error that occurs after its caller has left is raised to the next caller."""
    may_go_on = threading.Event()
    polls = []

    def poll() -> None:
        polls.append(1)
        assert may_go_on.wait(LONG)
        if len(polls) == 1:
            raise ValueError("broken")

    flight = SingleFlight(poll)
    flight.run(0)
    flight.run(0)
    assert len(polls) == 1
    may_go_on.set()
    _join()
    with pytest.raises(ValueError, match="broken"):
        flight.run(LONG)
    assert len(polls) == 1
    flight.run(LONG)
    assert len(polls) == 2
