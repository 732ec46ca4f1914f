"""The address of the API, and where credentials are never sent."""

import re

import pytest

from zenml_vertex.cloud.endpoint import Endpoint, check_host, choose_endpoint, has_console
from zenml_vertex.errors import ConfigurationError

EMULATOR = {"AIPLATFORM_EMULATOR_HOST": "127.0.0.1:8085"}


def test_the_region_has_an_endpoint_of_its_own() -> None:
    """Without other settings, jobs go to Google's endpoint of the region."""
    endpoint = choose_endpoint(region="europe-west4", api_endpoint=None, environ={})
    assert endpoint == Endpoint("europe-west4-aiplatform.googleapis.com")


@pytest.mark.parametrize("value", ["127.0.0.1:8085", "http://127.0.0.1:8085/"])
def test_an_emulator_is_found_by_its_variable(value: str) -> None:
    """The variable takes host:port, as for other emulators, with or without a scheme."""
    environ = {"AIPLATFORM_EMULATOR_HOST": value}
    endpoint = choose_endpoint(region="us-central1", api_endpoint="", environ=environ)
    assert endpoint == Endpoint("http://127.0.0.1:8085", is_emulator=True)


@pytest.mark.parametrize(
    ("endpoint", "has_links"),
    [
        (Endpoint("europe-west4-aiplatform.googleapis.com"), True),
        (Endpoint("https://mine.p.googleapis.com"), True),
        # A company's own way to Google.
        (Endpoint("https://vertex.example.com"), True),
        (Endpoint("http://127.0.0.1:8085", is_emulator=True), False),
        (Endpoint("http://emulator.example.com:8085", is_emulator=True), False),
        (Endpoint("http://localhost:8085"), False),
        (Endpoint("europe-west4-aiplatform.other.cloud"), False),
    ],
)
def test_no_link_leads_to_a_console_without_the_job(endpoint: Endpoint, has_links: bool) -> None:
    """For a job of an emulator, the log had a link to a page of Google's that did not exist."""
    assert has_console(endpoint, lambda: "other.cloud") == has_links


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_counts_as_unset(value: str) -> None:
    """An empty variable counts as unset."""
    environ = {"AIPLATFORM_EMULATOR_HOST": value}
    endpoint = choose_endpoint(region="us-central1", api_endpoint=value, environ=environ)
    assert endpoint == Endpoint("us-central1-aiplatform.googleapis.com")


@pytest.mark.parametrize(
    "value",
    ["10.0.0.1:8085", "https://other:1", "0.0.0.0:1", "127.0.0.1.example.com", "127.1:1", "[::]:1"],
)
def test_an_emulator_elsewhere_needs_a_second_word(value: str) -> None:
    """Whoever sets one variable does not get ZenML's token, which each job carries.

    The variable that the error names allows it, as the error prints it.
    """
    environ = {"AIPLATFORM_EMULATOR_HOST": value}
    with pytest.raises(ConfigurationError, match="the ZenML server's access token") as caught:
        choose_endpoint(region="us-central1", api_endpoint=None, environ=environ)
    command = re.search(r"`export (\w+)=(\S+)`", str(caught.value))
    assert command
    environ[command[1]] = command[2]
    endpoint = choose_endpoint(region="us-central1", api_endpoint=None, environ=environ)
    assert endpoint.is_emulator


@pytest.mark.parametrize("region", ["", "evil.example:8443?", "evil.example/", "a@b", "A", "r\n"])
@pytest.mark.parametrize("api_endpoint", [None, "http://127.0.0.1:1"])
def test_a_region_cannot_become_a_host(region: str, api_endpoint: str | None) -> None:
    """Whoever calls with a region of somebody else's making gets an error, and no host from it."""
    with pytest.raises(ConfigurationError, match="not a region"):
        choose_endpoint(region=region, api_endpoint=api_endpoint, environ={})


@pytest.mark.parametrize(
    "address",
    [
        "https://vertex.example.com",
        "vertex.example.com:443",
        "googleapis.com.example.com",
        "evilgoogleapis.com",
        "googleapis.com",
        "10.0.0.1",
        "2130706433",
        "0x7f.1",
        "localhost.example.com",
        "0.0.0.0",
    ],
)
def test_a_host_of_somebody_elses_needs_consent(address: str) -> None:
    """Whoever may edit a shared component or a YAML file got everybody's tokens with `https://`.

    Without a word of the person at the machine they are refused; the printed command works.
    """
    endpoint = choose_endpoint(region="us-central1", api_endpoint=address, environ={})
    with pytest.raises(ConfigurationError, match="not Google's") as caught:
        check_host(endpoint, lambda: "googleapis.com", {})
    command = re.search(r"`export (\w+)=(\S+)`", str(caught.value))
    assert command
    check_host(endpoint, lambda: "googleapis.com", {command[1]: command[2]})
    check_host(endpoint, lambda: "", {command[1]: f"a.example, {command[2].upper()}"})
    with pytest.raises(ConfigurationError):
        check_host(endpoint, lambda: "", {command[1]: f"x{command[2]}, ,{command[2]}.example"})


