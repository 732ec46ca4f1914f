"""What a step's code raised, in one line, as ZenML has recorded it on the step run."""

import re
from dataclasses import dataclass
from pathlib import PurePath

from zenml_vertex.foreign_text import clean, clean_line

# A frame; `|` is the margin of an exception group.
_PLACE = re.compile(r'^[ |]{0,64}File "([^"\n]{1,4096})", line (\d{1,9})', re.MULTILINE)
# Between the tracebacks of exceptions of which one led to the next.
_LINKS = (
    "\n\nThe above exception was the direct cause of the following exception:\n\n",
    "\n\nDuring handling of the above exception, another exception occurred:\n\n",
)
# What an exception group has caught begins here.
_BEGIN_OF_GROUPED = re.compile(r"^ {0,64}\+-\+-", re.MULTILINE)
_MOST_CHARACTERS = 200
# The class of an exception stands in the last line of its traceback.
_MOST_OF_TRACEBACK = 100_000


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception that ended a step."""

    # Name of its class, such as `ValueError`; empty if it is not known.
    kind: str
    # What it says.
    message: str
    # Where in the module of the step's function, as `train.py, line 12`; empty if not known.
    place: str = ""

    @property
    def is_exit(self) -> bool:
        """Whether the step's code ended its process, as `sys.exit` does."""
        return self.kind == "SystemExit"

    def __str__(self) -> str:
        """One line of printable characters, without a full stop."""
        if self.is_exit:
            text = f"its code called sys.exit({self._exit_argument})"
        else:
            text = ": ".join(part for part in (self.kind, _shorten(self.message)) if part)
        text = text.rstrip(". ")
        return f"{text} ({self.place})" if self.place else text

    @property
    def _exit_argument(self) -> str:
        message = _shorten(self.message)
        return message if re.fullmatch(r"-?\d*|None|True|False", message) else repr(message)


def read_raised(
    traceback: str, source: str | None, message: str | None, user_code_line: int | None
) -> Raised | None:
    """Read ZenML's `ExceptionInfo`, which is foreign text; None if it says nothing.

    Args:
        traceback: It begins in the step's function if `user_code_line` is set.
        source: The class, such as `builtins.ValueError`.
        message: What the exception says.
        user_code_line: The line within the step's function.
    """
    # Tracebacks come in the order of the exceptions: the last one is what ended the step.
    stacks = traceback.rstrip().removesuffix((message or "").rstrip())
    last = stacks[max(stacks.rfind(link) for link in _LINKS) + 1 :]
    place = _find_place(stacks, last) if user_code_line is not None else ""
    traceback = clean(traceback, _MOST_OF_TRACEBACK)
    message = clean(message or "")
    kind = clean(source).rpartition(".")[2] if source else _find_kind(traceback, message)
    if not (kind or message):
        return None
    return Raised(_shorten(kind), message, _shorten(place))


def _find_place(stacks: str, last: str) -> str:
    """The deepest frame of the last traceback in the file that the first one begins in."""
    first = _PLACE.search(clean(stacks, _MOST_OF_TRACEBACK))
    stack = _BEGIN_OF_GROUPED.split(clean(last, _MOST_OF_TRACEBACK), maxsplit=1)[0]
    lines = [line for path, line in _PLACE.findall(stack) if first and path == first[1]]
    # The path is that of the container.
    return f"{PurePath(first[1]).name}, line {lines[-1]}" if first and lines else ""


def _find_kind(traceback: str, message: str) -> str:
    """The class of an exception that ZenML could not import, from the end of its traceback."""
    first = re.escape(message.partition("\n")[0])
    # A later line of the message may be one word, as the name of a class is.
    end = f": {first}" if first else ""
    names = re.findall(rf"^((?:[\w.>]|< ?)+){end}$", traceback, re.MULTILINE)
    return str(names[-1]).rpartition(".")[2] if names else ""


def _shorten(text: str) -> str:
    line = clean_line(text)
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS].rstrip()}…"
