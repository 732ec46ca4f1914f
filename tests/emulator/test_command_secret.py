"""`zenml-vertex emulator --secret-in-address`."""

import signal
from collections.abc import Iterator

import pytest
import requests
from click.testing import CliRunner

from tests.emulator.test_command import Process
from zenml_vertex.cli import main

SECRET = "k3Vb-ZpQ_0aYwLx7RtEoUm4s"
ELSEWHERE = ("--host=0.0.0.0", "--secret-in-address")


@pytest.fixture
def drawn() -> Iterator[Process]:
    """An emulator that has drawn its secret."""
    process = Process(*ELSEWHERE)
    yield process
    process.end(signal.SIGTERM)


@pytest.fixture
def given() -> Iterator[Process]:
    """An emulator whose secret others know already."""
    process = Process(*ELSEWHERE, VERTEX_EMULATOR_SECRET=SECRET)
    yield process
    process.end(signal.SIGTERM)


def test_a_drawn_secret_is_printed_once(drawn: Process) -> None:
    """The address that is printed is the whole one, and no log line repeats its secret."""
    begin, secret = drawn.url.split("/secret=")
    assert requests.get(f"{drawn.url}/emulator/health", timeout=10).ok
    assert requests.get(f"{begin}/emulator/health", timeout=10).status_code == 404
    assert drawn.end(signal.SIGTERM) == 0
    assert len(secret) == 32
    assert secret not in "".join(drawn.errors)


def test_a_secret_that_others_know_is_not_printed(given: Process) -> None:
    """The output of a job of CI can be public; the variable's name stands for its value."""
    begin, shown = given.url.split("/secret=")
    assert shown == "$VERTEX_EMULATOR_SECRET"
    assert requests.get(f"{begin}/secret={SECRET}/emulator/health", timeout=10).ok
    assert given.end(signal.SIGTERM) == 0
    assert SECRET not in "".join(given.errors)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--host=0.0.0.0"], "without a secret in its address it listens on loopback only"),
        (ELSEWHERE, "VERTEX_EMULATOR_SECRET cannot be the secret. A secret in the address has 22"),
    ],
)
def test_what_is_missing_is_explained(options: list[str], text: str) -> None:
    """Nobody opens a port to others by one option, and a guessable secret is refused."""
    variables = {"VERTEX_EMULATOR_SECRET": "hunter2"}
    result = CliRunner().invoke(main, ["emulator", *options], env=variables)
    assert result.exit_code in {1, 2}
    assert text in " ".join(result.stderr.split())
    assert "hunter2" not in result.stderr
