"""The messages of a CustomJob: which fields they have, of which types, and how they are read.

The table is data that `make generate` writes from Google's client. It is read when somebody has
written a message or a part of one; so most steps do without it, and all without the client.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from itertools import zip_longest
from typing import Any

from zenml_vertex import data
from zenml_vertex.job.machines import nearest
from zenml_vertex.job.readers import (
    UnreadableValue,
    check_json,
    is_empty,
    read_boolean,
    read_duration,
    read_integer,
    read_labels,
)

JOB = "CustomJob"
POOLS = "workerPoolSpecs"
_LIST = "[]"
_OUTPUT = "output"

Messages = Mapping[str, Mapping[str, str] | list[str]]
"""Name of a message -> name of a field -> its type; name of an enum -> its values.

A type is a scalar, a message or an enum, with `[]` after it for a list of them. `output` is what
Vertex AI sets.
"""


@lru_cache(maxsize=1)
def load_messages() -> Messages:
    """Read the data file; a millisecond, once per process."""
    text = files(data).joinpath("custom_job.json").read_text(encoding="utf-8")
    found: Messages = json.loads(text)
    return found


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A field or a value of an enum that the table does not have; Google's client may."""

    # Of the field, in the API's spelling as far as it is known.
    path: str
    # The value, if that is what is not known.
    value: str | None
    # What was probably meant.
    close: str | None


@dataclass(frozen=True, slots=True)
class Findings:
    """What a message says, and what is wrong with it; paths are as they were written."""

    # Path in the API's spelling -> as it was written.
    written: dict[str, str] = field(default_factory=dict)
    # Path -> what is wrong there, as a sentence's end.
    problems: dict[str, str] = field(default_factory=dict)
    unlisted: dict[str, Unlisted] = field(default_factory=dict)


def read_message(value: Any, message: str, findings: Findings, path: str = "") -> Any:
    """Read the JSON of a message, its fields in either of the API's two spellings.

    Args:
        value: What was written.
        message: Name of the message, such as `CustomJob`.
        findings: Gets what is found.
        path: Where it stands.

    Returns:
        The message with its fields spelt as in `jobSpec`; None stays what it is. What is wrong is
        left out.
    """
    return _Reader(findings).read(value, message, path, path)


def snake_case(name: str) -> str:
    """`jobSpec` -> `job_spec`."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


def camel_case(name: str) -> str:
    """`job_spec` -> `jobSpec`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise UnreadableValue("must be a string")
    return value


def _read_int64(value: Any) -> str | None:
    number = read_integer(value)
    return None if number is None else str(number)


_SCALARS: Mapping[str, Callable[[Any], Any]] = {
    "string": _read_text,
    "bool": read_boolean,
    "int32": read_integer,
    # The API's JSON spells 64-bit integers as strings.
    "int64": _read_int64,
    "duration": read_duration,
    "map": read_labels,
}


