"""Where the API is, and where credentials never go."""

import pytest

from zenml_vertex.cloud.endpoint import Endpoint, choose_endpoint
from zenml_vertex.errors import ConfigurationError

EMULATOR = {"AIPLATFORM_EMULATOR_HOST": "127.0.0.1:8085"}


def test_the_region_has_an_endpoint_of_its_own() -> None:
    """Without anything else set, jobs go to Google."""
    endpoint = choose_endpoint(region="europe-west4", api_endpoint=None, environ={})
    assert endpoint == Endpoint("europe-west4-aiplatform.googleapis.com")


@pytest.mark.parametrize("value", ["127.0.0.1:8085", "http://127.0.0.1:8085/"])
def test_an_emulator_is_found_by_its_variable(value: str) -> None:
    """The convention of other emulators is host:port; a scheme does no harm."""
    environ = {"AIPLATFORM_EMULATOR_HOST": value}
    endpoint = choose_endpoint(region="us-central1", api_endpoint="", environ=environ)
    assert endpoint == Endpoint("http://127.0.0.1:8085", is_emulator=True)


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_counts_as_unset(value: str) -> None:
    """As a shell leaves one behind."""
    environ = {"AIPLATFORM_EMULATOR_HOST": value}
    endpoint = choose_endpoint(region="us-central1", api_endpoint=value, environ=environ)
    assert endpoint == Endpoint("us-central1-aiplatform.googleapis.com")


def test_an_emulator_elsewhere_is_known_as_open() -> None:
    """Whoever connects knows then that no token may go there."""
    environ = {"AIPLATFORM_EMULATOR_HOST": "10.0.0.1:8085"}
    endpoint = choose_endpoint(region="us-central1", api_endpoint=None, environ=environ)
    assert endpoint == Endpoint("http://10.0.0.1:8085", is_emulator=True, is_open=True)


def test_a_setting_goes_before_the_environment() -> None:
    """What is written down for the component is meant."""
    endpoint = choose_endpoint(
        region="us-central1", api_endpoint="https://vertex.example.com/", environ=EMULATOR
    )
    assert endpoint == Endpoint("https://vertex.example.com")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"])
def test_clear_text_is_for_this_machine(url: str) -> None:
    """An emulator on loopback can be tried with real credentials."""
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
    """The error names the variable that serves an emulator elsewhere."""
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
    """It says which of the two is wrong, and repeats no password that is part of it."""
    is_setting = where == "api_endpoint"
    with pytest.raises(ConfigurationError, match=f"`{where}` is not a valid address") as caught:
        choose_endpoint(
            region="us-central1",
            api_endpoint=address if is_setting else None,
            environ={} if is_setting else {where: address},
        )
    assert "hunter2" not in str(caught.value)


def test_a_path_stays() -> None:
    """A gateway may have the API below a path."""
    endpoint = choose_endpoint(region="r", api_endpoint="HTTPS://gw.example/vertex/", environ={})
    assert endpoint == Endpoint("https://gw.example/vertex")
