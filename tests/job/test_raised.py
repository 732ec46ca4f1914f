"""What a step's code raised, as one line says it."""

import time
import traceback
from collections.abc import Callable

import pytest
from zenml.utils.exception_utils import collect_exception_information

from zenml_vertex.job.raised import Raised, read_raised


class StrangeError(Exception):
    """An exception of the step's own."""


class LocalError(Exception):
    """One that cannot be imported by its name."""


def raise_it(error: BaseException) -> None:
    """Raise, as a step's function does."""
    raise error from KeyError("inner")


def read(error: BaseException) -> Raised | None:
    """Read what ZenML records of an exception that `raise_it` raises."""
    with pytest.raises(type(error)) as raised:
        raise_it(error)
    info = collect_exception_information(raised.value, raise_it)
    return read_raised(info.traceback, info.source, info.message, info.user_code_line)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectionError("503 Service Unavailable"), "ConnectionError: 503 Service Unavailable"),
        (ValueError(), "ValueError"),
        (KeyError("x"), "KeyError: 'x'"),
        (
            StrangeError("one.\n  two\r\n\x1b[31mthree\x07\u202e."),
            "StrangeError: one. two three",
        ),
        (ValueError("y" * 10_000), f"ValueError: {'y' * 200}…"),
        (SystemExit(2), "its code called sys.exit(2)"),
        (SystemExit(0), "its code called sys.exit(0)"),
        (SystemExit(), "its code called sys.exit()"),
        (SystemExit("no config, giving up"), "its code called sys.exit('no config, giving up')"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_one_line_says_what_was_raised_and_where(error: BaseException, text: str) -> None:
    """The class, the message and the place in the step's function, of what ZenML records.

    The message is foreign text: it fits into the line, whatever stands in it.
    """
    line = str(read(error))
    said, _, place = line.rpartition(" (test_raised.py, line ")
    assert said == text
    assert place.removesuffix(")").isdecimal()


def fail_by_itself() -> None:
    """Fail where the step's function fails."""
    raise ValueError("deep")


def fail_while_handling() -> None:
    """Raise while another exception is handled."""
    try:
        fail_by_itself()
    except ValueError:
        raise RuntimeError(f'no\n  File "{__file__}", line 7') from None


def fail_in_turn() -> None:
    """Fail with an exception that another one led to, in a helper of this module."""
    try:
        fail_by_itself()
    except ValueError as error:
        raise RuntimeError("in turn") from error


def fail_in_a_handler() -> None:
    """Fail while another exception is handled."""
    try:
        fail_by_itself()
    except ValueError:
        int("x")


@pytest.mark.parametrize(
    "function",
    [fail_by_itself, fail_while_handling, fail_in_turn, fail_in_a_handler],
)
def test_the_place_is_that_of_the_exception_that_is_named(function: Callable[[], None]) -> None:
    """It is where the last exception was raised, not where an earlier one that led to it was."""
    with pytest.raises((ValueError, RuntimeError)) as raised:
        function()
    info = collect_exception_information(raised.value, function)
    found = read_raised(info.traceback, info.source, info.message, info.user_code_line)
    assert found is not None
    expected = [frame.lineno for frame in traceback.extract_tb(raised.tb)][-1]
    assert found.place == f"test_raised.py, line {expected}"


def test_the_place_of_an_exception_group_is_its_own() -> None:
    """What the group has caught was raised elsewhere."""
    text = (
        '  |   File "/app/train.py", line 7, in train\n  |     raise ExceptionGroup("a", errors)\n'
        "  | ExceptionGroup: a (1 sub-exception)\n  +-+---------------- 1 ----------------\n"
        '    | Traceback (most recent call last):\n    |   File "/app/train.py", line 2, in load\n'
        "    | ValueError: b\n    +------------------------------------\n"
    )
    raised = read_raised(text, "builtins.ExceptionGroup", "a (1 sub-exception)", 3)
    assert str(raised).endswith(" (train.py, line 7)")


def test_an_exception_of_zenmls_that_followed_has_no_place() -> None:
    """What ZenML raised after the step's code had failed was raised nowhere in that code."""
    text = (
        '  File "/app/train.py", line 7, in train\nValueError: a\n\n'
        "During handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "/zenml/x.py", line 9, in y\nKeyError: b\n'
    )
    assert str(read_raised(text, "builtins.KeyError", "b", 3)) == "KeyError: b"


def test_an_exception_that_zenml_cannot_import_has_its_class_from_the_traceback() -> None:
    """ZenML records no source then; the end of the traceback has the name."""
    with pytest.raises(LocalError) as raised:
        raise_it(LocalError("lost\nand\nfound."))
    text = "".join(traceback.format_exception(raised.value))
    assert str(read_raised(text, None, str(raised.value), None)) == "LocalError: lost and found"


def test_a_class_of_a_function_has_its_name() -> None:
    """A class that a function defines is known by its own name."""

    class HiddenError(Exception):
        pass

    with pytest.raises(HiddenError) as raised:
        raise_it(HiddenError("lost"))
    text = "".join(traceback.format_exception(raised.value))
    assert "<locals>" in text
    assert str(read_raised(text, None, str(raised.value), None)) == "HiddenError: lost"


@pytest.mark.parametrize("text", ["a", "a.", 'File "a', "a\n", "File ", "a: "])
def test_what_was_raised_takes_no_time(text: str) -> None:
    """A step cannot keep the client busy with what it raises."""
    start = time.process_time()
    read_raised(text * 100_000, None, text * 100_000, 1)
    assert time.process_time() - start < 2


def test_what_was_raised_bears_no_secret() -> None:
    """Nor do its class and its place, which a step can name as it likes."""
    raised = read_raised(
        'File "/ya29.hunter2", line 3', "a.ya29\x1b.hunter2", "Bearer hunter2\x1b]0;t\x07", 3
    )
    assert "hunter2" not in f"{raised} {raised!r}"
    assert str(raised).isprintable()


def test_what_says_nothing_is_not_cited() -> None:
    """Neither a class nor a message: there is nothing to say; a message alone is said."""
    assert read_raised("", None, None, None) is None
    assert str(read_raised("The job failed.", None, "The job failed.", None)) == "The job failed"
    assert str(read_raised("no file", "builtins.ValueError", "", 3)) == "ValueError"
