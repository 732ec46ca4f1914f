"""How the value of a field is read: brought into one form, or refused.

A reader returns None for a value that is unset. An unset field is left out of the
request, so that Vertex AI's own default holds. What counts as unset depends on the
kind of value; spaces and line ends around a text, which a secret or a copied line may have, are not
part of it:

- string, enum, duration: None and the empty string. ZenML and its built-in operator
  keep components whose strings were never filled in as `""`.
- integer: None. 0 is a number, except as a count of accelerators, where it means none.
- boolean: None. False is a choice, and is sent. The words that YAML and the command line have for
  it are read too.
- list, object: None and whatever is empty.

What an error shows of a value that a reader refuses is said by `show_value`: an
environment variable may be a secret.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from zenml_vertex.job.machines import find_accelerator

Reader = Callable[[Any], Any]


class UnreadableValue(Exception):
    """A value is not what a field takes; the text says what it must be, as a sentence's end."""


# YAML reads an unquoted `no`, `off`, `yes` or `on` as a boolean, and digits as a number.
_IN_QUOTES = ": put it in quotes"
_MAX_SHOWN_CHARACTERS = 80

SECRET = "the value of a secret"  # noqa: S105 - a text
"""What a message shows of a value that ZenML has looked up in a secret."""

# https://protobuf.dev/reference/protobuf/google.protobuf/#duration
_MAX_SECONDS = 315_576_000_000
_NANOSECOND = Decimal("1e-9")
_NUMBER = r"([0-9]{1,12}(?:\.[0-9]{1,9})?)"
_SECONDS_ALONE = re.compile(_NUMBER)
# `2h30m`, and the `3600s` that the API writes.
_UNITS = re.compile(
    r"(?=.)" + r"\s*".join(rf"(?:{_NUMBER}{unit})?" for unit in ("w", "d", "h", "m(?:in)?", "s")),
    re.IGNORECASE,
)
# ISO 8601, without the months and years that have no fixed length.
_ISO_8601 = re.compile(
    rf"P(?=.)(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=.)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.IGNORECASE,
)
_UNIT_SECONDS = (7 * 24 * 3600, 24 * 3600, 3600, 60, 1)
# What pydantic reads as a boolean too.
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "t", "y", "1"), True),
    **dict.fromkeys(("false", "no", "off", "f", "n", "0"), False),
}
# The API's integers have 32 bits in fields, and at most 64 inside objects. Python
# refuses to write down those of thousands of digits.
_INTEGER = re.compile(r"-?[0-9]+")
# As ZenML knows it: https://docs.zenml.io/concepts/secrets
_SECRET_REFERENCE = re.compile(r"\{\{\s*\S+?\.\S+\s*\}\}")
_MAX_DIGITS = 11
_MAX_INT32, _MAX_INT64 = 2**31 - 1, 2**63 - 1
# No object of the API is nested more than four levels deep.
_MAX_DEPTH = 20


def show_value(value: Any, most: int = _MAX_SHOWN_CHARACTERS) -> str:
    """A value as a message shows it: short, on one line, and never what a secret may be in.

    Args:
        value: What was written for a setting whose values are not secrets. Of a list or an
            object only the kind is shown.
        most: How many characters of it are shown.
    """
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple, set)):
        return "a list"
    if value is None or value == "":
        return "empty"
    if isinstance(value, timedelta):
        value = str(value)
    if isinstance(value, str):
        if "{{" in value:
            return "a secret reference"
        text = value
    elif isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) <= _MAX_INT64):
        text = str(value)
    else:
        return "a number of too many digits" if isinstance(value, int) else "of another type"
    shown = repr(text[:most])[1:-1]
    return f"`{shown}...`" if len(text) > most else f"`{shown}`"


def read_string(value: Any) -> str | None:
    """A string, as it is written."""
    value = _strip(value)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        is_scalar = isinstance(value, (bool, int, float))
        raise UnreadableValue(f"must be a string{_IN_QUOTES if is_scalar else ''}")
    return value


def read_enum(value: Any) -> str | None:
    """The name of an enum's value, in the API's upper case."""
    text = read_string(value)
    return text.upper() if text else None


def read_accelerator_type(value: Any) -> str | None:
    """The name of an accelerator type, also in another spelling, such as `T4`."""
    text = read_enum(value)
    return text and (find_accelerator(text) or text)


ENUM_READERS = frozenset({read_enum, read_accelerator_type})
"""The readers of enums, whose values Google's client must know by name."""


def read_duration(value: Any) -> str | None:
    """A duration as the API writes it, such as `3600s`.

    It may be written as seconds (3600, "3600", "3600s"), in units ("90m", "2h30m", "1d"), in ISO
    8601 ("PT1H30M") or as a timedelta.
    """
    value = _strip(value)
    if value is None or value == "":
        return None
    seconds = _count_seconds(value)
    if seconds is None or not 0 <= seconds <= _MAX_SECONDS:
        raise UnreadableValue(
            "must be a duration: seconds, such as 3600 or `3600s`, or `90m`, `2h30m`, `1d`, or ISO "
            "8601, such as `PT1H30M`"
        )
    text = f"{seconds.quantize(_NANOSECOND):f}".rstrip("0").rstrip(".")
    return f"{text}s"


