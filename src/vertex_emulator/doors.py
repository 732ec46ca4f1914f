"""Where clients reach an emulator: its own address and, on request, Google's host names."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vertex_emulator.extras import extra_required
from vertex_emulator.http.address import Address, AddressSecret
from vertex_emulator.http.secret import SecretGate
from vertex_emulator.http.server import HttpProtocol, HttpServer, SecretProtocol, listen

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from vertex_emulator.as_google.front import GoogleFront


class Doors:
    """The sockets of an emulator, and what serves its application on them.

    Listens from the beginning, so that the address is known; serves once it is started.

    Args:
        address: IP address to listen on, or `localhost`.
        port: Port to listen on; 0 takes a free one.
        secret: What others must know, who can reach the address.
        as_google: Whether it is served under Google's own host names as well.

    Raises:
        ListenError: If the port is taken.
        NotLoopbackError: If others could reach `address` without a secret.
        ValueError: If there are a secret and Google's host names.
        WeakSecretError: If `secret` could be guessed.
    """

    def __init__(self, address: str, port: int, secret: str | None, *, as_google: bool) -> None:
        if as_google and secret is not None:
            raise ValueError("Google's own host names have no secret: leave one of the two away.")
        self._secret = None if secret is None else AddressSecret(secret)
        self._as_google = as_google
        self._socket = listen(address, port, has_secret=secret is not None)
        self._ip, bound = self._socket.getsockname()[:2]
        self.address = Address(self._ip, bound, self._secret)
        self._server: HttpServer | None = None
        self._front: GoogleFront | None = None
        self._is_started = False

    @property
    def google_environment(self) -> Mapping[str, str]:
        """The variables that lead unmodified clients of Google here; none without `as_google`."""
        return self._front.environment if self._front else {}

    def furnish(self, app: "ASGIApp") -> None:
        """Say what is served here, before the start.

        Args:
            app: The application, which answers whoever gets through.

        Raises:
            ModuleNotFoundError: If Google's host names need a package that is not installed.
        """
        if self._as_google:
            with extra_required("as-google"):
                from vertex_emulator.as_google.front import GoogleFront

            self._front = GoogleFront(app, self._ip, self.address.port)
        if self._secret:
            self._server = HttpServer(SecretGate(app, self._secret), self._socket, SecretProtocol)
        else:
            self._server = HttpServer(app, self._socket, HttpProtocol)

    def start(self) -> None:
        """Start serving; returns when clients can connect."""
        if self._server is None:
            raise RuntimeError("There is nothing to serve yet.")
        self._is_started = True
        self._server.begin()
        if self._front:
            self._front.start()

    def crash(self) -> None:
        """Reset every connection and stop serving, as if killed."""
        if self._server and self._is_started:
            self._server.crash()
        if self._front:
            self._front.crash()

    def stop(self) -> None:
        """Answer the requests under way, stop serving, and close the sockets."""
        if self._server and self._is_started:
            self._server.end()
        if self._front:
            self._front.stop()
        self._socket.close()
