"""How the value of a field is read: brought into one form, or refused.

A reader returns None for a value that is unset. An unset field is left out of the
request, so that Vertex AI's own default holds. What counts as unset depends on the
kind of value:

- string, enum, duration: None and the empty string. ZenML and its built-in operator
  keep components whose strings were never filled in as `""`.
- integer: None. 0 is a number, except as a count of accelerators, where it means none.
- boolean: None. False is a choice, and is sent.
- list, object: None and an empty one. What is inside an object is sent as it is written.

A reader never shows the value that it refuses: an environment variable may be a secret.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

Reader = Callable[[Any], Any]


class UnreadableValue(Exception):
    """A value is not what a field takes; the text says what it must be, as a sentence's end."""


# https://protobuf.dev/reference/protobuf/google.protobuf/#duration
_DURATION = re.compile(r"\d+(\.\d{1,9})?s")


def read_string(value: Any) -> str | None:
    """A string, as it is written."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise UnreadableValue("must be a string")
    return value


def read_enum(value: Any) -> str | None:
    """The name of an enum's value, in the API's upper case."""
    text = read_string(value)
    return text.upper() if text else None


def read_duration(value: Any) -> str | None:
    """A number of seconds as the API writes it, such as `3600s`."""
    text = read_string(value)
    if text and not _DURATION.fullmatch(text):
        raise UnreadableValue("must be a number of seconds followed by `s`, such as '3600s'")
    return text


def read_integer(value: Any) -> int | None:
    """An integer, or a string of digits as the API's JSON has it too."""
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise UnreadableValue("must be an integer")
    return value


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
    """A boolean."""
    if value is not None and not isinstance(value, bool):
        raise UnreadableValue("must be true or false")
    return value


def read_names(value: Any) -> list[str] | None:
    """A list of names, a comma list, or a JSON list (`["a", "b"]`) in a string.

    The names need no quotes or brackets, so stripping these reads all three.
    """
    if value is None:
        return None
    parts = value.strip().strip("[]").split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise UnreadableValue("must be a list of strings")
    names = (part.strip().strip("\"'").strip() for part in parts)
    return [name for name in names if name] or None


def read_object(value: Any) -> dict[str, Any] | None:
    """An object of the API, its keys in the API's spelling: `mount_point` is `mountPoint`."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise UnreadableValue("must be an object")
    return _spell_keys(value) or None


def read_objects(value: Any) -> list[dict[str, Any]] | None:
    """A list of objects of the API, their keys in the API's spelling."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise UnreadableValue("must be a list of objects")
    return _spell_keys(value) or None


def read_labels(value: Any) -> dict[str, str] | None:
    """Labels by their keys; a label's value can be the empty string."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or not all(
        isinstance(item, str) for pair in value.items() for item in pair
    ):
        raise UnreadableValue("must be an object whose values are strings")
    return dict(value) or None


def read_environment(value: Any) -> dict[str, str] | None:
    """Environment variables, from a list of `{"name": ..., "value": ...}`."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(
        isinstance(item, Mapping) and {"name", "value"} <= set(item) for item in value
    ):
        raise UnreadableValue("must be a list of {'name': ..., 'value': ...}")
    return {str(item["name"]): str(item["value"]) for item in value} or None


def _spell_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_camel_case(str(key)): _spell_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_spell_keys(item) for item in value]
    return value


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
