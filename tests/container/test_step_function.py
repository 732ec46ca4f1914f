"""A step's function in the process that reports its result, whatever it does to that process."""

import os
import sys
import traceback
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from zenml import step
from zenml.steps import BaseStep

from zenml_vertex.container.step_function import guard_step_function

CALL = BaseStep.call_entrypoint


@step
def clears() -> list[str]:
    """Removes all variables, and sets one."""
    os.environ.clear()
    os.environ["CHANGED"] = "by the step"
    return list(os.environ)


@step
def fails() -> None:
    """Removes all variables, and raises."""
    os.environ.clear()
    raise ValueError


@step
def exits() -> None:
    """Ends the process."""
    sys.exit(0)


@step
def is_told_to_stop() -> None:
    """Ends as ZenML's heartbeat has it end."""
    raise KeyboardInterrupt


@step
def calls_another() -> str:
    """Calls a step as a function, and handles its exit."""
    try:
        exits.call_entrypoint()
    except SystemExit:
        return "handled"
    return "not as in a plain call"


@pytest.fixture(autouse=True)
def guarded() -> Iterator[None]:
    """Guard the one call of the test."""
    variables = {"KEPT": "before", "CHANGED": "before"}
    with patch.dict(os.environ, variables, clear=True):
        guard_step_function()
        yield
    assert BaseStep.call_entrypoint is CALL


def test_removed_variables_are_back_when_the_function_has_ended() -> None:
    """The function has them removed; what reports finds them, and what the function has set."""
    assert clears.call_entrypoint() == ["CHANGED"]
    assert (os.environ["KEPT"], os.environ["CHANGED"]) == ("before", "by the step")


def test_removed_variables_are_back_when_the_function_has_raised() -> None:
    """A failure is reported with them, as what it is."""
    with pytest.raises(ValueError, match=r"^$"):
        fails.call_entrypoint()
    assert os.environ["KEPT"] == "before"


def test_an_exit_is_a_failure() -> None:
    """The container reports an exception with the line of the function, and a cure."""
    with pytest.raises(RuntimeError, match=r"called sys\.exit\(0\)\. Next: ") as failed:
        exits.call_entrypoint()
    assert traceback.extract_tb(failed.value.__traceback__)[-1].name == "exits"


def test_a_step_that_is_told_to_stop_stops() -> None:
    """ZenML's own interruption reaches ZenML."""
    with pytest.raises(KeyboardInterrupt):
        is_told_to_stop.call_entrypoint()


def test_steps_that_the_function_calls_are_left_alone() -> None:
    """Only the call by ZenML is guarded."""
    assert calls_another.call_entrypoint() == "handled"
