"""A gRPC method's request as a request over HTTP, by Google's rules. Pure.

https://cloud.google.com/endpoints/docs/grpc/transcoding and google/api/http.proto: the path
takes fields from the request, the body another one or all the rest, and what is left goes
into the query.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from vertex_emulator.core.errors import ApiError, Json

_VARIABLE = re.compile(r"\{([\w.]+)(?:=([^}]*))?\}")
_WILDCARD = re.compile(r"\*\*?")
_ANY_NAME = "*"
_WHOLE_REQUEST = "*"


@dataclass(frozen=True, slots=True)
class Binding:
    """A route over HTTP of a gRPC method: a `google.api.HttpRule`."""

    # HTTP method.
    verb: str
    # Such as `/v1/{parent=projects/*/locations/*}/customJobs`.
    path: str
    # Field of the request that is the body; `*` for all that the path does not take.
    body: str = ""


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request over HTTP."""

    verb: str
    # Path and query.
    target: str
    # JSON; None for none.
    body: bytes | None


def transcode(request: Json, bindings: Sequence[Binding]) -> HttpCall:
    """The request over HTTP for that of a gRPC method.

    Args:
        request: The message as JSON.
        bindings: The method's routes; the first one whose path fits is taken.

    Raises:
        ApiError: INVALID_ARGUMENT if no template fits, because a resource name is malformed.
    """
    for binding in bindings:
        path = _fill(binding.path, request)
        if path is not None:
            return _build(binding, path, request)
    field, shape = _VARIABLE.findall(bindings[0].path)[0]
    raise ApiError(
        "INVALID_ARGUMENT",
        f"The field `{field}` must be of the form `{shape or _ANY_NAME}`; it is "
        f"{json.dumps(_find(request, field) or '')}.",
    )


def _build(binding: Binding, path: str, request: Json) -> HttpCall:
    rest = dict(request)
    for field, _ in _VARIABLE.findall(binding.path):
        rest.pop(_json_name(field), None)
    if binding.body == _WHOLE_REQUEST:
        return HttpCall(binding.verb, path, json.dumps(rest).encode())
    body = None
    if binding.body:
        body = json.dumps(rest.pop(_json_name(binding.body), {})).encode()
    query = urlencode(list(_flatten(rest)))
    return HttpCall(binding.verb, f"{path}?{query}" if query else path, body)


def _fill(template: str, request: Json) -> str | None:
    """The path with the request's values; None if one of them has another form."""
    filled, end = "", 0
    for variable in _VARIABLE.finditer(template):
        value = _find(request, variable[1])
        shape = variable[2] or _ANY_NAME
        if not isinstance(value, str) or not re.fullmatch(_to_pattern(shape), value):
            return None
        filled += template[end : variable.start()] + quote(value, safe="/")
        end = variable.end()
    return filled + template[end:]


def _to_pattern(shape: str) -> str:
    """`projects/*/operations/**` as a regular expression."""
    parts = [re.escape(part) for part in _WILDCARD.split(shape)]
    wildcards = [".+" if found == "**" else "[^/]+" for found in _WILDCARD.findall(shape)]
    return parts[0] + "".join(
        wildcard + part for wildcard, part in zip(wildcards, parts[1:], strict=True)
    )


def _find(request: Json, path: str) -> Any:
    value: Any = request
    for name in path.split("."):
        value = value.get(_json_name(name)) if isinstance(value, dict) else None
    return value


def _flatten(message: Json, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Fields as parameters of a query: `a.b=c`, and one for each element of a list."""
    for name, value in message.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
            continue
        for item in value if isinstance(value, list) else [value]:
            text = item if isinstance(item, str) else json.dumps(item)
            yield f"{prefix}{name}", text


def _json_name(field: str) -> str:
    """`custom_job` -> `customJob`."""
    head, *tail = field.split("_")
    return head + "".join(part.capitalize() for part in tail)
