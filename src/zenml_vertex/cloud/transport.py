"""How requests travel: never redirected, nor through a proxy or to another user on this machine."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from google.auth.transport.requests import AuthorizedSession
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import advise_consent, is_allowed, is_loopback
from zenml_vertex.cloud.errors import translated
from zenml_vertex.cloud.listeners import find_strangers
from zenml_vertex.errors import ConfigurationError, ServiceUnavailable
from zenml_vertex.foreign_text import clean_sentence

OK = 200

# `http://` of any host: client certificates, for which google-auth brings an adapter of its
# own, are of `https://` only.
_MOUNTED = ("http://", "https://127.", "https://localhost", "https://[")
_CONNECT_SECONDS, _READ_SECONDS = 5.0, 15.0


class _Connection(HTTPConnection):
    """Sends nothing to a server of another user of this machine."""

    def connect(self) -> None:
        super().connect()
        _check_server(self)


class _TlsConnection(HTTPSConnection):
    """The same over TLS."""

    def connect(self) -> None:
        super().connect()
        _check_server(self)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _DirectAdapter(HTTPAdapter):
    """Leaves out the proxies of the environment where the host is this machine.

    Whose the server is, is asked of the kernel once it has accepted the connection, and before
    anything is sent: a port could change hands between a question and a connection.
    """

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        pools: Any = self.poolmanager
        pools.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def send(  # noqa: PLR0917 - the signature is that of requests
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Response:
        here = is_loopback(urlsplit(request.url or "").hostname or "")
        return super().send(request, stream, timeout, verify, cert, None if here else proxies)


def _check_server(connection: HTTPConnection) -> None:
    """Close a new connection to this machine that another user's server has accepted.

    Raises:
        ConfigurationError: If it is another user's.
        ConnectionError: If that server has gone meanwhile.
    """
    if not is_loopback(connection.host) or is_allowed(connection.host, os.environ):
        return
    try:
        address, port = connection.sock.getpeername()[:2]
        strangers = find_strangers(address, port)
    except BaseException:
        connection.close()
        raise
    if strangers == []:
        return
    connection.close()
    where = f"`{connection.host}:{port}`"
    if strangers is None:
        raise ConnectionError(
            f"The server on {where} has gone, or the kernel does not say whose it is. "
            f"{advise_consent(connection.host)}."
        )
    users = " and ".join(str(user) for user in strangers)
    raise ConfigurationError(
        [
            f"The server on {where} belongs to another user of this machine (uid {users}), who "
            "would get access tokens, or the ZenML server's token with a job. If an emulator of "
            f"yours had this port, start it again and set its new address. "
            f"{advise_consent(connection.host)}."
        ]
    )


def protect(session: Session) -> None:
    """Have a session of google-auth keep its requests to where they were sent.

    A redirect with status 307 or 308 would send the body on, which for a job holds the step's
    environment: it raises `requests.TooManyRedirects` instead. `HTTP_PROXY` holds for this
    machine too unless `NO_PROXY` names it: here it never does. A server of another user of this
    machine gets nothing. The session that fetches
    access tokens is treated the same.

    Args:
        session: A `google.auth.transport.requests.AuthorizedSession`.
    """
    for each in (session, getattr(session, "_auth_request_session", None)):
        if each is not None:
            each.max_redirects = 0
            for prefix in _MOUNTED:
                each.mount(prefix, _DirectAdapter())


@dataclass(frozen=True, slots=True)
class RestService:
    """One of Google's services, for a few calls that are not worth the package of its client.

    Args:
        name: What messages call it.
        url: Its address.
        identity: Who calls it.
    """

    name: str
    url: str = field(repr=False)
    identity: Identity

    def call(
        self,
        method: str,
        path: str,
        action: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        read_seconds: float = _READ_SECONDS,
    ) -> Response:
        """Send one request; the answer, whatever its status.

        Args:
            method: `GET`, `POST` or `DELETE`.
            path: What follows the address, with a slash.
            action: What is being done, for messages.
            body: Sent as JSON.
            query: Parameters of the URL.
            read_seconds: How long the service may be silent.

        Raises:
            VertexApiError: If the service does not answer.
            CredentialsError: If no access token is available.
        """
        with translated(action, self.identity.description):
            session = AuthorizedSession(self.identity.credentials)
            protect(session)
            try:
                answer: Response = session.request(
                    method,
                    self.url + path,
                    json=body,
                    params=query,
                    timeout=(_CONNECT_SECONDS, read_seconds),
                )
            finally:
                session.close()
        return answer

    def read(self, answer: Response, action: str) -> dict[str, Any]:
        """The object that an answer has.

        Raises:
            ServiceUnavailable: If it has none: it is not the service's.
        """
        try:
            content: Any = answer.json()
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise self.build_stranger(action)
        return content

    def read_items(self, content: Mapping[str, Any], key: str, action: str) -> list[dict[str, Any]]:
        """The objects that an answer lists; none if it has no list.

        Raises:
            ServiceUnavailable: If they are anything else: the answer is not the service's.
        """
        items = content.get(key) or []
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise self.build_stranger(action)
        return items

    def build_stranger(self, action: str) -> ServiceUnavailable:
        """The error for an answer that is somebody else's."""
        return ServiceUnavailable(
            f"Got a response that is not {self.name}'s while {action}. A proxy or a login page may "
            "stand in between: set HTTPS_PROXY and NO_PROXY."
        )

    def describe(self, answer: Response, action: str) -> str:
        """What the service says in place of doing it, as one or two sentences."""
        try:
            said = answer.json()["error"]["message"]
        except (ValueError, LookupError, TypeError, RecursionError):
            said = ""
        text = clean_sentence(str(said or ""))
        begin = f"{self.name} answered {answer.status_code} while {action}"
        return f"{begin}: {text}" if text else f"{begin}."
