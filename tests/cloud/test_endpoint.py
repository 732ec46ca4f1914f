"""The address of the API, and where credentials are never sent."""

import pytest

from zenml_vertex.cloud.endpoint import Endpoint, choose_endpoint
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


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_counts_as_unset(value: str) -> None:
    """An empty variable counts as unset."""
    environ = {"AIPLATFORM_EMULATOR_HOST": value}
    endpoint = choose_endpoint(region="us-central1", api_endpoint=value, environ=environ)
    assert endpoint == Endpoint("us-central1-aiplatform.googleapis.com")


def test_an_emulator_elsewhere_is_marked_as_clear_text() -> None:
    """The endpoint of an emulator on another machine is marked, so that no token is sent."""
    environ = {"AIPLATFORM_EMULATOR_HOST": "10.0.0.1:8085"}
    endpoint = choose_endpoint(region="us-central1", api_endpoint=None, environ=environ)
    assert endpoint == Endpoint("http://10.0.0.1:8085", is_emulator=True, is_open=True)


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
