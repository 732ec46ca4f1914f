"""The filter of `customJobs.list`. Pure.

Vertex API reference, ListCustomJobsRequest.filter: `display_name` (=, !=, : with
wildcards), `state` (=, !=), `create_time` (every comparison), `labels.key=value`,
`labels.key:*`. Both spellings of a name are read.
"""

from collections.abc import Callable
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from vertex_emulator.core.filter_language import (
    ORDERED,
    Comparison,
    Text,
    evaluate,
    invalid_filter,
    leaves,
    parse_filter,
)
from vertex_emulator.core.proto_json import snake_case
from vertex_emulator.core.times import parse_time
from vertex_emulator.jobs.job import Job

_OPERATORS = {
    "display_name": {"=", "!=", ":"},
    "state": {"=", "!="},
    "create_time": set(ORDERED),
    "labels": {"=", "!=", ":"},
}
_LABEL_PATH_PARTS = 2


def compile_filter(text: str) -> Callable[[Job], bool]:
    """Read a filter of jobs.

    Raises:
        ApiError: INVALID_ARGUMENT for a filter that cannot be read, or with a field,
            operator or time that does not exist.
    """
    node = parse_filter(text)
    for leaf in leaves(node):
        _check(leaf)
    return lambda job: evaluate(node, lambda leaf: _holds(leaf, job))


def _check(leaf: Comparison | Text) -> None:
    if isinstance(leaf, Text):
        raise invalid_filter(f"`{leaf.value}` is not a comparison")
    field, written = snake_case(leaf.path[0]) if leaf.path else "", ".".join(leaf.path)
    parts = _LABEL_PATH_PARTS if field == "labels" else 1
    if field not in _OPERATORS or len(leaf.path) != parts:
        raise invalid_filter(f"unknown field `{written}`")
    if leaf.operator not in _OPERATORS[field]:
        raise invalid_filter(f"`{written}` has no operator `{leaf.operator}`")
    if field == "create_time":
        _read_time(leaf.value)


def _holds(leaf: Comparison | Text, job: Job) -> bool:
    if isinstance(leaf, Text):
        return False
    field = snake_case(leaf.path[0])
    value: Any
    if field == "create_time":
        return ORDERED[leaf.operator](job.create_time, _read_time(leaf.value))
    if field == "labels":
        value = job.labels.get(leaf.path[1])
    elif field == "state":
        value = job.shown_state
    else:
        value = job.request["displayName"]
    if leaf.operator == ":":
        return value is not None and _has(value, leaf.value)
    return (value == leaf.value) is (leaf.operator == "=")


def _has(value: str, wanted: str) -> bool:
    """Whether a text matches: `*` stands for any text; without one, a part of it is enough."""
    if "*" not in wanted:
        return wanted in value
    return fnmatchcase(value, wanted.replace("[", "[[]").replace("?", "[?]"))


def _read_time(text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError as exc:
        raise invalid_filter(f"`{text}` is not an RFC 3339 time") from exc
