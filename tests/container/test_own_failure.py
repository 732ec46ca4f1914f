"""What ends a step outside its function is reported by its container, with its reason."""

import re

import pytest
from zenml.constants import MEDIUMTEXT_MAX_LENGTH

from tests.support.pipelines import RunPipeline
from zenml_vertex.container.own_failure import describe_exception

STEPS = """
    import os
    import sys
    from zenml import pipeline, step
    from zenml.enums import ExecutionMode

    if "imports" in sys.argv:
        import notthere_pkg

    class Stubborn:
        def __reduce__(self):
            raise TypeError("cannot pickle this")

    @step(step_operator="vertex", enable_cache=False)
    def imports() -> int:
        return 1

    @step(step_operator="vertex", enable_cache=False)
    def saves() -> Stubborn:
        return Stubborn()

    @step(step_operator="vertex", enable_cache=False)
    def speaks() -> None:
        raise ValueError("half of \\ud83d")

    @step(step_operator="vertex", enable_cache=False)
    def exits() -> None:
        os.environ.clear()
        sys.exit(0)

    @pipeline(execution_mode=ExecutionMode.CONTINUE_ON_FAILURE)
    def failures():
        exits()
        imports()
        saves()
        speaks()

    if __name__ == "__main__":
        failures()
"""


class Unspeakable(Exception):
    """An exception whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError


def test_the_terminal_names_what_ended_each_step(run_pipeline: RunPipeline) -> None:
    """A missing package, an artifact that cannot be saved, half a character in a text, an exit.

    None of them leaves a person with the exit status of the container, or ends the pipeline.
    """
    completed = run_pipeline(STEPS)

    for reason in (
        "ModuleNotFoundError: No module named 'notthere_pkg'",
        "TypeError: cannot pickle this",
        "ValueError: half of \\ud83d",
        "RuntimeError: The step's code called sys.exit(0). Next: return from",
    ):
        assert re.search(f"the step failed.*: {re.escape(reason)}", completed.output), (
            completed.output
        )
    assert "exited with status" not in completed.output
    assert [step.status for step in completed.run.steps] == ["failed"] * 4


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("half of \ud83d"), "half of \\ud83d"),
        (ValueError("ä" * MEDIUMTEXT_MAX_LENGTH), "ä" * (MEDIUMTEXT_MAX_LENGTH // 2)),
        (ValueError(), None),
        (Unspeakable(), None),
    ],
)
def test_every_text_can_be_reported(error: Exception, message: str | None) -> None:
    """The report has as much of an exception's text as the server stores."""
    info = describe_exception(error)
    assert info.message == message
    assert type(error).__name__ in info.traceback
    assert len(info.traceback.encode()) <= MEDIUMTEXT_MAX_LENGTH


@pytest.mark.parametrize(
    ("error", "did"),
    [
        (SystemExit(), "called sys.exit()."),
        (SystemExit("no data"), "called sys.exit('no data')."),
        (KeyboardInterrupt(), "was ended by KeyboardInterrupt."),
    ],
)
def test_a_step_that_has_failed_ends_no_client(error: BaseException, did: str) -> None:
    """ZenML's client raises again what was reported: nothing but an `Exception` fails one step."""
    info = describe_exception(error)
    assert info.source == "builtins.RuntimeError"
    assert str(info.message).startswith(f"The step's code {did} Next: ")


def test_the_exception_that_could_not_be_encoded_is_reported() -> None:
    """A report that failed because of a text is no reason to report the failure in its place."""
    unsaid = ValueError("half of \ud83d")
    with pytest.raises(UnicodeEncodeError) as failed:
        unsaid.args[0].encode()
    failed.value.__context__ = unsaid
    info = describe_exception(failed.value)
    assert (info.source, info.message) == ("builtins.ValueError", "half of \\ud83d")
