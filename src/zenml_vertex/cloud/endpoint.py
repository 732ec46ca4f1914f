"""Where the Vertex AI API is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from zenml_vertex.errors import ConfigurationError

EMULATOR_VARIABLE = "AIPLATFORM_EMULATOR_HOST"

# No user and password before the host: the address is part of log lines.
_ADDRESS = re.compile(
    r"(?:(?P<scheme>https?)://)?"
    r"(?P<host>[a-z0-9][a-z0-9._-]*|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[\w.~-]+)*)/*",
    re.ASCII | re.IGNORECASE,
)
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of the API."""

    # Host, or URL with a scheme.
    url: str
    # Whether it is that of an emulator, which needs no credentials.
    is_emulator: bool = False
    # Whether what is sent there crosses a network in clear text.
    is_open: bool = False


def choose_endpoint(
    *, region: str, api_endpoint: str | None, environ: Mapping[str, str]
) -> Endpoint:
    """Choose the address of the API: a setting, an emulator, or the region's own.

    `AIPLATFORM_EMULATOR_HOST` is `host:port`, as for other emulators of Google's
    services; a scheme before it is accepted.

    Raises:
        ConfigurationError: For an invalid address, and for an `api_endpoint` that would
            send credentials in clear text over a network.
    """
    if api_endpoint and api_endpoint.strip():
        url, is_open = _read_address(api_endpoint, "api_endpoint", default_scheme="")
        if is_open:
            raise ConfigurationError(
                [
                    f"`api_endpoint` is `{url}`, which would send credentials in clear text. Write "
                    "https://, or, for an emulator on another machine, set "
                    f"{EMULATOR_VARIABLE}={url.removeprefix('http://')} instead."
                ]
            )
        return Endpoint(url)
    emulator = environ.get(EMULATOR_VARIABLE, "")
    if emulator.strip():
        url, is_open = _read_address(emulator, EMULATOR_VARIABLE, default_scheme="http://")
        return Endpoint(url, is_emulator=True, is_open=is_open)
    return Endpoint(f"{region}-aiplatform.googleapis.com")


def _read_address(text: str, name: str, *, default_scheme: str) -> tuple[str, bool]:
    """The address in its plainest spelling, and whether it is in clear text over a network.

    Raises:
        ConfigurationError: If it is not valid; the text, which may contain a password, is
            not repeated.
    """
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or int(match["port"] or 1) not in range(1, _LAST_PORT + 1):
        raise ConfigurationError(
            [
                f"`{name}` is not a valid address. Write a host, such as `127.0.0.1:8085` or "
                "`https://us-central1-aiplatform.googleapis.com`, without a user, a query or "
                "spaces."
            ]
        )
    scheme = f"{match['scheme'].lower()}://" if match["scheme"] else default_scheme
    port = f":{match['port']}" if match["port"] else ""
    url = f"{scheme}{match['host']}{port}{match['path']}"
    return url, scheme == "http://" and not _is_loopback(match["host"].strip("[]"))


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
