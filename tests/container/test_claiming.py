"""How a container comes by its claim: beside ZenML's own start, and before the step's code."""

import io
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from zenml.entrypoints.base_entrypoint_configuration import BaseEntrypointConfiguration
from zenml.enums import ExecutionStatus
from zenml.exceptions import CustomFlavorImportError

from zenml_vertex.container import claim, entrypoint
from zenml_vertex.container.claim import Claim
from zenml_vertex.container.entrypoint import VertexStepEntrypointConfiguration

STEP_RUN_ID = str(UUID(int=5))
PATH = f"/store/zenml-vertex/claims/{STEP_RUN_ID}-1-workerpool0-0.json"


class InMemoryStore:
    """An artifact store in memory, as far as a claim needs one."""

    path = "/store"

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.writes = threading.Semaphore(0)
        # Called before a file is opened.
        self.before: Callable[[], object] = list

    @contextmanager
    def open(self, path: str, mode: str) -> Iterator[io.BytesIO | io.StringIO]:
        self.before()
        if mode == "rb":
            if path not in self.files:
                raise FileNotFoundError(path)
            yield io.BytesIO(self.files[path].encode())
            return
        file = io.StringIO()
        yield file
        self.files[path] = file.getvalue()
        self.writes.release()

    def makedirs(self, path: str) -> None:
        assert path

    def remove(self, path: str) -> None:
        del self.files[path]


class Container:
    """A container whose ZenML server and code archive are scripted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = InMemoryStore()
        self.is_code_needed = False
        self.is_code_there = threading.Event()
        arguments = ["--snapshot_id", str(UUID(int=1)), "--step_name", "train"]
        self.entry = VertexStepEntrypointConfiguration([*arguments, "--step_run_id", STEP_RUN_ID])
        step_run: Any = SimpleNamespace(id=UUID(STEP_RUN_ID))
        self.step_run = self.entry._step_run = step_run
        self.say_status(ExecutionStatus.RUNNING)
        for name, method in (
            ("prepare_code_environment", lambda _: self.is_code_there.set()),
            ("_load_active_artifact_store", lambda _: self._load_store()),
        ):
            monkeypatch.setattr(BaseEntrypointConfiguration, name, method)

    def say_status(self, status: ExecutionStatus) -> None:
        """Have the ZenML server say the step's status."""
        self.entry.__dict__["_first_look"] = SimpleNamespace(status=status)

    def _load_store(self) -> InMemoryStore:
        if self.is_code_needed and not self.is_code_there.is_set():
            raise CustomFlavorImportError("the flavor is in the code archive")
        return self.store


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Iterator[Container]:
    """A container that has just started."""
    container = Container(monkeypatch)
    with container.entry._renewing:
        yield container


def test_the_claim_is_made_while_the_code_is_downloaded(container: Container) -> None:
    """The requests for the claim and ZenML's own do not wait for each other."""

    def wait() -> None:
        if not container.is_code_there.wait(10):
            raise TimeoutError

    container.store.before = wait
    container.entry.prepare_code_environment()
    assert container.entry.step_run is container.step_run
    assert list(container.store.files) == [PATH]


def test_the_claim_is_renewed_while_the_code_is_downloaded(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download that takes minutes does not look like a dead container."""
    monkeypatch.setattr(claim, "RENEWAL_SECONDS", 0.001)
    container.entry.prepare_code_environment()
    for _ in range(3):
        assert container.store.writes.acquire(timeout=10)
    assert container.entry.step_run is container.step_run
    stored = Claim.parse(container.store.files[PATH])
    assert stored is not None
    assert stored.renewals > 0


def test_an_artifact_store_in_the_code_archive_is_used_after_the_download(
    container: Container,
) -> None:
    """A custom flavor whose code is in the archive has a claim too, and fails no download."""
    container.is_code_needed = True
    container.entry.prepare_code_environment()
    assert container.entry.step_run is container.step_run
    assert list(container.store.files) == [PATH]


def test_a_finished_step_is_left_without_a_claim(container: Container) -> None:
    """A second start after the report gets no step run, by which ZenML would begin to run it."""
    container.say_status(ExecutionStatus.COMPLETED)
    container.entry.prepare_code_environment()
    with pytest.raises(entrypoint._LeftToAnotherContainerError):
        _ = container.entry.step_run
    assert container.store.files == {}


def test_a_store_that_fails_costs_a_warning(
    container: Container, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a claim the step runs, and the log says what that means."""

    def fail() -> None:
        raise PermissionError

    container.store.before = fail
    container.entry.prepare_code_environment()
    with caplog.at_level(logging.WARNING):
        assert container.entry.step_run is container.step_run
    assert "Could not store a claim in the artifact store (PermissionError)" in caplog.text
