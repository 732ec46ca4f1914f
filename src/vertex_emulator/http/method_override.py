"""`X-HTTP-Method-Override`: a GET whose query is too long for an address comes as a POST.

Google's clients send it so from 2048 characters on, the query as a form in the body.
https://cloud.google.com/apis/docs/system-parameters
"""

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vertex_emulator.core.errors import ApiError, invalid_argument
from vertex_emulator.http.bodies import FORM, media_type, read_body
from vertex_emulator.http.messages import render_error

HEADER = "x-http-method-override"
# They describe the body, which becomes the query.
_OF_THE_BODY = {HEADER, "content-type", "content-length", "content-encoding", "transfer-encoding"}


class MethodOverride:
    """Makes a GET of a POST that stands for one, before it is led to its route.

    No other method can be meant: a body that is not JSON must never change anything. A form in
    a web page cannot set the header.

    Args:
        app: What is behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = Headers(scope=scope).get(HEADER, "").upper()
        if wanted in {"", scope["method"]}:
            await self._app(scope, receive, send)
            return
        try:
            scope = await _read_get(Request(scope, receive), wanted)
        except ApiError as error:
            await render_error(error)(scope, receive, send)
            return
        except ClientDisconnect:
            return
        is_read = False

        async def receive_nothing() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": b"", "more_body": False}

        await self._app(scope, receive_nothing, send)


async def _read_get(request: Request, wanted: str) -> Scope:
    """The GET that a POST stands for.

    Raises:
        ApiError: INVALID_ARGUMENT for another method, or for a body that is not a query.
    """
    body = await read_body(request)
    if (request.method, wanted) != ("POST", "GET"):
        raise invalid_argument(
            "The emulator serves `X-HTTP-Method-Override: GET` of a POST only; this is "
            f"`{wanted[:20]}` of a {request.method[:20]}. Send the method itself."
        )
    if body and media_type(request.headers) != FORM:
        raise invalid_argument(
            "The body of a POST with `X-HTTP-Method-Override: GET` must be the query, with the "
            f"header `Content-Type: {FORM}`."
        )
    queries = [query for query in (request.scope["query_string"], body.strip()) if query]
    headers = [
        (name, value)
        for name, value in request.scope["headers"]
        if name.decode("latin-1").lower() not in _OF_THE_BODY
    ]
    return {
        **request.scope,
        "method": "GET",
        "query_string": b"&".join(queries),
        "headers": headers,
    }
