"""The environment that leads Google's clients to the emulator. Pure."""

import shlex
from collections.abc import Mapping

from vertex_emulator.as_google.hosts import DOMAIN, is_google_host

DEFAULT_PROJECT = "my-project"
"""The project of clients whose environment names none."""

# Each client has a name of its own for the file with the authorities that it trusts: Python's
# `ssl`, httpx and Go; requests; curl; httplib2 under googleapiclient; gRPC; Node; gcloud.
_TRUST = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTPLIB2_CA_CERTS",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "NODE_EXTRA_CA_CERTS",
    "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE",
)
_PROXIES = ("HTTPS_PROXY", "https_proxy", "grpc_proxy")
_EXCEPTIONS = ("NO_PROXY", "no_proxy", "no_grpc_proxy")
_CREDENTIALS = ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE")
_PROJECTS = ("GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def build_environment(
    environ: Mapping[str, str], *, proxy: str, trusted: str, key_file: str
) -> dict[str, str]:
    """The variables of a client, beside those that it has.

    Args:
        environ: The environment that they are added to.
        proxy: URL of the proxy.
        trusted: File with the authorities that the client is to trust.
        key_file: Key of the account that the client acts as.
    """
    project = environ.get("GOOGLE_CLOUD_PROJECT") or DEFAULT_PROJECT
    direct = choose_direct(environ.get("NO_PROXY") or environ.get("no_proxy") or "")
    return {
        **dict.fromkeys(_PROXIES, proxy),
        **dict.fromkeys(_EXCEPTIONS, direct),
        **dict.fromkeys(_TRUST, trusted),
        **dict.fromkeys(_CREDENTIALS, key_file),
        **dict.fromkeys(_PROJECTS, project),
    }


def choose_direct(hosts: str) -> str:
    """The hosts that are reached without the proxy: the user's and loopback, but not Google's.

    Args:
        hosts: The user's, as in NO_PROXY.
    """
    given = [host for one in hosts.split(",") if (host := one.strip())]
    kept = [host for host in given if host not in _LOOPBACK and not _leads_to_google(host)]
    return ",".join([*_LOOPBACK, *kept])


def write_exports(variables: Mapping[str, str]) -> str:
    """Variables as lines for a shell; fish has `export`, too."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def _leads_to_google(host: str) -> bool:
    """Whether an exception would take a host that the emulator stands for from the proxy."""
    suffix = host.lower().partition(":")[0].lstrip("*.")
    # `*`, a domain that Google's lies in, and the hosts themselves.
    return not suffix or f".{DOMAIN}".endswith(f".{suffix}") or is_google_host(suffix)
