"""Where the Vertex AI API is."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from zenml_vertex.errors import ConfigurationError

EMULATOR_VARIABLE = "AIPLATFORM_EMULATOR_HOST"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of the API.

    Args:
        url: Host, or URL with a scheme.
        is_emulator: Whether it was found as an emulator, which needs no credentials.
    """

    url: str
    is_emulator: bool = False


def choose_endpoint(
    *, region: str, api_endpoint: str | None, environ: Mapping[str, str]
) -> Endpoint:
    """Choose the address of the API: a setting, an emulator, or the region's own.

    `AIPLATFORM_EMULATOR_HOST` is `host:port`, as other emulators of Google's
    services have it; a scheme before it is accepted.

    Raises:
        ConfigurationError: For an `api_endpoint` that would send credentials in
            clear text over a network.
    """
    if api_endpoint:
        _refuse_clear_text(api_endpoint)
        return Endpoint(api_endpoint.rstrip("/"))
    emulator = environ.get(EMULATOR_VARIABLE)
    if emulator:
        url = emulator if "://" in emulator else f"http://{emulator}"
        return Endpoint(url.rstrip("/"), is_emulator=True)
    return Endpoint(f"{region}-aiplatform.googleapis.com")


def _refuse_clear_text(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "http" or _is_loopback(parts.hostname or ""):
        return
    problem = (
        f"`api_endpoint` is `{url}`, which would send credentials in clear text. Write https://, "
        f"or, for an emulator on another machine, set {EMULATOR_VARIABLE}={parts.netloc} instead."
    )
    raise ConfigurationError([problem])


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
