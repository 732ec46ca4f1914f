"""A look goes on without whoever has asked for it, and nothing that it raises is lost."""

import threading

import pytest

from zenml_vertex.following.single_flight import Looking

LONG = 60.0


def _join() -> None:
    for thread in threading.enumerate():
        if thread.name == "zenml-vertex-look":
            thread.join(LONG)


def test_what_a_look_raises_reaches_whoever_waits_for_it() -> None:
    """A defect is not swallowed by a thread, once or ever."""

    def look() -> None:
        raise ValueError("broken")

    looking = Looking(look)
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            looking.begin(LONG)


def test_what_nobody_waited_for_is_raised_at_the_next_look() -> None:
    """Otherwise a runner would ask for ever and be told what was known at first."""
    may_go_on = threading.Event()
    looks = []

    def look() -> None:
        looks.append(1)
        assert may_go_on.wait(LONG)
        if len(looks) == 1:
            raise ValueError("broken")

    looking = Looking(look)
    looking.begin(0)
    looking.begin(0)
    assert len(looks) == 1
    may_go_on.set()
    _join()
    with pytest.raises(ValueError, match="broken"):
        looking.begin(LONG)
    assert len(looks) == 1
    looking.begin(LONG)
    assert len(looks) == 2
