"""The filter of `customJobs.list`. Pure.

Vertex API reference, ListCustomJobsRequest.filter: `display_name` (=, !=, : with
wildcards), `state` (=, !=), `create_time` (every comparison), `labels.key=value`,
`labels.key:*`. Both spellings of a name are read.
"""

from collections.abc import Callable
from datetime import datetime
from fnmatch import fnmatchcase

from vertex_emulator.core.errors import invalid_argument
from vertex_emulator.core.filter_language import (
    ORDERED,
    Comparison,
    FilterError,
    Function,
    Leaf,
    combine,
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
    try:
        return combine(parse_filter(text), _compile)
    except FilterError as error:
        raise invalid_argument(f"Invalid filter: {error.reason}.") from error


def _compile(leaf: Leaf) -> Callable[[Job], bool]:
    if not isinstance(leaf, Comparison):
        written = f"{leaf.name}(...)" if isinstance(leaf, Function) else leaf.value
        raise FilterError(f"`{written}` is not a comparison")
    field, written = snake_case(leaf.path[0]), ".".join(leaf.path)
    parts = _LABEL_PATH_PARTS if field == "labels" else 1
    if field not in _OPERATORS or len(leaf.path) != parts:
        raise FilterError(f"unknown field `{written}`")
    if leaf.operator not in _OPERATORS[field]:
        raise FilterError(f"`{written}` has no operator `{leaf.operator}`")
    if field == "create_time":
        moment, holds = _read_time(leaf.value), ORDERED[leaf.operator]
        return lambda job: holds(job.create_time, moment)
    return lambda job: _matches(_read_field(job, field, leaf.path[-1]), leaf)


def _read_field(job: Job, field: str, key: str) -> str | None:
    if field == "labels":
        return job.labels.get(key)
    if field == "state":
        return str(job.shown_state)
    name: str = job.request["displayName"]
    return name


def _matches(value: str | None, leaf: Comparison) -> bool:
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
        raise FilterError(f"`{text}` is not an RFC 3339 time") from exc
