"""The HTTP server of an emulator: uvicorn, with connections that can be cut."""

import asyncio
import contextlib
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from vertex_emulator.core.errors import ApiError
from vertex_emulator.core.users import describe_user
from vertex_emulator.http.guard import is_address, is_loopback
from vertex_emulator.http.messages import render_error
from vertex_emulator.http.peers import find_stranger

# Seconds that an answer under way may take when the emulator stops.
_SHUTDOWN_SECONDS = 2
# Longer than a client lets pass between two polls of a job.
_KEEP_ALIVE_SECONDS = 240
# How many strangers may still be sending, and for how many seconds.
_MOST_REFUSED = 16
_REFUSAL_SECONDS = 1.0
# No such address, and no such kind of address.
_OF_THE_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
# How many connections can go without having shown the secret, and for how many seconds.
_MOST_UNPROVEN = 64
_PROOF_SECONDS = 10.0
# Discard what was not sent, and answer with RST: SO_LINGER of no time.
_NO_LINGER = struct.pack("ii", 1, 0)

CONNECTION = "emulator.connection"
"""Key of a request's `Connection` in its ASGI scope."""


class Connection:
    """The connection that a request has arrived on.

    Args:
        transport: Its transport.
        is_own: Whether the other end is a process of the emulator's own user, or root's.
    """

    def __init__(self, transport: asyncio.Transport, *, is_own: bool = True) -> None:
        self._transport = transport
        self.is_own = is_own
        # When it is cut if it has not shown the secret of the address; None for never.
        self.deadline: asyncio.TimerHandle | None = None

    def await_proof(self, loop: asyncio.AbstractEventLoop) -> None:
        """Reset it in a while, unless the secret of the address comes before."""
        self.deadline = loop.call_later(_PROOF_SECONDS, self.reset)

    def prove(self) -> None:
        """Let it stay: a request has had the secret."""
        if self.deadline:
            self.deadline.cancel()
            self.deadline = None

    def reset(self) -> None:
        """Cut it with RST, which clients see as a reset."""
        peer = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()

    def close(self) -> None:
        """Send what was written and end it with FIN, which clients see as an early end."""
        self._transport.close()


class HttpProtocol(H11Protocol):
    """Gives each request access to its connection, and hangs up on strangers."""

    connection: Connection
    # Whether strangers are heard: some of them may know the secret of the address.
    _hears_strangers = False
    _is_refused = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # The path has the secret, and a program that configures logging turns uvicorn's log on.
        self.access_log = False
        app: Any = self.app
        stranger = find_stranger(transport.get_extra_info("socket"))
        self.connection = Connection(transport, is_own=stranger is None)
        if stranger and self._hears_strangers:
            self._await_proof()
        elif stranger:
            self._hang_up(stranger)
            return

        async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
            scope[CONNECTION] = self.connection
            try:
                await app(scope, receive, send)
            except asyncio.CancelledError:
                # A crash has cut the connection: no client waits for this answer.
                if not transport.is_closing():
                    raise

        self.app = with_connection

    def _hang_up(self, stranger: str) -> None:
        """Refuse a stranger, who could hold a descriptor for long by sending or reading nothing.

        As long as there are few, each may finish what it sends: a client that is reset while
        it sends may fail to read the answer.
        """
        self._is_refused = True
        self.transport.write(_refuse(stranger))
        refused = [one for one in self.connections if getattr(one, "_is_refused", False)]
        if len(refused) > _MOST_REFUSED:
            self.transport.close()
        else:
            self.transport.write_eof()
            self.loop.call_later(_REFUSAL_SECONDS, self.connection.reset)

    def _await_proof(self) -> None:
        """Give a stranger some time; of many, the one that has waited longest makes room."""
        self.connection.await_proof(self.loop)
        everybody: list[Any] = list(self.connections)
        unproven = [one.connection for one in everybody if one.connection.deadline]
        if len(unproven) > _MOST_UNPROVEN:
            min(unproven, key=lambda one: one.deadline.when()).reset()

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection.prove()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._is_refused:
            super().data_received(data)


class SecretProtocol(HttpProtocol):
    """The same behind an address with a secret, which `secret.SecretGate` asks for."""

    _hears_strangers = True


