"""HTTP requests to calls of handlers, and their answers back to HTTP."""

import logging
import os
from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from vertex_emulator.core.clock import Clock
from vertex_emulator.core.errors import ApiError, invalid_argument
from vertex_emulator.core.folders import DataDirError
from vertex_emulator.core.users import describe_user
from vertex_emulator.http.callers import Caller
from vertex_emulator.http.calls import CallRecord, Calls
from vertex_emulator.http.guard import find_objection
from vertex_emulator.http.messages import ApiRequest, render, render_error
from vertex_emulator.http.routes import EMULATOR, VERSIONS, Handler, Route
from vertex_emulator.http.server import CONNECTION

logger = logging.getLogger(__name__)

# Far above any job; Google's own limit for a request is not documented.
MAX_BODY_BYTES = 10 * 1024 * 1024

_JSON = "application/json"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Injector(Protocol):
    """Answers calls, with the faults that are planned for them."""

    async def answer(
        self, route: Route, request: ApiRequest, perform: Callable[[], Response]
    ) -> Response:
        """The answer to a call, which `perform` makes; it is run in a worker thread."""
        ...


def build_app(
    routes: Iterable[Route],
    *,
    injector: Injector,
    identify: Callable[[str | None], Caller],
    calls: Calls,
    clock: Clock,
) -> Starlette:
    """The ASGI application of an emulator.

    Args:
        routes: What it serves; everything else is answered with UNIMPLEMENTED.
        injector: Calls the handlers.
        identify: Gives the caller by the header `Authorization`.
        calls: Record each call, except those of the emulator's own routes.
        clock: Stamps the records.
    """

    def build_endpoint(
        route: Route | None, version: str = ""
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            moment = clock.now()
            # `request.url` cannot be read if the header Host is invalid.
            path = str(request.scope["path"])
            caller = Caller()
            try:
                _refuse_strangers(request, route.service.names if route else ())
                body = await _read_body(request)
                if route is not None and route.service.takes_json:
                    _refuse_forms(request, body)
                if route is None or route.service.host is not None:
                    caller = identify(request.headers.get("authorization"))
                call = ApiRequest(
                    path={**request.path_params, "version": version, "method": request.method},
                    query=dict(request.query_params),
                    headers=request.headers,
                    body=body,
                    caller=caller,
                )
                if route is None:
                    reply = _perform(_refuse_route, call)
                else:
                    reply = await injector.answer(
                        route, call, partial(_perform, route.handler, call)
                    )
            except ApiError as error:
                reply = render_error(error)
            except ClientDisconnect:
                reply = Response(status_code=499)
            logger.debug("%s %s: %s", request.method, path, reply.status_code)
            if route is None or route.service is not EMULATOR:
                calls.add(
                    CallRecord(
                        time=moment,
                        identity=caller.identity,
                        method=request.method,
                        path=path,
                        route=route.path if route else None,
                        status=reply.status_code,
                    )
                )
            return reply

        return endpoint

    app = Starlette(
        routes=[
            *(
                StarletteRoute(
                    route.path.replace("{version}", version),
                    build_endpoint(route, version),
                    methods=[route.method],
                )
                for route in routes
                for version in (VERSIONS if "{version}" in route.path else ("",))
            ),
            StarletteRoute("/{path:path}", build_endpoint(None), methods=_METHODS),
        ]
    )
    app.router.redirect_slashes = False
    return app


def _perform(handler: Handler, request: ApiRequest) -> Response:
    try:
        request.caller.refuse_expired()
        return render(handler(request))
    except ApiError as error:
        return render_error(error)
    except DataDirError as error:
        logger.error("%s", error)  # noqa: TRY400 - it says all that there is to know
        return render_error(ApiError("INTERNAL", str(error)))
    except Exception:
        logger.exception("%s %s could not be answered", request.path["method"], handler.__name__)
        return render_error(ApiError("INTERNAL", "Internal error encountered."))


def _refuse_route(request: ApiRequest) -> Any:
    route = f"{request.path['method']} /{request.path['path']}"
    raise ApiError("UNIMPLEMENTED", f"The emulator does not serve {route}.")


def _refuse_strangers(request: Request, names: Collection[str]) -> None:
    """Refuse what others and web pages send: jobs run commands on this machine, as its user.

    Raises:
        ApiError: PERMISSION_DENIED for another user's process, for a browser, and for a host's
            name that happens to resolve to this machine.
    """
    stranger = request.scope[CONNECTION].stranger
    if stranger:
        owner = describe_user(os.geteuid())
        raise ApiError(
            "PERMISSION_DENIED",
            f"The emulator answers its own user, {owner}, and root; this request comes from "
            f"{stranger}. Run the client as that user, or an emulator of your own.",
        )
    objection = find_objection(request.headers.items(), names)
    if objection:
        raise ApiError("PERMISSION_DENIED", objection)


def _refuse_forms(request: Request, body: bytes) -> None:
    """Refuse a body that is not declared as JSON: what a page can send is a form or plain text.

    Raises:
        ApiError: INVALID_ARGUMENT.
    """
    declared = request.headers.get("content-type", "")
    if (declared or body) and declared.partition(";")[0].strip().lower() != _JSON:
        raise invalid_argument(
            f"The body must be JSON, with the header `Content-Type: {_JSON}`"
            + (f"; it is `{declared}`." if declared else ".")
        )


async def _read_body(request: Request) -> bytes:
    """The whole body; one that is too large is read to its end, but not kept."""
    body = bytearray()
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            body += chunk
    if size > MAX_BODY_BYTES:
        text = f"Request payload size exceeds the limit: {MAX_BODY_BYTES} bytes."
        raise ApiError("INVALID_ARGUMENT", text)
    return bytes(body)