class _Reader:
    """Reads a message and collects what is wrong with it."""

    def __init__(self, findings: Findings) -> None:
        self._found = findings
        # Where a value is left out.
        self._wrong: set[str] = set()

    def read(self, value: Any, kind: str, path: str, written: str) -> Any:
        if value is None:
            return None
        if kind.endswith(_LIST):
            return self._read_list(value, kind.removesuffix(_LIST), path, written)
        if kind in _SCALARS:
            return self._read_scalar(value, kind, written)
        fields = load_messages()[kind]
        if isinstance(fields, list):
            return self._read_enum(value, fields, path, written)
        return self._read_fields(value, fields, path, written)

    def _read_scalar(self, value: Any, kind: str, written: str) -> Any:
        try:
            return _SCALARS[kind](value)
        except UnreadableValue as error:
            return self._refuse(written, str(error))

    def _read_list(self, value: Any, kind: str, path: str, written: str) -> Any:
        if not isinstance(value, list):
            return self._refuse(written, "must be a list")
        items = []
        for index, item in enumerate(value):
            place = f"{written}[{index}]"
            if item is None:
                self._refuse(
                    place, "must not be empty, but it may be an object without fields, `{}`"
                )
            items.append(self.read(item, kind, f"{path}[{index}]", place))
            if place in self._wrong:
                self._wrong.add(written)
        return items

    def _read_fields(
        self, value: Any, fields: Mapping[str, str], path: str, written: str
    ) -> dict[str, Any] | None:
        if not isinstance(value, Mapping):
            self._refuse(written, "must be an object")
            return None
        names = {snake_case(name): name for name in fields} | {name: name for name in fields}
        read: dict[str, Any] = {}
        for key, item in value.items():
            place = f"{written}.{key}".lstrip(".")
            name = names.get(key)
            inside = f"{path}.{name or key}".lstrip(".")
            self._found.written[inside] = place
            if name is None:
                alike = [known for known in names if ("_" in known) == ("_" in str(key))]
                close = nearest(str(key), alike) or nearest(str(key), names)
                self._found.unlisted[place] = Unlisted(inside, None, close)
                read[str(key)] = self._read_unknown(item, place)
            elif fields[name] == _OUTPUT:
                self._refuse(place, "is set by Vertex AI alone. Remove it")
            else:
                result = self.read(item, fields[name], inside, place)
                if place not in self._wrong:
                    read[name] = _merge_field(name, read.get(name), result)
        return read

    def _read_unknown(self, value: Any, written: str) -> Any:
        """What stands in a field that only Google's client may know."""
        try:
            return check_json(value)
        except UnreadableValue as error:
            return self._refuse(written, str(error))

    def _read_enum(self, value: Any, values: list[str], path: str, written: str) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if not isinstance(value, str):
            return self._refuse(written, "must be a string")
        text = value.strip().upper()
        if text not in values:
            self._found.unlisted[written] = Unlisted(path, text, nearest(text, values))
        return text

    def _refuse(self, written: str, reason: str) -> None:
        self._found.problems[written] = reason
        self._wrong.add(written)


def merge(below: Any, above: Any) -> Any:
    """Two parts of a message as one: objects field by field, of everything else the upper one.

    Worker pools are merged one by one.
    """
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    return {**below, **{name: _merge_field(name, below.get(name), above[name]) for name in above}}


def _merge_field(name: str, below: Any, above: Any) -> Any:
    if name == POOLS and isinstance(below, list) and isinstance(above, list):
        none: dict[str, Any] = {}
        return [merge(*pools) for pools in zip_longest(below, above, fillvalue=none)]
    return merge(below, above)


def read_psc_interface_config(value: Any) -> dict[str, Any] | None:
    """A Private Service Connect interface."""
    if is_empty(value):
        return None
    if not isinstance(value, Mapping):
        raise UnreadableValue("must be an object, such as {'network_attachment': 'projects/...'}")
    read: dict[str, Any] = _read_whole(value, "PscInterfaceConfig")
    return read or None


def read_nfs_mounts(value: Any) -> list[dict[str, Any]] | None:
    """NFS shares."""
    return _read_list(value, "NfsMount", "[{'server': '10.0.0.2', 'path': '/data', ...}]")


def read_lustre_mounts(value: Any) -> list[dict[str, Any]] | None:
    """Lustre instances."""
    return _read_list(value, "LustreMount", "[{'instance_ip': '10.0.0.3', ...}]")


def _read_list(value: Any, message: str, example: str) -> list[dict[str, Any]] | None:
    if is_empty(value):
        return None
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise UnreadableValue(f"must be a list of objects, such as {example}")
    read: list[dict[str, Any]] = _read_whole(value, f"{message}{_LIST}")
    return read


def _read_whole(value: Any, kind: str) -> Any:
    """Read a message or a list of them in which nothing may be unknown.

    Raises:
        UnreadableValue: With everything that is wrong.
    """
    findings = Findings()
    read = read_message(value, kind, findings)
    wrong = [f"its `{path}` {reason}" for path, reason in findings.problems.items()]
    for path, unlisted in findings.unlisted.items():
        hint = f" (did you mean `{unlisted.close}`?)" if unlisted.close else ""
        wrong.append(f"its `{path}` is not a field of Vertex AI's{hint}")
    if wrong:
        raise UnreadableValue(", and ".join(wrong))
    return read
