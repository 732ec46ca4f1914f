"""HTTP requests to calls of handlers, and their answers back to HTTP."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, request_response
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from vertex_emulator.core.clock import Clock
from vertex_emulator.core.errors import ApiError, unserved
from vertex_emulator.core.folders import DataDirError
from vertex_emulator.http.bodies import read_body, refuse_forms
from vertex_emulator.http.callers import Caller
from vertex_emulator.http.calls import CallRecord, Calls, shorten
from vertex_emulator.http.guard import find_objection
from vertex_emulator.http.messages import ApiRequest, add_google_headers, render, render_error
from vertex_emulator.http.method_override import MethodOverride
from vertex_emulator.http.parameters import AnswerForm, read_parameters
from vertex_emulator.http.routes import EMULATOR, VERSIONS, Handler, Route
from vertex_emulator.http.secret import PROVEN

logger = logging.getLogger(__name__)


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
) -> ASGIApp:
    """The ASGI application of an emulator.

    Args:
        routes: What it serves; everything else is answered with 404.
        injector: Calls the handlers.
        identify: Gives the caller by the header `Authorization`.
        calls: Record each call, except those of the emulator's own routes.
        clock: Stamps the records.
    """

    def build_endpoint(
        route: Route | None, version: str = ""
    ) -> Callable[[Request], Awaitable[Response]]:
        is_googles = route is not None and route.service.host is not None

        async def endpoint(request: Request) -> Response:
            moment = clock.now()
            # `request.url` cannot be read if the header Host is invalid.
            method, path = shorten(request.method), shorten(str(request.scope["path"]))
            caller = Caller()
            try:
                body = await read_body(request)
                if route is not None and route.service.takes_json:
                    refuse_forms(request.headers, body)
                if route is None or is_googles:
                    caller = identify(request.headers.get("authorization"))
                query, form = _read_query(request, route)
                call = ApiRequest(
                    path={**request.path_params, "version": version, "method": request.method},
                    query=query,
                    headers=request.headers,
                    body=body,
                    caller=caller,
                    form=form,
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
            if is_googles:
                add_google_headers(reply)
            logger.debug("%s %s: %s", method, path, reply.status_code)
            if route is None or route.service is not EMULATOR:
                calls.add(
                    CallRecord(
                        time=moment,
                        identity=caller.identity,
                        method=method,
                        path=path,
                        route=route.path if route else None,
                        status=reply.status_code,
                    )
                )
            return reply

        return endpoint

    served = [
        (
            StarletteRoute(
                route.path.replace("{version}", version),
                build_endpoint(route, version),
                methods=[route.method],
            ),
            route.service.names,
        )
        for route in routes
        for version in (VERSIONS if "{version}" in route.path else ("",))
    ]
    app = Starlette(routes=[*(route for route, _ in served), _Rest(build_endpoint(None))])
    app.router.redirect_slashes = False
    return _Gate(MethodOverride(app), [(route, names) for route, names in served if names])


class _Rest(BaseRoute):
    """Takes what no other route takes: Starlette's own answers are not Google's."""

    def __init__(self, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        self._app = request_response(endpoint)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return Match.FULL, {"path_params": {"path": scope["path"].removeprefix("/")}}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class _Gate:
    """Refuses what web pages send, before anything else reads it: jobs run commands as its user.

    It records nothing of it, or a page could push out the calls of clients. Other users of the
    machine do not get so far: the server hangs up.

    Args:
        app: What is behind it.
        named: Routes whose server has further names than `localhost`, and these names.
    """

    def __init__(self, app: ASGIApp, named: Sequence[tuple[BaseRoute, Sequence[str]]]) -> None:
        self._app = app
        self._named = named

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = {
            name
            for route, names in self._named
            if route.matches(scope)[0] is Match.FULL
            for name in names
        }
        headers = (
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        )
        objection = find_objection(headers, names, is_any_host=scope.get(PROVEN, False))
        if objection is None:
            await self._app(scope, receive, send)
        else:
            refusal = render_error(ApiError("PERMISSION_DENIED", objection))
            await refusal(scope, receive, send)


def _perform(handler: Handler, request: ApiRequest) -> Response:
    try:
        request.caller.refuse_expired()
        return render(handler(request), request.form)
    except ApiError as error:
        return render_error(error)
    except DataDirError as error:
        logger.error("%s", error)  # noqa: TRY400 - it says all that there is to know
        return render_error(ApiError("INTERNAL", str(error)))
    except Exception:
        logger.exception("%s %s could not be answered", request.path["method"], handler.__name__)
        return render_error(ApiError("INTERNAL", "Internal error encountered."))


def _read_query(request: Request, route: Route | None) -> tuple[Mapping[str, str], AnswerForm]:
    """The parameters of a call, and how its answer is wanted.

    Raises:
        ApiError: INVALID_ARGUMENT for what the method of one of Google's APIs does not have.
    """
    if route is None or route.service.host is None:
        return dict(request.query_params), AnswerForm()
    sent = request.query_params.multi_items()
    return read_parameters(sent, request.headers, route.parameters, route.answer)


def _refuse_route(request: ApiRequest) -> Any:
    raise unserved(request.path["method"], f"/{request.path['path']}")
