"""The pytest plugin: a Vertex AI for tests of code that uses it.

pytest loads it in every environment that has this package (entry point `pytest11`), so that it
imports nothing of the emulator before a fixture is used.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from vertex_emulator.testing import EmulatedVertex, SimulatedVertex


class StartVertexEmulator(Protocol):
    """Starts an emulator: `start_vertex_emulator(**options)`."""

    def __call__(self, **options: Any) -> "EmulatedVertex":
        """An emulator with the arguments of `VertexEmulator`, until the end of the test."""
        ...


@pytest.fixture
def vertex_emulator() -> Iterator["EmulatedVertex"]:
    """An emulator of Vertex AI, whose jobs really run: as processes of this machine."""
    from vertex_emulator.testing import emulated_vertex

    with emulated_vertex() as vertex:
        yield vertex


@pytest.fixture(scope="session")
def vertex_emulator_session() -> Iterator["EmulatedVertex"]:
    """The same for all tests, until the last one has ended; `reset` forgets what was before."""
    from vertex_emulator.testing import emulated_vertex

    with emulated_vertex() as vertex:
        yield vertex


@pytest.fixture
def vertex_simulation() -> Iterator["SimulatedVertex"]:
    """An emulator in which nothing runs; `advance` lets time pass, `play` says what jobs do."""
    from vertex_emulator.testing import simulated_vertex

    with simulated_vertex() as vertex:
        yield vertex


@pytest.fixture
def start_vertex_emulator() -> Iterator[StartVertexEmulator]:
    """Start emulators with other options: `start_vertex_emulator(token_lifetime=60)`."""
    from vertex_emulator.testing import emulated_vertex

    with ExitStack() as opened:

        def start(**options: Any) -> "EmulatedVertex":
            return opened.enter_context(emulated_vertex(**options))

        yield start
