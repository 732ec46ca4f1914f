"""Where a process meets the world: HTTP, ZenML's client and the machine's clock are led there."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import google.auth._helpers
import zenml.client
import zenml.orchestrators.publish_utils
import zenml.step_operators.base_step_operator
from google.api_core.retry import retry_base, retry_unary
from requests.adapters import HTTPAdapter

from campaign.process import Process
from campaign.world import World
from campaign.zenml_server import ZenMLClient


class Edges:
    """Which process the code under test runs in."""

    def __init__(self) -> None:
        self.process: Process | None = None
        self.client: ZenMLClient | None = None

    @property
    def current(self) -> Process:
        """The process.

        Raises:
            RuntimeError: If the code under test runs outside of a trial.
        """
        if self.process is None:
            raise RuntimeError("no trial is being run")
        return self.process

    def get_client(self, *_: Any, **__: Any) -> ZenMLClient:
        """What `Client()` is now.

        Raises:
            RuntimeError: If the code under test runs outside of a trial.
        """
        if self.client is None:
            raise RuntimeError("no trial is being run")
        return self.client


class _Time:
    """What the module `time` is to code that sleeps."""

    def __init__(self, edges: Edges) -> None:
        self._edges = edges

    def sleep(self, seconds: float) -> None:
        self._edges.current.sleep(seconds)

    def monotonic(self) -> float:
        return self._edges.current.time()

    time = monotonic


@contextmanager
def led_to(world: World) -> Iterator[Edges]:
    """Lead what the operators and Google's client do to the world, at one place for each.

    Args:
        world: The world.
    """
    edges = Edges()
    clock = _Time(edges)
    send = HTTPAdapter.send

    def send_between(adapter: HTTPAdapter, request: Any, *args: Any, **kwargs: Any) -> Any:
        process, call = edges.current, name_call(request.method, request.url)
        process.cross(call, "before")
        try:
            return send(adapter, request, *args, **kwargs)
        finally:
            process.cross(call, "after")

    with ExitStack() as stack:
        for owner, name, value in (
            (HTTPAdapter, "send", send_between),
            (google.auth._helpers, "utcnow", lambda: world.now().replace(tzinfo=None)),
            (retry_base, "time", clock),
            (retry_unary, "time", clock),
            (zenml.step_operators.base_step_operator, "time", clock),
            *((module, "Client", edges.get_client) for module in _find_importers_of_client()),
        ):
            stack.enter_context(replaced(owner, name, value))
        yield edges


def name_call(method: str, url: str) -> str:
    """What a call of Vertex AI is called: `jobs.create` and so on."""
    path = url.split("?", 1)[0]
    if method == "GET":
        return "jobs.list" if path.endswith("/customJobs") else "jobs.get"
    names = {":cancel": "jobs.cancel", "/entries:list": "logs.list", "/token": "token"}
    return next((name for end, name in names.items() if path.endswith(end)), "jobs.create")


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Put something in the place of an attribute."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _find_importers_of_client() -> list[ModuleType]:
    """The modules of the operators, and of what they call, that ask for `Client()`."""
    names = (
        "zenml.client",
        "zenml.orchestrators.publish_utils",
        "zenml.step_operators.base_step_operator",
        "zenml_vertex.steps.records",
    )
    return [sys.modules[name] for name in names if name in sys.modules]
