"""What a handler is given, what it answers, and the answer as HTTP."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from vertex_emulator.core.errors import ApiError, Json
from vertex_emulator.core.proto_json import load_body
from vertex_emulator.http.callers import Caller

_JSON = "application/json; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request, as handlers see it."""

    # Parts of the path by their names in the route, with `version` and `method`.
    path: Mapping[str, str]
    # Parameters behind the `?`.
    query: Mapping[str, str]
    # By their names in lower case.
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    caller: Caller = field(default_factory=Caller)

    def read_json(self) -> Json:
        """The body; an empty one is an empty message.

        Raises:
            ApiError: INVALID_ARGUMENT for anything but a JSON object in UTF-8.
        """
        return load_body(self.body)

    def peek_json(self) -> Json:
        """The body, for the fault plan; empty if it cannot be read."""
        with suppress(ApiError):
            return self.read_json()
        return {}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is not simply JSON with 200."""

    # Text, or an object to be written as JSON.
    content: Any
    # HTTP status.
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def render(answer: Any) -> Response:
    """The HTTP response for what a handler answers: a `Reply`, or an object as JSON with 200."""
    reply = answer if isinstance(answer, Reply) else Reply(answer)
    headers = dict(reply.headers)
    if isinstance(reply.content, str):
        return Response(reply.content, reply.status, headers, media_type="application/text")
    return Response(json.dumps(reply.content), reply.status, headers, media_type=_JSON)


def render_error(error: ApiError) -> Response:
    """The HTTP response for an error."""
    return render(Reply(error.to_json(), status=error.http_status))
