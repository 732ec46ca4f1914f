"""Cloud Logging's `entries:list`. Pure.

https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list,
https://cloud.google.com/logging/docs/view/logging-query-language
"""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

import re2

from vertex_emulator.core.errors import Json, invalid_argument
from vertex_emulator.core.filter_language import (
    ORDERED,
    And,
    Comparison,
    Node,
    Text,
    evaluate,
    invalid_filter,
    leaves,
    parse_filter,
)
from vertex_emulator.core.pages import read_page_size, read_page_token, write_page_token
from vertex_emulator.core.times import parse_time
from vertex_emulator.logs.entries import SEVERITIES

# https://cloud.google.com/logging/quotas
MAX_FILTER_CHARACTERS = 20_000
MAX_PAGE_SIZE = 1000
DEFAULT_PAGE_SIZE = 50

# Cloud Logging's regular expressions are RE2's, whose time grows with the length of the text
# alone. These bound it: what a pattern may become, in bytes, and how much of a text is searched.
_MAX_PATTERN_BYTES = 64 * 1024
_MAX_SEARCHED_CHARACTERS = 10_000

_TIMES = {"timestamp", "receiveTimestamp"}
_FIELDS = {
    "filter": "filter",
    "orderBy": "order_by",
    "pageSize": "page_size",
    "pageToken": "page_token",
    "resourceNames": "resource_names",
    "projectIds": "project_ids",
}


def read_query(body: Json) -> Json:
    """The request in lowerCamelCase.

    Raises:
        ApiError: INVALID_ARGUMENT for a field that does not exist, or of another type.
    """
    names = {written: name for name, snake in _FIELDS.items() for written in (name, snake)}
    query: Json = {}
    for written, value in body.items():
        name = names.get(written)
        if name is None:
            raise invalid_argument(
                f'Invalid JSON payload received. Unknown name "{written}": Cannot find field.'
            )
        is_list = name in {"resourceNames", "projectIds"}
        texts = value if is_list and isinstance(value, list) else [value]
        if name != "pageSize" and not all(isinstance(text, str) for text in texts):
            raise invalid_argument(f"Invalid value at '{_FIELDS[name]}'.")
        query[name] = texts if is_list else value
    return query


def list_entries(entries: Iterable[Json], query: Json) -> Json:
    """A page of the entries that a query selects.

    Args:
        entries: The entries to select from.
        query: As `read_query` returns it.

    Raises:
        ApiError: INVALID_ARGUMENT for an invalid filter, order, page size or page token.
    """
    text = query.get("filter", "")
    if len(text) > MAX_FILTER_CHARACTERS:
        raise invalid_argument(f"A filter has at most {MAX_FILTER_CHARACTERS} characters.")
    node = parse_filter(text)
    _check(node)
    order = " ".join(query.get("orderBy", "").split()) or "timestamp asc"
    if order not in {"timestamp", "timestamp asc", "timestamp desc"}:
        raise invalid_argument(f"Invalid order: `{order}`.")
    descending = order.endswith("desc")
    size = read_page_size(query.get("pageSize", 0), DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    last = read_page_token(query.get("pageToken", ""), text, order)

    chosen = sorted(
        (entry for entry in entries if evaluate(node, partial(_holds, entry))),
        key=_position,
        reverse=descending,
    )
    if last is not None:
        chosen = [
            entry
            for entry in chosen
            if (_position(entry) < last if descending else _position(entry) > last)
        ]
    page = chosen[:size]
    answer: Json = {"entries": page} if page else {}
    if len(chosen) > size:
        answer["nextPageToken"] = write_page_token(_position(page[-1]), text, order)
    return answer


def wanted_job_ids(filter_text: str) -> set[str] | None:
    """The IDs of the jobs that a filter is limited to by its outermost ANDs; None for all."""
    node = parse_filter(filter_text)
    for term in node.terms if isinstance(node, And) else (node,):
        if (
            isinstance(term, Comparison)
            and term.path == ("resource", "labels", "job_id")
            and term.operator == "="
        ):
            return {term.value}
    return None


def _position(entry: Json) -> tuple[str, str]:
    return entry["timestamp"], entry["resource"]["labels"]["job_id"] + entry["insertId"]


def _check(node: Node) -> None:
    for leaf in leaves(node):
        if isinstance(leaf, Text):
            continue
        if leaf.path[:1] and leaf.path[0] in _TIMES:
            if leaf.operator not in ORDERED:
                raise invalid_filter(f"a time has no operator `{leaf.operator}`")
            _read_time(leaf.value)
        if leaf.path == ("severity",) and leaf.value.upper() not in SEVERITIES:
            raise invalid_filter(f"`{leaf.value}` is not a severity")
        if leaf.operator in {"=~", "!~"}:
            _read_pattern(leaf.value)


def _holds(entry: Json, leaf: Comparison | Text) -> bool:
    if isinstance(leaf, Text):
        return leaf.value.lower() in str(entry.get("jsonPayload", "")).lower()
    value: Any = entry
    for part in leaf.path:
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        # Of a missing field only `!=` and `!~` are true.
        return leaf.operator in {"!=", "!~"}
    return _compare(leaf, value)


def _compare(leaf: Comparison, value: Any) -> bool:
    operator, wanted = leaf.operator, leaf.value
    if leaf.path[0] in _TIMES:
        return ORDERED[operator](parse_time(value), _read_time(wanted))
    if leaf.path == ("severity",) and operator in ORDERED:
        return ORDERED[operator](SEVERITIES[value], SEVERITIES[wanted.upper()])
    text = str(value)
    if operator == ":":
        return wanted == "*" or wanted.lower() in text.lower()
    if operator in {"=~", "!~"}:
        searched = _encode(text[:_MAX_SEARCHED_CHARACTERS])
        return bool(_read_pattern(wanted).search(searched)) is (operator == "=~")
    return ORDERED[operator](text, wanted)


def _read_time(text: str) -> datetime:
    try:
        return parse_time(text)
    except ValueError as exc:
        raise invalid_filter(f"`{text}` is not an RFC 3339 time") from exc


@lru_cache(maxsize=100)
def _read_pattern(text: str) -> Any:
    options = re2.Options()
    options.max_mem = _MAX_PATTERN_BYTES
    options.log_errors = False
    try:
        return re2.compile(_encode(text), options)
    except re2.error as exc:
        reason = exc.args[0].decode(errors="replace") if exc.args else "invalid"
        raise invalid_filter(f"`{text}` is not a regular expression: {reason}") from exc


def _encode(text: str) -> bytes:
    return text.encode(errors="replace")
