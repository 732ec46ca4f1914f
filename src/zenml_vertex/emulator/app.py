"""HTTP to calls of the services and back."""

import importlib.metadata
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from zenml_vertex.emulator import metadata
from zenml_vertex.emulator.api_errors import ApiError, Json, invalid_argument
from zenml_vertex.emulator.calls import Call, Calls
from zenml_vertex.emulator.clock import Clock
from zenml_vertex.emulator.driver import Driver
from zenml_vertex.emulator.job_service import JobService
from zenml_vertex.emulator.log_entries import JobLogs
from zenml_vertex.emulator.log_queries import list_entries, read_query, wanted_job_ids
from zenml_vertex.emulator.names import Parent, parse_parent, parse_project
from zenml_vertex.emulator.routes import EMULATOR, JOB_SERVICE, LOGGING, ROUTES, VERSIONS, Route
from zenml_vertex.emulator.tokens import ANONYMOUS, OAuthError, Tokens
from zenml_vertex.emulator.wire import load_body

logger = logging.getLogger(__name__)

# Far above any job; Google's own limit for a request is not documented.
MAX_BODY_BYTES = 10 * 1024 * 1024

_JSON = "application/json; charset=UTF-8"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_METADATA_HEADERS = {metadata.HEADER: metadata.FLAVOR, "Server": "Metadata Server for VM"}


@dataclass(frozen=True, slots=True)
class Question:
    """A request, as far as endpoints look at it.

    Args:
        path: Parts of the path by their names in the route.
        query: Parameters.
        headers: In lower case.
        body: Bytes of the body.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is not simply JSON with 200.

    Args:
        content: Text, or an object to be written as JSON.
        status: HTTP status.
        headers: More headers.
    """

    content: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Services:
    """What the endpoints call."""

    jobs: JobService
    driver: Driver
    logs: JobLogs
    tokens: Tokens
    calls: Calls
    clock: Clock

    def reset(self) -> None:
        """End and forget all jobs, logs, tokens and calls."""
        self.driver.clear()
        self.tokens.clear()
        self.calls.clear()


class _Endpoints:
    """One method for each name in the route table."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def create_job(self, asked: Question) -> Any:
        return self._services.jobs.create(
            _parent(asked), load_body(asked.body), version=asked.path["version"]
        )

    def list_jobs(self, asked: Question) -> Any:
        return self._services.jobs.list(_parent(asked), asked.query)

    def get_job(self, asked: Question) -> Any:
        return self._services.jobs.get(_parent(asked), asked.path["job"])

    def cancel_job(self, asked: Question) -> Any:
        load_body(asked.body)
        return self._services.jobs.cancel(_parent(asked), asked.path["job"])

    def delete_job(self, asked: Question) -> Any:
        return self._services.jobs.delete(
            _parent(asked), asked.path["job"], version=asked.path["version"]
        )

    def get_operation(self, asked: Question) -> Any:
        return self._services.jobs.get_operation(_parent(asked), asked.path["operation"])

    def list_entries(self, asked: Question) -> Any:
        query = read_query(load_body(asked.body))
        names = query.get("resourceNames", []) + [
            f"projects/{project}" for project in query.get("projectIds", [])
        ]
        if not names:
            raise invalid_argument("The `resourceNames` of the request are empty.")
        numbers = {
            parse_project(parts[1])
            for name in names
            if (parts := name.split("/"))[0] == "projects" and len(parts) > 1
        }
        job_ids = wanted_job_ids(query.get("filter", ""))
        entries = [
            entry
            for job in self._services.driver.all()
            if job.number in numbers and (job_ids is None or job.job_id in job_ids)
            for entry in self._services.logs.entries_of(job.job_id)
        ]
        return list_entries(entries, query)

    def exchange_token(self, asked: Question) -> Any:
        try:
            form = dict(parse_qsl(asked.body.decode("utf-8")))
            return self._services.tokens.exchange(form)
        except OAuthError as refusal:
            return Reply(refusal.to_json(), status=400)
        except UnicodeDecodeError:
            return Reply({"error": "invalid_request"}, status=400)

    def ping_metadata(self, asked: Question) -> Any:
        del asked
        return Reply("computeMetadata/\n", headers=_METADATA_HEADERS)

    def read_metadata(self, asked: Question) -> Any:
        if asked.headers.get(metadata.HEADER.lower()) != metadata.FLAVOR:
            text = f"Missing {metadata.HEADER}:{metadata.FLAVOR} header."
            return Reply(text, status=403, headers=_METADATA_HEADERS)
        value = metadata.read_metadata(asked.path["path"], asked.query, self._services.tokens)
        if value is None:
            return Reply("not found", status=404, headers=_METADATA_HEADERS)
        return Reply(value, headers=_METADATA_HEADERS)

    def read_health(self, asked: Question) -> Any:
        del asked
        return {"status": "ok", "version": importlib.metadata.version("zenml-vertex")}

    def list_calls(self, asked: Question) -> Any:
        del asked
        return {"requests": [call.to_json() for call in self._services.calls]}

    def reset(self, asked: Question) -> Any:
        del asked
        self._services.reset()
        return {}


def build_app(services: Services) -> Starlette:
    """The ASGI application of an emulator."""
    endpoints = _Endpoints(services)
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
    call: Callable[[Question], Any],
    services: Services,
    version: str,
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        moment = services.clock.now()
        identity = ANONYMOUS
        try:
            _refuse_strangers(request)
            body = await _read_body(request)
            if route is None or route.service in {JOB_SERVICE, LOGGING}:
                bearer = services.tokens.identify(request.headers.get("authorization"))
                identity = bearer.identity
                bearer.refuse_expired()
            question = Question(
                path={**request.path_params, "version": version, "method": request.method},
                query=dict(request.query_params),
                headers=request.headers,
                body=body,
            )
            reply = _render(await run_in_threadpool(call, question))
        except ApiError as error:
            reply = _render(Reply(error.to_json(), status=error.http_status))
        except ClientDisconnect:
            reply = Response(status_code=499)
        except Exception:
            logger.exception("%s %s could not be answered", request.method, request.url.path)
            internal = ApiError("INTERNAL", "Internal error encountered.")
            reply = _render(Reply(internal.to_json(), status=internal.http_status))
        logger.debug("%s %s: %s", request.method, request.url.path, reply.status_code)
        if route is None or route.service != EMULATOR:
            services.calls.add(
                Call(
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


def _refuse_route(asked: Question) -> Any:
    route = f"{asked.path['method']} /{asked.path['path']}"
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


def _parent(asked: Question) -> Parent:
    return parse_parent(asked.path["project"], asked.path["location"])


def _render(answer: Any) -> Response:
    reply = answer if isinstance(answer, Reply) else Reply(answer)
    headers = dict(reply.headers)
    if isinstance(reply.content, str):
        return Response(reply.content, reply.status, headers, media_type="application/text")
    content: Json = reply.content
    return Response(json.dumps(content), reply.status, headers, media_type=_JSON)
