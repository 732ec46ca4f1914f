"""Where the Vertex AI API is, and which hosts this machine trusts with what is sent there."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from zenml_vertex.errors import ConfigurationError
from zenml_vertex.foreign_text import clean_line
from zenml_vertex.job.identity import is_region
from zenml_vertex.job.readers import show_value

EMULATOR_VARIABLE = "AIPLATFORM_EMULATOR_HOST"
# Hosts, separated by commas, that the person at this machine trusts beside Google's.
ALLOWED_HOSTS_VARIABLE = "ZENML_VERTEX_ALLOWED_HOSTS"

# Addresses for Private Service Connect, `*.p.googleapis.com`, are among its subdomains:
# https://cloud.google.com/vpc/docs/about-accessing-google-apis-endpoints
GOOGLE = "googleapis.com"
# No user and password before the host: the address is part of log lines.
_ADDRESS = re.compile(
    r"(?:(?P<scheme>https?)://)?"
    r"(?P<host>[a-z0-9][a-z0-9._-]*|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[\w.~=-]+)*)/*",
    re.ASCII | re.IGNORECASE,
)
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of the API."""

    # Host, or URL with a scheme; that of an emulator may have a secret in its path.
    url: str = field(repr=False)
    # Whether it is that of an emulator, which gets no credentials.
    is_emulator: bool = False

    @property
    def shown(self) -> str:
        """The address as it may be shown."""
        return clean_line(self.url)

    @property
    def host(self) -> str:
        """The host alone, in lower case and without the dot that a full name may end with."""
        url = self.url if "://" in self.url else f"https://{self.url}"
        return _plain(urlsplit(url).hostname or "")

    def choose_address(self, google: str) -> str:
        """The address of another service: an emulator serves it itself.

        Args:
            google: Google's own.
        """
        return self.url if self.is_emulator or self.url.startswith("http://") else google


def choose_endpoint(
    *, region: str, api_endpoint: str | None, environ: Mapping[str, str]
) -> Endpoint:
    """Choose the address of the API: a setting, an emulator, or the region's own.

    `AIPLATFORM_EMULATOR_HOST` is `host:port`, as for other emulators of Google's
    services; a scheme before it is accepted. A job bears ZenML's token, so an emulator
    elsewhere needs `ZENML_VERTEX_ALLOWED_HOSTS` too.

    Raises:
        ConfigurationError: For an invalid address or region, for an `api_endpoint` that would
            send credentials in clear text over a network, and for an emulator on another
            machine that this one does not allow.
    """
    if not is_region(region):
        # It becomes part of a host's name, whoever passes it here.
        raise ConfigurationError(
            [
                f"`region` is {show_value(region)}, which is not a region. Write one such as "
                "`europe-west4`."
            ]
        )
    if api_endpoint and api_endpoint.strip():
        endpoint = Endpoint(_read_address(api_endpoint, "api_endpoint", default_scheme=""))
        if endpoint.url.startswith("http://") and not is_loopback(endpoint.host):
            address = endpoint.shown.removeprefix("http://")
            raise ConfigurationError(
                [
                    f"`api_endpoint` is `{endpoint.shown}`, which would send credentials in clear "
                    "text. Write https://, or, for an emulator on another machine, set "
                    f"{EMULATOR_VARIABLE}={address} instead."
                ]
            )
        return endpoint
    emulator = environ.get(EMULATOR_VARIABLE, "")
    if emulator.strip():
        url = _read_address(emulator, EMULATOR_VARIABLE, default_scheme="http://")
        endpoint = Endpoint(url, is_emulator=True)
        if not is_loopback(endpoint.host) and endpoint.host not in _read_allowed(environ):
            raise ConfigurationError(
                [
                    f"`{EMULATOR_VARIABLE}` is `{endpoint.shown}`, which is not this machine, and "
                    f"jobs carry the ZenML server's access token. {advise_consent(endpoint.host)}; "
                    f"otherwise run `unset {EMULATOR_VARIABLE}`."
                ]
            )
        return endpoint
    return Endpoint(f"{region}-aiplatform.googleapis.com")


def check_host(
    endpoint: Endpoint, find_universe: Callable[[], str], environ: Mapping[str, str]
) -> None:
    """Refuse to send access tokens to a host that this machine has no reason to trust.

    `api_endpoint` is shared: whoever may edit a step operator or a pipeline's YAML file sets
    it for everybody.

    Args:
        endpoint: Where tokens would go.
        find_universe: The universe domain of the credentials; asked for only if it matters,
            because a machine's credentials ask a server for it.
        environ: Environment of this process.

    Raises:
        ConfigurationError: If it is not Google's, on this machine, in the credentials' own
            universe domain, or named by `ZENML_VERTEX_ALLOWED_HOSTS`.
    """
    host = endpoint.host
    if endpoint.is_emulator or is_loopback(host) or is_within(host, GOOGLE):
        return
    if host in _read_allowed(environ):
        return
    if is_within(host, find_universe()):
        return
    raise ConfigurationError(
        [
            f"`api_endpoint` is `{endpoint.shown}`, which is not Google's, and would get your "
            f"access tokens. {advise_consent(host)}; otherwise run `zenml step-operator "
            "remove-attribute NAME api_endpoint`."
        ]
    )


def has_console(endpoint: Endpoint, find_universe: Callable[[], str]) -> bool:
    """Whether Google's console shows what is at an address: not what an emulator has.

    Args:
        endpoint: The address; one that is allowed beside Google's is taken for a way to Google.
        find_universe: As for `check_host`: another universe has a console of its own.
    """
    host = endpoint.host
    if endpoint.is_emulator or is_loopback(host):
        return False
    return is_within(host, GOOGLE) or not is_within(host, find_universe())


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name alone; no name is looked up."""
    host = host.strip("[]")
    if _plain(host) == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_allowed(host: str, environ: Mapping[str, str]) -> bool:
    """Whether the person at this machine trusts a host, by `ZENML_VERTEX_ALLOWED_HOSTS`."""
    return _plain(host.strip("[]")) in _read_allowed(environ)


def is_within(host: str, domain: str) -> bool:
    """Whether a host is a subdomain of a domain; `googleapis.com` and such are none themselves."""
    return "." in domain and _plain(host).endswith(f".{_plain(domain)}")


def advise_consent(host: str) -> str:
    """What somebody runs who trusts a host: the begin of a sentence."""
    return (
        f"If you trust it, run `export {ALLOWED_HOSTS_VARIABLE}={host}` where the pipeline is "
        "started"
    )


def _read_allowed(environ: Mapping[str, str]) -> set[str]:
    listed = environ.get(ALLOWED_HOSTS_VARIABLE, "").split(",")
    return {_plain(host.strip().strip("[]")) for host in listed if host.strip()}


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


def _read_address(text: str, name: str, *, default_scheme: str) -> str:
    """The address in its plainest spelling.

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
    return f"{scheme}{match['host']}{port}{match['path']}"