def _refuse(stranger: str) -> bytes:
    """The answer to another user's process: jobs run commands on this machine, as its user."""
    owner = describe_user(os.geteuid())
    text = (
        f"The emulator answers its own user, {owner}, and root; this request comes from "
        f"{stranger}. Run the client as that user, or an emulator of your own."
    )
    return spell_refusal(ApiError("PERMISSION_DENIED", text))


def spell_refusal(error: ApiError) -> bytes:
    """An answer of 403 as a client reads it, after which the connection is closed."""
    refusal = render_error(error)
    headers = [*refusal.raw_headers, (b"connection", b"close")]
    lines = [b"HTTP/1.1 403 Forbidden", *(b"%s: %s" % header for header in headers)]
    return b"\r\n".join([*lines, b"", bytes(refusal.body)])


class HttpServer(uvicorn.Server):
    """Serves an application on a socket, in its own thread.

    Args:
        app: The application.
        listener: Its socket, which is listening; closed at the end.
        protocol: Makes the protocol of a connection.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        protocol: Callable[..., asyncio.Protocol] = HttpProtocol,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                # uvloop starts processes from the main thread only.
                loop="asyncio",
                http=cast("Any", protocol),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
        )
        self._is_ready = threading.Event()
        self._is_closed = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_crashed = False
        self._thread = threading.Thread(
            target=self.run, args=([listener],), name="emulator-server", daemon=True
        )

    def begin(self) -> None:
        """Start serving; returns when clients can connect."""
        self._thread.start()
        self._is_ready.wait()

    def end(self) -> None:
        """Answer the requests under way, then stop serving; returns when it is done."""
        self.should_exit = True
        self._thread.join()

    def crash(self) -> None:
        """Reset every connection and stop serving; returns when the port is closed."""
        self._is_crashed = self.force_exit = self.should_exit = True
        if self._loop is not None:
            # At once: uvicorn checks `should_exit` ten times a second only.
            self._loop.call_soon_threadsafe(self._cut_all)
            self._is_closed.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._is_ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._is_crashed:
            self._cut_all()
        else:
            await super().shutdown(sockets)

    def _cut_all(self) -> None:
        for server in self.servers:
            server.close()
        for open_connection in list(self.server_state.connections):
            protocol: Any = open_connection
            protocol.connection.reset()
        self._is_closed.set()
        for task in self.server_state.tasks:
            task.cancel()


class ListenError(OSError):
    """A socket that cannot listen; names the address and the port.

    Attributes:
        port: The port.
        is_in_use: Whether something else listens there.
        is_of_address: Whether no port of the address could be listened on.

    Args:
        address: The address.
        port: The port.
        cause: What the operating system says.
    """

    def __init__(self, address: str, port: int, cause: OSError) -> None:
        super().__init__(cause.errno, cause.strerror)
        self.port = port
        self.is_in_use = cause.errno == errno.EADDRINUSE
        self.is_of_address = cause.errno in _OF_THE_ADDRESS
        if self.is_of_address:
            self._text = f"This machine cannot listen on {address}: {cause.strerror}."
        else:
            reason = "is already in use" if self.is_in_use else f"cannot be used: {cause.strerror}"
            self._text = f"Port {port} on {address} {reason}."

    def __str__(self) -> str:
        return self._text


class NotLoopbackError(ValueError):
    """An address that others can reach, or that is not an IP address.

    Args:
        address: The address.
    """

    def __init__(self, address: str) -> None:
        super().__init__(
            f"{address} is not a loopback address. Whoever can reach the emulator can run commands "
            "on this machine, so without a secret in its address it listens on loopback only."
        )


def listen(address: str, port: int, *, has_secret: bool = False) -> socket.socket:
    """A socket that listens on a loopback address.

    Args:
        address: An IP address, or `localhost`.
        port: The port; 0 for a free one.
        has_secret: Whether others may reach the address, since a secret is asked for.

    Raises:
        NotLoopbackError: If others could reach the address.
        ListenError: If the port is taken or not allowed, or the machine has no such address.
    """
    address = "127.0.0.1" if address == "localhost" else address
    if not (is_loopback(address) or (has_secret and is_address(address))):
        raise NotLoopbackError(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        # asyncio sets TCP_NODELAY only where the protocol is named; without it every answer
        # waits 40 ms for the delayed ACK of its head.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as exc:
        raise ListenError(address, port, exc) from exc
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()
    except OSError as exc:
        listener.close()
        raise ListenError(address, port, exc) from exc
    except BaseException:
        listener.close()
        raise
    return listener
