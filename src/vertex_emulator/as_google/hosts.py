"""Which of Google's hosts the emulator stands for. Pure."""

import re

# Custom training has one host for each region; `aiplatform` alone is that of `global`.
_HOSTS = re.compile(
    r"(?:(?:[a-z0-9-]+-)?aiplatform|logging|oauth2|secretmanager)\.googleapis\.com", re.ASCII
)
DOMAIN = "googleapis.com"
"""The domain that all of them belong to."""

_CONNECT = re.compile(rb"CONNECT (\S+) HTTP/1\.[01]")
_HTTPS_PORT = "443"


class TargetError(Exception):
    """A proxy's client that asks for something else than one of the hosts.

    Args:
        text: What is wrong, for people.
    """


def is_google_host(host: str) -> bool:
    """Whether the emulator stands for a host.

    Args:
        host: Name, without a port.
    """
    return _HOSTS.fullmatch(host.lower()) is not None


def read_target(head: bytes) -> str:
    """The host that a client of the proxy wants to reach.

    Args:
        head: The client's request, up to the end of its header (RFC 9110, section 9.3.6).

    Raises:
        TargetError: If the emulator does not stand for it.
    """
    line = head.partition(b"\r\n")[0]
    match = _CONNECT.fullmatch(line)
    if match is None:
        raise TargetError(
            "This is the emulator's proxy to Google's hosts. It takes HTTPS only, with the method "
            "CONNECT; set HTTPS_PROXY to its address, and not HTTP_PROXY."
        )
    host, _, port = match[1].decode("latin-1").rpartition(":")
    if port != _HTTPS_PORT or not is_google_host(host):
        raise TargetError(
            f"The emulator does not stand for {match[1].decode('latin-1')}, and its proxy leads "
            "nowhere else. Add the host to NO_PROXY to reach it directly."
        )
    return host
