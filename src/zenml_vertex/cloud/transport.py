"""How requests travel: never redirected, and never through a proxy to this machine."""

from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

from zenml_vertex.cloud.endpoint import is_loopback

# `http://` of any host: client certificates, for which google-auth brings an adapter of its
# own, are of `https://` only.
_MOUNTED = ("http://", "https://127.", "https://localhost", "https://[")


class _DirectAdapter(HTTPAdapter):
    """Leaves out the proxies of the environment where the host is this machine."""

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


def protect(session: Session) -> None:
    """Have a session of google-auth keep its requests to where they were sent.

    A redirect with status 307 or 308 would send the body on, which for a job holds the step's
    environment: it raises `requests.TooManyRedirects` instead. `HTTP_PROXY` holds for this
    machine too unless `NO_PROXY` names it: here it never does. The session that fetches
    access tokens is treated the same.

    Args:
        session: A `google.auth.transport.requests.AuthorizedSession`.
    """
    for each in (session, getattr(session, "_auth_request_session", None)):
        if each is not None:
            each.max_redirects = 0
            for prefix in _MOUNTED:
                each.mount(prefix, _DirectAdapter())
