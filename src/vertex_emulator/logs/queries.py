"""Cloud Logging's `entries:list`. Pure.

https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list,
https://cloud.google.com/logging/docs/view/logging-query-language
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from vertex_emulator.core.errors import ApiError, Json, invalid_argument
from vertex_emulator.core.filter_language import (
    And,
    Comparison,
    FilterError,
    Node,
    Or,
    combine,
    parse_filter,
)
from vertex_emulator.core.names import parse_project
from vertex_emulator.core.pages import Position, read_page_size, read_page_token, take_page
from vertex_emulator.logs.conditions import Condition, compile_condition, read_time
from vertex_emulator.logs.log_store import Window

# https://cloud.google.com/logging/quotas
MAX_FILTER_CHARACTERS = 20_000
MAX_PAGE_SIZE = 1000
DEFAULT_PAGE_SIZE = 50

Timed = tuple[int, Json]
"""An entry with its time in nanoseconds since 1970."""

_JOB_ID = ("resource", "labels", "job_id")
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


def read_projects(query: Json) -> frozenset[str]:
    """The numbers of the projects whose entries a query is about.

    Args:
        query: As `read_query` returns it.

    Raises:
        ApiError: INVALID_ARGUMENT if it names no project, or another kind of resource.
    """
    names = [
        *query.get("resourceNames", ()),
        *(f"projects/{project}" for project in query.get("projectIds", ())),
    ]
    if not names:
        raise invalid_argument("The `resourceNames` of the request are empty.")
    numbers = set()
    for name in names:
        collection, _, rest = name.partition("/")
        if collection != "projects" or not rest:
            raise invalid_argument(
                f"Invalid resource name `{name}`: the emulator has projects only, `projects/ID`."
            )
        numbers.add(parse_project(rest.partition("/")[0]))
    return frozenset(numbers)


def list_entries(select: Callable[[Window], Iterator[Timed]], query: Json) -> Json:
    """A page of the entries that a query selects. No more are read than that takes.

    Args:
        select: Gives the entries of a window in order, as `LogStore.select` does.
        query: As `read_query` returns it.

    Raises:
        ApiError: INVALID_ARGUMENT for an invalid filter, order, page size, page token or
            resource name.
    """
    text = query.get("filter", "")
    if len(text) > MAX_FILTER_CHARACTERS:
        raise invalid_argument(f"A filter has at most {MAX_FILTER_CHARACTERS} characters.")
    order = " ".join(query.get("orderBy", "").split()) or "timestamp asc"
    if order not in {"timestamp", "timestamp asc", "timestamp desc"}:
        raise invalid_argument(f"Invalid order: `{order}`.")
    is_descending = order.endswith("desc")
    size = read_page_size(query.get("pageSize", 0), DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    last = read_page_token(query.get("pageToken", ""), text, order)
    matches, window = compile_query(text)
    window = replace(window, numbers=read_projects(query), is_descending=is_descending)
    entries = (item for item in _go_on(select, window, last) if matches(item[1]))
    page, token = take_page(entries, size, _position, text, order)
    answer: Json = {"entries": [entry for _, entry in page]} if page else {}
    if token:
        answer["nextPageToken"] = token
    return answer


def compile_query(text: str) -> tuple[Condition, Window]:
    """A filter as a predicate, and where its outermost ANDs alone confine it to.

    Raises:
        ApiError: INVALID_ARGUMENT for a filter that cannot be read.
    """
    try:
        node = parse_filter(text, has_comments=True)
        return combine(node, compile_condition), _confine(node)
    except FilterError as error:
        raise _unparseable(error) from error


def _unparseable(error: FilterError) -> ApiError:
    # Public reports: `Unparseable filter: syntax error at line 1, column 200, token ":"`.
    place = f'syntax error at line {error.line}, column {error.column}, token "{error.token}": '
    return invalid_argument(f"Unparseable filter: {place if error.line else ''}{error.reason}.")


def _confine(node: Node) -> Window:
    job_ids: frozenset[str] | None = None
    since: int | None = None
    until: int | None = None
    for term in node.terms if isinstance(node, And) else (node,):
        wanted = _wanted_job_ids(term)
        if wanted is not None:
            job_ids = wanted if job_ids is None else job_ids & wanted
        if isinstance(term, Comparison) and term.path == ("timestamp",):
            moment = read_time(term.value)
            if moment is not None and term.operator in {"=", ">", ">="}:
                since = moment if since is None else max(since, moment)
            if moment is not None and term.operator in {"=", "<", "<="}:
                until = moment if until is None else min(until, moment)
    return Window((), job_ids, since, until)


def _wanted_job_ids(node: Node) -> frozenset[str] | None:
    """The IDs of the jobs that a term is limited to; None if it is not."""
    if isinstance(node, Or):
        found = [_wanted_job_ids(term) for term in node.terms]
        known = [ids for ids in found if ids is not None]
        return frozenset().union(*known) if len(known) == len(found) else None
    if isinstance(node, Comparison) and (node.path, node.operator) == (_JOB_ID, "="):
        return frozenset({node.value})
    return None


def _go_on(
    select: Callable[[Window], Iterator[Timed]], window: Window, last: Position | None
) -> Iterator[Timed]:
    """The entries of a window behind a position, or all of them."""
    if last is None:
        yield from select(window)
        return
    try:
        moment = int(last[0])
    except ValueError as exc:
        raise invalid_argument("The page token is invalid.") from exc
    if window.is_descending:
        until = moment if window.until is None else min(window.until, moment)
        window = replace(window, until=until)
    else:
        since = moment if window.since is None else max(window.since, moment)
        window = replace(window, since=since)
    mark = (moment, last[1])
    for item in select(window):
        position = (item[0], str(item[1]["insertId"]))
        if position < mark if window.is_descending else position > mark:
            yield item


def _position(item: Timed) -> Position:
    return str(item[0]), str(item[1]["insertId"])
