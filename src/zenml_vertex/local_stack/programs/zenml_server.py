"""Serves ZenML's own server application on the socket that is this process's standard input.

Uvicorn's `--fd` would do the same with every answer 40 ms late: it takes the socket
for a Unix one, and leaves Nagle's algorithm on.

Left to itself, ZenML's server answers the pages of every origin, with the login that the
dashboard has in the browser. Here it answers its own pages only, and programs.
"""

import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any

import uvicorn

from vertex_emulator import find_objection
from zenml_vertex.local_stack.processes.servers import STAGE

_Message = MutableMapping[str, Any]
_App = Callable[
    [Any, Callable[[], Awaitable[Any]], Callable[[_Message], Awaitable[None]]], Awaitable[None]
]


def find_foreign_page(headers: Iterable[tuple[str, str]]) -> str | None:
    """Why a request is refused: it is for another host's name, or from another server's page.

    Args:
        headers: Names in lower case, and values.

    Returns:
        A sentence; None for a program, and for a page of this server.
    """
    headers = list(headers)
    hosts = [value for name, value in headers if name == "host"]
    if objection := find_objection([("host", host) for host in hosts]):
        return objection
    origins = [value for name, value in headers if name == "origin"]
    for origin in origins:
        if origin != f"http://{hosts[0]}":
            return f"This ZenML server answers its own pages only; this one is of `{origin}`."
    fetch = dict(headers)
    site, mode = fetch.get("sec-fetch-site", "none"), fetch.get("sec-fetch-mode", "")
    # A link to the dashboard may be anywhere.
    if site not in {"none", "same-origin"} and mode != "navigate":
        return "This ZenML server answers its own pages only; this one is of another server."
    return None


def guard(app: _App) -> _App:
    """The application, which no page of another server reaches."""

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        headers: Iterable[tuple[bytes, bytes]] = scope.get("headers", ())
        objection = None
        if scope["type"] == "http":
            objection = find_foreign_page(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in headers
            )
        if objection is None:
            await app(scope, receive, send)
            return
        kind = (b"content-type", b"text/plain; charset=utf-8")
        await send(
            {"type": "http.response.start", "status": HTTPStatus.FORBIDDEN, "headers": [kind]}
        )
        await send({"type": "http.response.body", "body": f"{objection}\n".encode()})

    return guarded


def main() -> None:
    """Serve until SIGTERM."""
    listener = socket.socket(fileno=sys.stdin.fileno())
    host, port, *_ = listener.getsockname()
    # Without it, ZenML allows every origin, with credentials.
    os.environ["ZENML_SERVER_CORS_ALLOW_ORIGINS"] = f"http://{host}:{port}"
    _begin("importing ZenML (a minute or more the first time)")
    from zenml.zen_server.zen_server_api import app

    _begin("preparing its database")
    _answer_survey()
    config = uvicorn.Config(guard(app), ws="none", log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


def _begin(stage: str) -> None:
    sys.stdout.write(f"{STAGE}{stage}\n")
    sys.stdout.flush()


def _answer_survey() -> None:
    """Let the dashboard begin with the pipelines, and not with a survey and a newsletter.

    The server takes `email_opted_in` from no request (`update_user` of
    zenml.zen_server.routers.users_endpoints leaves it out), but its database does.
    """
    from zenml.config.global_config import GlobalConfiguration
    from zenml.constants import FINISHED_ONBOARDING_SURVEY_KEY
    from zenml.models import UserFilter, UserUpdate

    # The store that the application takes when it starts.
    store = GlobalConfiguration().zen_store
    answers = UserUpdate(email_opted_in=False, user_metadata={FINISHED_ONBOARDING_SURVEY_KEY: True})
    for user in store.list_users(UserFilter()).items:
        store.update_user(user.id, answers)


if __name__ == "__main__":
    main()
