"""The fields of a LogEntry that a filter can name, and what is in them. Pure.

https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry,
https://cloud.google.com/logging/docs/view/logging-query-language#field_path_identifiers
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from vertex_emulator.core.errors import Json
from vertex_emulator.core.filter_language import FilterError


class Kind(Enum):
    """What a field holds."""

    TEXT = "a text"
    NUMBER = "a number"
    TRUTH = "true or false"
    DURATION = "a duration"
    TIME = "a time"
    SEVERITY = "a severity"
    # A text for each key; which keys there are, each entry says for itself.
    MAP = "a map"
    # Whatever JSON the writer has put there.
    PAYLOAD = "an object"
    MESSAGE = "an object with fields of its own"
    # Below a payload or a map.
    ANY = "anything"


Fields = dict[str, "Kind | Fields"]

_FIELDS: Fields = {
    "httpRequest": {
        "cacheFillBytes": Kind.NUMBER,
        "cacheHit": Kind.TRUTH,
        "cacheLookup": Kind.TRUTH,
        "cacheValidatedWithOriginServer": Kind.TRUTH,
        "latency": Kind.DURATION,
        "protocol": Kind.TEXT,
        "referer": Kind.TEXT,
        "remoteIp": Kind.TEXT,
        "requestMethod": Kind.TEXT,
        "requestSize": Kind.NUMBER,
        "requestUrl": Kind.TEXT,
        "responseSize": Kind.NUMBER,
        "serverIp": Kind.TEXT,
        "status": Kind.NUMBER,
        "userAgent": Kind.TEXT,
    },
    "insertId": Kind.TEXT,
    "jsonPayload": Kind.PAYLOAD,
    "labels": Kind.MAP,
    "logName": Kind.TEXT,
    "metadata": {"systemLabels": Kind.PAYLOAD, "userLabels": Kind.MAP},
    "operation": {
        "first": Kind.TRUTH,
        "id": Kind.TEXT,
        "last": Kind.TRUTH,
        "producer": Kind.TEXT,
    },
    "protoPayload": Kind.PAYLOAD,
    "receiveTimestamp": Kind.TIME,
    "resource": {"labels": Kind.MAP, "type": Kind.TEXT},
    "severity": Kind.SEVERITY,
    "sourceLocation": {"file": Kind.TEXT, "function": Kind.TEXT, "line": Kind.NUMBER},
    "spanId": Kind.TEXT,
    "split": {"index": Kind.NUMBER, "totalSplits": Kind.NUMBER, "uid": Kind.TEXT},
    "textPayload": Kind.TEXT,
    "timestamp": Kind.TIME,
    "trace": Kind.TEXT,
    "traceSampled": Kind.TRUTH,
}
# What a field has that an entry leaves out; those of other kinds are missing.
_DEFAULTS: dict[Kind, Any] = {
    Kind.TEXT: "",
    Kind.NUMBER: 0,
    Kind.TRUTH: False,
    Kind.DURATION: "0s",
    Kind.SEVERITY: "DEFAULT",
}


@dataclass(frozen=True, slots=True)
class EntryField:
    """A field, found by its path.

    Args:
        path: As the API spells it.
        kind: What it holds.
    """

    path: tuple[str, ...]
    kind: Kind

    def __str__(self) -> str:
        return ".".join(self.path)

    def is_in(self, entry: Json) -> bool:
        """Whether an entry has it, whatever its value."""
        return bool(_values_at(entry, self.path))

    def values_in(self, entry: Json) -> list[Any]:
        """Its values: several where a list is on the way to it, none where it is missing.

        A field of LogEntry itself that an entry leaves out has its default.
        """
        values = _values_at(entry, self.path)
        return [_DEFAULTS[self.kind]] if not values and self.kind in _DEFAULTS else values


def find_field(path: Sequence[str]) -> EntryField:
    """The field that a path names. The case of LogEntry's own names does not matter.

    Raises:
        FilterError: If there is none.
    """
    written = ".".join(path)
    found: Kind | Fields = _FIELDS
    names: list[str] = []
    for number, part in enumerate(path):
        if isinstance(found, Kind):
            return _find_inside(found, tuple(names), tuple(path[number:]))
        by_key = {_normalise(name): name for name in found}
        name = by_key.get(_normalise(part))
        if name is None:
            raise FilterError(
                f"`{written}` is not a field of LogEntry"
                + (f": `{'.'.join(names)}` has {', '.join(found)}" if names else "")
            )
        names.append(name)
        found = found[name]
    return EntryField(tuple(names), found if isinstance(found, Kind) else Kind.MESSAGE)


def _find_inside(kind: Kind, outer: tuple[str, ...], inner: tuple[str, ...]) -> EntryField:
    """A field of a map or a payload.

    Args:
        kind: What the outer field holds.
        outer: Path of the map or payload.
        inner: The path from there.

    Raises:
        FilterError: If what is there has no fields.
    """
    around = ".".join(outer)
    if kind is Kind.MAP and len(inner) > 1:
        key = ".".join(inner)
        raise FilterError(
            f"`{around}.{inner[0]}` is a text and has no fields; a name with dots needs quotes: "
            f'`{around}."{key}"`'
        )
    if kind not in {Kind.MAP, Kind.PAYLOAD}:
        raise FilterError(f"`{around}` is {kind.value} and has no field `{'.'.join(inner)}`")
    return EntryField(outer + inner, Kind.ANY)


def _normalise(name: str) -> str:
    return name.replace("_", "").lower()


def _values_at(value: Any, path: tuple[str, ...]) -> list[Any]:
    for number, part in enumerate(path):
        if isinstance(value, list):
            return [found for item in value for found in _values_at(item, path[number:])]
        if not isinstance(value, dict) or part not in value:
            return []
        value = value[part]
    return [value]