def _count_seconds(value: Any) -> Decimal | None:
    """The seconds of a duration; None for what is not one."""
    if isinstance(value, timedelta):
        # Exact, which `total_seconds` is not.
        return Decimal(value // timedelta(microseconds=1)) / 10**6
    if isinstance(value, str):
        return _count_seconds_of_text(value)
    if _is_number(value) and abs(value) <= _MAX_SECONDS:
        return Decimal(str(value))
    return None


def _count_seconds_of_text(text: str) -> Decimal | None:
    if alone := _SECONDS_ALONE.fullmatch(text):
        return Decimal(alone[1])
    parts = _UNITS.fullmatch(text) or _ISO_8601.fullmatch(text)
    if parts is None:
        return None
    numbers = zip(parts.groups(), _UNIT_SECONDS, strict=True)
    return sum((Decimal(number) * unit for number, unit in numbers if number), Decimal(0))


def read_integer(value: Any) -> int | None:
    """An integer of 32 bits, or a string of digits as the API's JSON has it too."""
    value = _strip(value)
    if value is None:
        return None
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value) if len(value) <= _MAX_DIGITS else math.inf
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    elif isinstance(value, bool) or not isinstance(value, int):
        raise UnreadableValue("must be an integer: digits alone, such as 1")
    if abs(value) > _MAX_INT32:
        raise UnreadableValue("must be an integer that fits into 32 bits")
    return int(value)


def read_accelerator_count(value: Any) -> int | None:
    """A number of accelerators; 0 is none."""
    return read_integer(value) or None


def read_replica_count(value: Any) -> int | None:
    """The number of replicas, which is 1."""
    count = read_integer(value)
    if count not in (None, 1):
        raise UnreadableValue("must be 1, because a step runs on one replica")
    return count


def read_boolean(value: Any) -> bool | None:
    """A boolean, or a word for one."""
    value = _strip(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    found = _BOOLEANS.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise UnreadableValue("must be true or false")
    return found


def read_names(value: Any) -> list[str] | None:
    """A list of names, a comma list, or a JSON list (`["a", "b"]`) in a string.

    The names need no quotes or brackets, so stripping these reads all three.
    """
    if is_empty(value):
        return None
    parts = value.strip().strip("[]").split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise UnreadableValue("must be a list of strings, such as ['a', 'b']")
    names = (part.strip().strip("\"'").strip() for part in parts)
    return [name for name in names if name] or None


def read_object(value: Any) -> dict[str, Any] | None:
    """An object, whatever is in it."""
    if is_empty(value):
        return None
    if not isinstance(value, Mapping):
        raise UnreadableValue("must be an object, such as {'name': 'value'}")
    return dict(check_json(value)) or None


def read_labels(value: Any) -> dict[str, str] | None:
    """Labels by their keys; a label's value can be the empty string, and a number is its text."""
    if is_empty(value):
        return None
    if not isinstance(value, Mapping) or not all(
        isinstance(key, str) and (isinstance(item, str) or _is_number(item))
        for key, item in value.items()
    ):
        raise UnreadableValue("must be an object of strings, such as {'version': '3'}")
    try:
        return {key: str(item) for key, item in value.items()} or None
    except ValueError as error:
        raise UnreadableValue("must have values that are strings") from error


def read_environment(value: Any) -> dict[str, str] | None:
    """Environment variables, from a list of `{"name": ..., "value": ...}`."""
    if is_empty(value):
        return None
    if not isinstance(value, list) or not all(
        isinstance(item, Mapping) and {"name", "value"} <= set(item) for item in value
    ):
        raise UnreadableValue("must be a list of {'name': ..., 'value': ...}")
    if any(isinstance(part, (Mapping, list, type(None))) for i in value for part in i.values()):
        raise UnreadableValue("must have names and values that are strings")
    try:
        variables = {str(item["name"]): str(item["value"]) for item in value}
    except (ValueError, RecursionError) as error:
        raise UnreadableValue("must have names and values that are strings") from error
    if len(variables) < len(value):
        raise UnreadableValue("has two variables of one name: keep one of them")
    return variables


def is_empty(value: Any) -> bool:
    """Whether nothing was written: None, or an empty string, list or object."""
    return value is None or (isinstance(value, (str, list, Mapping)) and not value)


def check_json(value: Any, depth: int = 0) -> Any:
    """The value, if JSON can have it.

    Raises:
        UnreadableValue: If not.
    """
    if depth > _MAX_DEPTH:
        raise UnreadableValue(f"must be nested at most {_MAX_DEPTH} levels deep")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise UnreadableValue("must have names that are strings")
        return {key: check_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [check_json(item, depth + 1) for item in value]
    if isinstance(value, int) and abs(value) > _MAX_INT64:
        raise UnreadableValue(f"must have integers of at most {_MAX_INT64}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UnreadableValue("must have numbers that are finite")
    if not isinstance(value, (str, int, float, type(None))):
        raise UnreadableValue("must consist of strings, numbers, booleans, lists and objects")
    return value


def has_reference(value: Any, depth: int = 0) -> bool:
    """Whether a text in a value, however deep, is a reference to a secret and nothing else."""
    if isinstance(value, (list, tuple, Mapping)) and depth <= _MAX_DEPTH:
        items = value.values() if isinstance(value, Mapping) else value
        return any(has_reference(item, depth + 1) for item in items)
    return isinstance(value, str) and _SECRET_REFERENCE.fullmatch(value) is not None


def _strip(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