def _refuse() -> str:
    raise AssertionError


@pytest.mark.parametrize(
    "address",
    [
        "https://us-central1-aiplatform.googleapis.com",
        "EU-WEST4-aiplatform.GoogleAPIs.com.",
        "https://aiplatform-psc.p.googleapis.com:443/",
        "http://127.0.0.1:8085",
        "127.0.0.1",
        "https://localhost:1",
        "[::1]:1",
    ],
)
def test_google_and_this_machine_need_no_consent(address: str) -> None:
    """Google's hosts, Private Service Connect's and loopback are taken; nobody else is asked."""
    check_host(choose_endpoint(region="r", api_endpoint=address, environ={}), _refuse, {})


@pytest.mark.parametrize(
    ("universe", "is_taken"),
    [("apis-s3ns.fr", True), ("s3ns.fr", False), ("fr", False), ("", False)],
)
def test_the_credentials_universe_is_taken(universe: str, *, is_taken: bool) -> None:
    """Hosts in the universe domain of the credentials are taken, unless it is no domain."""
    endpoint = Endpoint("https://u-france-east1-aiplatform.apis-s3ns.fr")
    if is_taken:
        check_host(endpoint, lambda: universe, {})
    else:
        with pytest.raises(ConfigurationError):
            check_host(endpoint, lambda: universe, {})


def test_a_setting_overrides_the_environment() -> None:
    """The component's `api_endpoint` overrides the environment variable."""
    endpoint = choose_endpoint(
        region="us-central1", api_endpoint="https://vertex.example.com/", environ=EMULATOR
    )
    assert endpoint == Endpoint("https://vertex.example.com")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"])
def test_clear_text_is_allowed_on_loopback(url: str) -> None:
    """An emulator on loopback can be used with real credentials."""
    assert choose_endpoint(region="r", api_endpoint=url, environ={}).url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1:80",
        "http://vertex.example.com",
        "HTTP://vertex.example.com",
        " http://vertex.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://0.0.0.0:80",
        "http://[::]:80",
    ],
)
def test_credentials_never_leave_the_machine_in_clear_text(url: str) -> None:
    """An `http` endpoint elsewhere is refused, naming the variable for emulators."""
    with pytest.raises(ConfigurationError, match="AIPLATFORM_EMULATOR_HOST="):
        choose_endpoint(region="r", api_endpoint=url, environ={})


@pytest.mark.parametrize(
    "address",
    [
        "ftp://vertex.example.com",
        "http://",
        "https://me:hunter2@vertex.example.com",
        "http://127.0.0.1@vertex.example.com",
        "http://127.0.0.1\\@vertex.example.com",
        "http://[::1",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:port",
        "https://vertex.example.com?key=hunter2",
        "https://vertex.example.com/#hunter2",
        "two words",
        "line\nbreak",
        "höst",
        "-x",
    ],
)
@pytest.mark.parametrize("where", ["api_endpoint", "AIPLATFORM_EMULATOR_HOST"])
def test_an_invalid_address_is_an_error(address: str, where: str) -> None:
    """The error says which of setting and variable is invalid, and shows no password in it."""
    is_setting = where == "api_endpoint"
    with pytest.raises(ConfigurationError, match=f"`{where}` is not a valid address") as caught:
        choose_endpoint(
            region="us-central1",
            api_endpoint=address if is_setting else None,
            environ={} if is_setting else {where: address},
        )
    assert "hunter2" not in str(caught.value)


def test_the_path_of_an_endpoint_is_kept() -> None:
    """An endpoint may have a path, for example behind a gateway."""
    endpoint = choose_endpoint(region="r", api_endpoint="HTTPS://gw.example/vertex/", environ={})
    assert endpoint == Endpoint("https://gw.example/vertex")


SECRET = "k3Vb-ZpQ_0aYwLx7RtEoUm4s"


@pytest.mark.parametrize(
    ("address", "setting"),
    [
        (f"vertex:8085/secret={SECRET}", None),
        (f"http://vertex:8085/secret={SECRET}/", None),
        ("", f"http://vertex:8085/secret={SECRET}"),
        ("", f"https://vertex:8085/secret={SECRET}"),
    ],
)
def test_the_secret_of_an_emulators_address_is_not_shown(address: str, setting: str | None) -> None:
    """Whoever reads the error of a refused address could run commands at the emulator."""
    environ = {"AIPLATFORM_EMULATOR_HOST": address}
    with pytest.raises(ConfigurationError) as caught:
        check_host(
            choose_endpoint(region="r", api_endpoint=setting, environ=environ), lambda: "", {}
        )
    assert "vertex:8085/secret=***" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_the_secret_of_an_emulators_address_is_not_in_a_repr() -> None:
    """Reprs get into logs, and into the errors of tests."""
    endpoint = choose_endpoint(
        region="r",
        api_endpoint=None,
        environ={"AIPLATFORM_EMULATOR_HOST": f"[::1]:1/secret={SECRET}"},
    )
    assert SECRET in endpoint.url
    assert SECRET not in repr(endpoint)
