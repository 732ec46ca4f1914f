"""Which requests a server on loopback answers: those of programs, and of no web page. Pure.

Any page that is open in a browser on this machine can send requests to loopback, and a
page whose name was made to resolve to loopback can read the answers too. Whose process a
request comes from, `peers` tells.
"""

from collections.abc import Collection, Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

_LOCALHOST = "localhost"
# https://fetch.spec.whatwg.org/#forbidden-request-header: a page can neither set nor suppress
# what browsers send in their own name.
_OF_BROWSERS = ("origin", "sec-fetch-")


def find_objection(
    headers: Iterable[tuple[str, str]], names: Collection[str] = (), *, is_any_host: bool = False
) -> str | None:
    """Why a request is refused, by its headers.

    Args:
        headers: Names, in any case, and values.
        names: Further names of the server than `localhost` and its loopback address.
        is_any_host: Whether it may be called by any name, since whoever asks knows a secret.

    Returns:
        A sentence that names the header; None if there is nothing against it.
    """
    hosts = []
    for header, value in headers:
        if header.lower().startswith(_OF_BROWSERS):
            return (
                "This server does not answer browsers and web pages; the header "
                f"{header.title()} is `{value}`."
            )
        if header.lower() == "host":
            hosts.append(value)
    for host in [] if is_any_host else hosts or [""]:
        if not _is_local(host, names):
            return "This server answers requests to this machine only; the header Host is " + (
                f"`{host}`." if host else "empty or missing."
            )
    return None


def is_loopback(address: str) -> bool:
    """Whether an IP address leads to this machine only; False for what is not an address."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def is_address(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_local(host: str, names: Collection[str]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == _LOCALHOST or name in names or is_loopback(name)
