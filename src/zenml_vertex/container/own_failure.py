"""Says what ended a step where ZenML's entrypoint does not: outside the step's function.

ZenML reports what a step's function raises. An import that fails, an artifact that cannot be
saved, and an exception whose text cannot be encoded end its entrypoint without a report: the
client would learn the container's exit status, and no reason.

ZenML's client raises again what was reported, which ends a process that runs other steps if it
is `SystemExit`.
"""

import traceback
from contextlib import suppress

from zenml.constants import MEDIUMTEXT_MAX_LENGTH
from zenml.models.v2.misc.exception_info import ExceptionInfo
from zenml.utils import source_utils


def describe_exception(error: BaseException) -> ExceptionInfo:
    """An exception as ZenML records it, whatever its text is.

    Args:
        error: What ended the entrypoint. Where ZenML could not encode the text of another
            exception, that other one is described.
    """
    error = as_failure(_find_unencoded(error))
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    source = None
    with suppress(Exception):
        source = source_utils.resolve(type(error)).import_path
    message = ""
    # The text is made by the class's own code.
    with suppress(Exception):
        message = str(error)
    return ExceptionInfo(
        traceback=_encodable("".join(lines)), source=source, message=_encodable(message) or None
    )


def as_failure(error: BaseException) -> Exception:
    """An exception that fails its step and ends nothing else.

    Args:
        error: It is returned as it is unless it would end the process that it is raised in.
    """
    if isinstance(error, Exception):
        return error
    did = f"was ended by {type(error).__name__}"
    if isinstance(error, SystemExit):
        did = f"called sys.exit({'' if error.code is None else repr(error.code)})"
    failure = RuntimeError(
        f"The step's code {did}. Next: return from the step's function, or raise an exception "
        "that says what is wrong."
    )
    failure.__cause__ = error
    return failure.with_traceback(error.__traceback__)


def _find_unencoded(error: BaseException) -> BaseException:
    """The exception that was to be reported, if reporting it failed."""
    context = error.__context__
    return context if isinstance(error, UnicodeEncodeError) and context else error


def _encodable(text: str) -> str:
    encoded = text.encode("utf-8", "backslashreplace")[:MEDIUMTEXT_MAX_LENGTH]
    # It may have been cut within a character.
    return encoded.decode("utf-8", "ignore")
