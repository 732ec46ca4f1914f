"""The emulator under Google's own host names: proxy, TLS, REST and gRPC, put together."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from vertex_emulator.as_google.authority import make_identity, read_trusted
from vertex_emulator.as_google.environment import build_environment
from vertex_emulator.as_google.grpc_server import GrpcServer
from vertex_emulator.as_google.hosts import is_google_host
from vertex_emulator.as_google.proxy import ProxyProtocol
from vertex_emulator.core.errors import ApiError
from vertex_emulator.core.folders import TemporaryFolder, find_own_parent
from vertex_emulator.http.messages import render_error
from vertex_emulator.http.server import HttpServer, listen
from vertex_emulator.identity.keys import write_key_file

_ACCOUNT = "emulator"
_PREFIX = "vertex-as-google-"


class GoogleFront:
    """What clients reach that ask for Google's hosts.

    Args:
        app: The emulator's application, which answers requests to this machine.
        address: Loopback address that the emulator listens on.
        port: Its port, where calls over gRPC are made over HTTP.
        environ: The environment of the clients, before the front's own variables.
    """

    def __init__(
        self,
        app: ASGIApp,
        address: str,
        port: int,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        with ExitStack() as opened:
            self._socket = opened.enter_context(listen(address, 0))
            # The key and the authority. A shell keeps their names when they have gone, so nobody
            # else may be able to put files of their own there.
            self._folder = TemporaryFolder(_PREFIX, find_own_parent(environ))
            opened.callback(self._folder.remove)
            # The names of sockets must be short.
            self._sockets = TemporaryFolder(_PREFIX)
            opened.callback(self._sockets.remove)
            authority, tls = make_identity(self._folder.path)
            trusted = self._folder.path / "authorities.pem"
            trusted.write_bytes(read_trusted(environ).rstrip() + b"\n" + authority)
            key_file = self._folder.path / "service-account.json"
            host = f"[{address}]" if ":" in address else address
            self.environment: Mapping[str, str] = build_environment(
                environ,
                proxy=f"http://{host}:{self._socket.getsockname()[1]}",
                trusted=str(trusted),
                key_file=str(key_file),
            )
            project = self.environment["GOOGLE_CLOUD_PROJECT"]
            write_key_file(key_file, project=project, account=_ACCOUNT)
            grpc_socket = self._sockets.path / "grpc"
            self._grpc = GrpcServer(grpc_socket, address, port)
            protocol = partial(ProxyProtocol, tls, grpc_socket)
            self._http = HttpServer(_UnderGooglesNames(app), self._socket, protocol)
            self._is_started = False
            opened.pop_all()

    def start(self) -> None:
        """Start serving; returns when clients can connect."""
        self._is_started = True
        self._grpc.start()
        self._http.begin()

    def crash(self) -> None:
        """Reset every connection and stop serving, as if killed."""
        self._http.crash()
        self._grpc.stop()

    def stop(self) -> None:
        """Stop serving, and remove what clients were given; also if it has crashed."""
        if self._is_started:
            self._http.end()
        self._socket.close()
        self._grpc.stop()
        self._folder.remove()
        self._sockets.remove()


class _UnderGooglesNames:
    """Hands requests to Google's hosts on as requests to this machine, and refuses all others.

    Args:
        app: Answers them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if len(hosts) == 1 and is_google_host(hosts[0].removesuffix(":443")):
            local: Any = [(name, value) for name, value in headers if name != b"host"]
            scope = {**scope, "headers": [*local, (b"host", b"localhost")]}
            await self._app(scope, receive, send)
            return
        refusal = render_error(
            ApiError("PERMISSION_DENIED", f"The emulator does not stand for {', '.join(hosts)}.")
        )
        await refusal(scope, receive, send)
