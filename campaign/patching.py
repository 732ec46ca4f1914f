"""Patches what a process calls, HTTP, ZenML's client and the clock, into a world."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, tzinfo
from types import ModuleType
from typing import Any

import google.auth._helpers
import zenml.client
import zenml.orchestrators.publish_utils
import zenml.step_operators.base_step_operator
from google.api_core.retry import retry_base, retry_unary
from requests.adapters import HTTPAdapter

import zenml_vertex.clock
import zenml_vertex.following.clients
import zenml_vertex.following.takeover
import zenml_vertex.steps.job_builder

# What the operator imports with its first step: imported during a trial, it would keep the patched
# `Client` beyond it.
import zenml_vertex.steps.preflight
import zenml_vertex.steps.run_stores
import zenml_vertex.steps.running
from campaign.process import Process
from campaign.world import World
from zenml_vertex.processes import Process as ClientProcess


class CurrentProcess:
    """The process in which the code under test runs, and its ZenML client."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._client: Any = None

    def enter(self, process: Process, client: Any) -> None:
        """Run the code under test in this process from now on."""
        self._process, self._client = process, client

    @property
    def process(self) -> Process:
        """The process.

        Raises:
            RuntimeError: If the code under test runs outside of a trial.
        """
        if self._process is None:
            raise RuntimeError("no trial is running")
        return self._process

    def identify(self) -> ClientProcess:
        """How others recognize the process: one on another machine."""
        return ClientProcess(f"client-{id(self.process)}", "client", 1)

    def get_client(self, *_: Any, **__: Any) -> Any:
        """What `Client()` returns in the process.

        Raises:
            RuntimeError: If the code under test runs outside of a trial.
        """
        if self._client is None:
            raise RuntimeError("no trial is running")
        return self._client


class _TimeModule:
    """Stands in for the module `time` in code that sleeps."""

    def __init__(self, current: CurrentProcess) -> None:
        self._current = current

    def sleep(self, seconds: float) -> None:
        self._current.process.sleep(seconds)

    def monotonic(self) -> float:
        return self._current.process.time()

    time = monotonic


@contextmanager
def patched_into(world: World) -> Iterator[CurrentProcess]:
    """Patch HTTP, ZenML's client and the clock, so that operators run in a world.

    Args:
        world: The world.
    """
    current = CurrentProcess()
    time_module = _TimeModule(current)
    send = HTTPAdapter.send

    def send_across(adapter: HTTPAdapter, request: Any, *args: Any, **kwargs: Any) -> Any:
        process, call = current.process, name_call(request.method, request.url)
        process.cross(call, "before")
        try:
            return send(adapter, request, *args, **kwargs)
        finally:
            process.cross(call, "after")

    class WorldDatetime(datetime):
        """Stands in for `datetime` in code that reads the time."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "WorldDatetime":
            return cls.fromisoformat(world.now().astimezone(tz).isoformat())

    with ExitStack() as stack:
        for owner, name, value in (
            (HTTPAdapter, "send", send_across),
            (google.auth._helpers, "utcnow", lambda: world.now().replace(tzinfo=None)),
            (zenml_vertex.clock, "datetime", WorldDatetime),
            (zenml_vertex.following.clients, "find_this_process", current.identify),
            (zenml_vertex.following.takeover, "find_this_process", current.identify),
            (zenml_vertex.steps.job_builder, "find_this_process", current.identify),
            (retry_base, "time", time_module),
            (retry_unary, "time", time_module),
            (zenml.step_operators.base_step_operator, "time", time_module),
            *((module, "Client", current.get_client) for module in _find_importers_of_client()),
        ):
            stack.enter_context(replaced(owner, name, value))
        yield current


def name_call(method: str, url: str) -> str:
    """The name of a call to Vertex AI: `jobs.create` and so on."""
    path = url.split("?", 1)[0]
    if method == "GET":
        return "jobs.list" if path.endswith("/customJobs") else "jobs.get"
    names = {":cancel": "jobs.cancel", "/entries:list": "logs.list", "/token": "token"}
    return next((name for end, name in names.items() if path.endswith(end)), "jobs.create")


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Replace an attribute for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _find_importers_of_client() -> list[ModuleType]:
    """The imported modules that call `Client()` on behalf of an operator."""
    names = (
        "zenml.client",
        "zenml.orchestrators.publish_utils",
        "zenml.step_operators.base_step_operator",
        "zenml_vertex.steps.open_steps",
        "zenml_vertex.steps.records",
    )
    return [sys.modules[name] for name in names if name in sys.modules]
