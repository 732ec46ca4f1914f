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


@pytest.mark.parametrize("url", ["http://10.0.0.1:80", "http://vertex.example.com"])
def test_credentials_never_leave_the_machine_in_clear_text(url: str) -> None:
    """The error names the variable that serves an emulator elsewhere."""
    with pytest.raises(ConfigurationError, match="AIPLATFORM_EMULATOR_HOST="):
        choose_endpoint(region="r", api_endpoint=url, environ={})
