"""The proxy that clients of Google's hosts are led through: CONNECT, and then TLS in their name.

It connects to nothing but the emulator. A client that offers HTTP/2 alone speaks gRPC; every
other one is served HTTP/1.1 on the same connection, as on the emulator's own port.
"""

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

from vertex_emulator.as_google.hosts import TargetError, read_target
from vertex_emulator.core.errors import ApiError
from vertex_emulator.http.peers import find_stranger
from vertex_emulator.http.server import Connection, HttpProtocol, spell_refusal

logger = logging.getLogger(__name__)

_MOST_HEAD_BYTES = 16 * 1024
_END_OF_HEAD = b"\r\n\r\n"
_HTTP2 = "h2"
# A client that has sent nothing by then will not.
_HANDSHAKE_SECONDS = 30.0


class ProxyProtocol(asyncio.Protocol):
    """A client's connection, from its first byte to the protocol that it speaks.

    Args:
        tls: Ends TLS in the name of Google's hosts.
        grpc_socket: Unix socket of the gRPC server.
        config: uvicorn's, as the other arguments.
        server_state: What is open.
        app_state: For the application.
        _loop: The loop.
    """

    connection: Connection

    def __init__(
        self,
        tls: ssl.SSLContext,
        grpc_socket: Path,
        *,
        config: Any,
        server_state: Any,
        app_state: Any,
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._tls = tls
        self._grpc_socket = grpc_socket
        self._for_http = {
            "config": config,
            "server_state": server_state,
            "app_state": app_state,
            "_loop": _loop,
        }
        self._loop = _loop or asyncio.get_event_loop()
        self._connections: set[Any] = server_state.connections
        self._tasks: set[Any] = server_state.tasks
        # What has come, as long as nobody else reads it.
        self._received = bytearray()
        self._has_head = False
        self._is_lost = False
        # The near end: with TLS once that is agreed upon. The far end is the gRPC server's.
        self._near: asyncio.Transport
        self._far: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self._near = transport
        self.connection = Connection(transport)
        if find_stranger(transport.get_extra_info("socket")):
            # It hangs up.
            self._speak_http()
        else:
            self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._far is not None:
            self._far.write(data)
            return
        self._received += data
        if self._has_head:
            return
        if _END_OF_HEAD in self._received:
            self._has_head = True
            self._open_tunnel()
        elif len(self._received) > _MOST_HEAD_BYTES:
            self._near.abort()

    def _open_tunnel(self) -> None:
        head, _, early = bytes(self._received).partition(_END_OF_HEAD)
        self._received.clear()
        try:
            host = read_target(head)
        except TargetError as error:
            self._near.write(spell_refusal(ApiError("PERMISSION_DENIED", str(error))))
            self._near.close()
            return
        if early:
            # TLS cannot be given what was read already; a client waits for the answer below.
            self._near.abort()
            return
        self._near.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        task = self._loop.create_task(self._agree_on_tls(host))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _agree_on_tls(self, host: str) -> None:
        try:
            near = await self._loop.start_tls(
                self._near,
                self,
                self._tls,
                server_side=True,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            )
        except (OSError, TimeoutError) as error:
            self._connections.discard(self)
            if isinstance(error, ssl.SSLError):
                logger.warning(
                    "A client of %s does not take the emulator's certificate (%s). Give its "
                    "shell all of the variables that the emulator has printed.",
                    host,
                    error.reason or error,
                )
            return
        if near is None or self._is_lost:
            return
        self._near = near
        if near.get_extra_info("ssl_object").selected_alpn_protocol() == _HTTP2:
            await self._speak_grpc()
        else:
            self._speak_http()

    def _speak_http(self) -> None:
        self._connections.discard(self)
        protocol = HttpProtocol(**self._for_http)
        self._near.set_protocol(protocol)
        protocol.connection_made(self._near)
        if self._received:
            protocol.data_received(bytes(self._received))

    async def _speak_grpc(self) -> None:
        try:
            far, _ = await self._loop.create_unix_connection(
                lambda: _FarEnd(self._near), str(self._grpc_socket)
            )
        except OSError:
            # The emulator is stopping.
            self._near.abort()
            return
        self._far = far
        if self._is_lost:
            far.close()
            return
        far.write(bytes(self._received))
        self._received.clear()

    def pause_writing(self) -> None:
        if self._far is not None:
            self._far.pause_reading()

    def resume_writing(self) -> None:
        if self._far is not None:
            self._far.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._is_lost = True
        self._connections.discard(self)
        if self._far is not None:
            self._far.close()

    def shutdown(self) -> None:
        """Hang up; uvicorn calls it when the server stops."""
        self._near.abort()


class _FarEnd(asyncio.Protocol):
    """The gRPC server's end of a tunnel, whose bytes go to the client's.

    Args:
        near: The client's end.
    """

    def __init__(self, near: asyncio.Transport) -> None:
        self._near = near

    def data_received(self, data: bytes) -> None:
        self._near.write(data)

    def pause_writing(self) -> None:
        self._near.pause_reading()

    def resume_writing(self) -> None:
        self._near.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._near.close()
