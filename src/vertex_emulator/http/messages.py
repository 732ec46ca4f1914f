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
from vertex_emulator.http.parameters import AnswerForm

_JSON = "application/json; charset=UTF-8"
# As recorded, of answers and errors alike:
# https://github.com/GoogleCloudPlatform/k8s-config-connector, `_http.log` of vertexaicustomjob.
_GOOGLE_HEADERS = [
    (b"server", b"ESF"),
    (b"vary", b"Origin"),
    (b"vary", b"X-Origin"),
    (b"vary", b"Referer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"x-xss-protection", b"0"),
]


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request, as handlers see it."""

    # Parts of the path by their names in the route, with `version` and `method`.
    path: Mapping[str, str]
    # Parameters behind the `?`; for Google's APIs, those of the method, in lowerCamelCase.
    query: Mapping[str, str]
    # By their names in lower case.
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    caller: Caller = field(default_factory=Caller)
    # How the answer is wanted.
    form: AnswerForm = field(default_factory=AnswerForm)

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


def render(answer: Any, form: AnswerForm | None = None) -> Response:
    """The HTTP response for what a handler answers.

    Args:
        answer: A `Reply`, or an object as JSON with 200.
        form: How the client wants such an object.
    """
    shaped = form.shape(answer) if form and not isinstance(answer, Reply) else answer
    reply = shaped if isinstance(shaped, Reply) else Reply(shaped)
    headers = dict(reply.headers)
    if isinstance(reply.content, str):
        return Response(reply.content, reply.status, headers, media_type="application/text")
    text = json.dumps(reply.content, indent=2 if form and form.is_indented else None)
    return Response(text, reply.status, headers, media_type=_JSON)


def render_error(error: ApiError) -> Response:
    """The HTTP response for an error."""
    return render(Reply(error.to_json(), status=error.http_status))


def add_google_headers(response: Response) -> None:
    """Add what Google's servers put before their JSON; a page, and no answer, has other headers."""
    if response.headers.get("content-type") == _JSON:
        response.raw_headers += _GOOGLE_HEADERS
