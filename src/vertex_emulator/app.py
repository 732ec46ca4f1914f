"""HTTP to calls of the services and back."""

import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from vertex_emulator.control import Endpoints, Services
from vertex_emulator.core.errors import ApiError, Json
from vertex_emulator.core.proto_json import load_body
from vertex_emulator.faults.call_faults import FaultTarget
from vertex_emulator.http.calls import CallRecord
from vertex_emulator.http.messages import ApiRequest, Reply
from vertex_emulator.http.routes import EMULATOR, JOB_SERVICE, LOGGING, ROUTES, VERSIONS, Route
from vertex_emulator.identity.tokens import ANONYMOUS, Bearer
from vertex_emulator.jobs.driver import Driver

logger = logging.getLogger(__name__)

# Far above any job; Google's own limit for a request is not documented.
MAX_BODY_BYTES = 10 * 1024 * 1024

_JSON = "application/json; charset=UTF-8"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
# Name of the route -> method that faults know it by.
_FAULT_METHODS = {
    "create_job": "create",
    "get_job": "get",
    "list_jobs": "list",
    "cancel_job": "cancel",
    "delete_job": "delete",
    "get_operation": "operation",
    "list_entries": "entries:list",
    "exchange_token": "token",
    "read_metadata": "metadata",
}


def build_app(services: Services) -> Starlette:
    """The ASGI application of an emulator."""
    endpoints = Endpoints(services)
    routes = [
        StarletteRoute(
            path,
            _build_endpoint(route, getattr(endpoints, route.name), services, version),
            methods=[route.method],
        )
        for route in ROUTES
        for version in (VERSIONS if "{version}" in route.path else ("",))
        if (path := route.path.replace("{version}", version))
    ]
    rest = StarletteRoute(
        "/{path:path}", _build_endpoint(None, _refuse_route, services, ""), methods=_METHODS
    )
    app = Starlette(routes=[*routes, rest])
    app.router.redirect_slashes = False
    return app


def _build_endpoint(
    route: Route | None,
    call: Callable[[ApiRequest], Any],
    services: Services,
    version: str,
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        moment = services.clock.now()
        identity = ANONYMOUS
        try:
            _refuse_strangers(request)
            body = await _read_body(request)
            bearer = _identify(request, route, services)
            identity = bearer.identity
            api_request = ApiRequest(
                path={**request.path_params, "version": version, "method": request.method},
                query=dict(request.query_params),
                headers=request.headers,
                body=body,
            )
            perform = partial(_perform, bearer, call, api_request)
            if services.faults.is_empty or route is None or route.name not in _FAULT_METHODS:
                reply = await run_in_threadpool(perform)
            else:
                target = _describe(route, api_request, bearer, services.driver)
                reply = await services.injector.answer(target, perform)
        except ApiError as error:
            reply = render_error(error)
        except ClientDisconnect:
            reply = Response(status_code=499)
        logger.debug("%s %s: %s", request.method, request.url.path, reply.status_code)
        if route is None or route.service != EMULATOR:
            services.calls.add(
                CallRecord(
                    time=moment,
                    identity=identity,
                    method=request.method,
                    path=request.url.path,
                    route=route.path if route else None,
                    status=reply.status_code,
                )
            )
        return reply

    return endpoint


def _perform(bearer: Bearer, call: Callable[[ApiRequest], Any], request: ApiRequest) -> Response:
    try:
        bearer.refuse_expired()
        return _render(call(request))
    except ApiError as error:
        return render_error(error)
    except Exception:
        logger.exception("A call of %s could not be answered", call.__name__)
        return render_error(ApiError("INTERNAL", "Internal error encountered."))


def _identify(request: Request, route: Route | None, services: Services) -> Bearer:
    if route is not None and route.service not in {JOB_SERVICE, LOGGING}:
        return Bearer(ANONYMOUS)
    return services.tokens.identify(request.headers.get("authorization"))


def _describe(route: Route, request: ApiRequest, bearer: Bearer, driver: Driver) -> FaultTarget:
    """A call as faults see it; one that cannot be read is described as far as it can."""
    content: Json = {}
    with suppress(ApiError):
        content = load_body(request.body) if route.name in {"create_job", "list_entries"} else {}
    job_id = request.path.get("job")
    job = driver.get(job_id) if job_id else None
    labels = job.labels if job else content.get("labels")
    name = job.request["displayName"] if job else content.get("displayName")
    parts = [
        f"{kind}/{request.path[key]}"
        for kind, key in (("projects", "project"), ("locations", "location"), ("customJobs", "job"))
        if key in request.path
    ]
    names = content.get("resourceNames")
    return FaultTarget(
        method=_FAULT_METHODS[route.name],
        identity=bearer.identity,
        bears_token=bearer.identity != ANONYMOUS,
        resource="/".join(parts) or (str(names[0]) if isinstance(names, list) and names else ""),
        job_id=job_id,
        labels=labels if isinstance(labels, dict) else {},
        display_name=name or content.get("display_name"),
    )


def _refuse_route(request: ApiRequest) -> Any:
    route = f"{request.path['method']} /{request.path['path']}"
    raise ApiError("UNIMPLEMENTED", f"The emulator does not serve {route}.")


def _refuse_strangers(request: Request) -> None:
    """Refuse what a web page has sent: jobs run commands on this machine.

    Raises:
        ApiError: PERMISSION_DENIED for a page of elsewhere, and for a host name that
            somebody has pointed at this machine.
    """
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname
    origin = request.headers.get("origin")
    origin_host = urlsplit(origin).hostname if origin is not None else host
    for name in (host, origin_host):
        if not _is_local(name or ""):
            raise ApiError("PERMISSION_DENIED", f"The emulator does not answer `{name}`.")


def _is_local(name: str) -> bool:
    if name in {"localhost", "metadata.google.internal"}:
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


async def _read_body(request: Request) -> bytes:
    """The whole body; one that is too large is read to its end, and not kept."""
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


def render_error(error: ApiError) -> Response:
    """An error as an answer."""
    return _render(Reply(error.to_json(), status=error.http_status))


def _render(answer: Any) -> Response:
    reply = answer if isinstance(answer, Reply) else Reply(answer)
    headers = dict(reply.headers)
    if isinstance(reply.content, str):
        return Response(reply.content, reply.status, headers, media_type="application/text")
    content: Json = reply.content
    return Response(json.dumps(content), reply.status, headers, media_type=_JSON)
