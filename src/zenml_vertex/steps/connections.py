"""Where jobs are: one connection and one watcher for each place, for all steps of the process.

ZenML makes a step operator for each stack it loads, and several may run jobs in one
project and region. They share what costs: connections, tokens, and reads.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING
from uuid import UUID

from zenml_vertex.clock import Clock, SystemClock
from zenml_vertex.cloud import client_required, ignore_support_warnings
from zenml_vertex.following.protocols import StepRuns
from zenml_vertex.following.watcher import Watcher

if TYPE_CHECKING:
    from zenml_vertex.cloud.connection import Connection
    from zenml_vertex.cloud.credentials import ConnectorAccess

TIDYING_SECONDS = 5.0
# The dynamic runner asks for one step after the other, a thousand in 10 s.
STATUS_PATIENCE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Place:
    """What tells one connection from another.

    Args:
        region: Region of the jobs.
        project: Project of the settings; None for the one of the credentials.
        key_file: Path of a key file; None for none.
        api_endpoint: Address of the API; None for the usual one.
        connector: ID of the service connector; None for none.
    """

    region: str
    project: str | None = None
    key_file: str | None = None
    api_endpoint: str | None = None
    connector: UUID | None = None


def _run_in_thread(task: Callable[[], None]) -> None:
    threading.Thread(target=task, name="zenml-vertex-tidying", daemon=True).start()


class Places:
    """The connections and watchers of a process.

    Args:
        clock: Where time comes from.
        patience: Seconds that a status waits for a look, which goes on in a thread
            after that; None to wait until it is done.
        run_in_background: Starts what goes on beside the steps; it ends by itself, or
            with the process.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        patience: float | None = None,
        run_in_background: Callable[[Callable[[], None]], None] = _run_in_thread,
    ) -> None:
        self.patience = patience
        self._clock = clock
        self._run_in_background = run_in_background
        self._connections: dict[Place, Connection] = {}
        self._watchers: dict[tuple[Place, str], Watcher] = {}
        self._tidying: set[int] = set()
        self._import: threading.Thread | None = None
        # A dynamic pipeline submits on ten threads and asks on another.
        self._lock = threading.RLock()

    def prepare(self) -> None:
        """Import Google's client in the background, while images are built; once is enough.

        Whoever connects meanwhile waits for the rest of it, and is told if the client
        cannot be imported.
        """
        with self._lock:
            if self._import:
                return
            ignore_support_warnings()
            # No daemon: a process that ends in the middle of an import may crash.
            self._import = threading.Thread(target=_import_client, name="zenml-vertex-import")
            self._import.start()

    def connect(
        self, place: Place, access_connector: Callable[[], "ConnectorAccess"]
    ) -> "Connection":
        """The connection to a place; Google's client is imported for the first.

        Args:
            place: Where to.
            access_connector: Gets at the place's connector, if it has one.

        Raises:
            VertexStepOperatorError: If Google's client is not installed.
            CredentialsError: If there is no identity, or no project.
            ConfigurationError: If the endpoint cannot be used.
        """
        if self._import:
            self._import.join()
        with client_required():
            from zenml_vertex.cloud.connection import connect

        with self._lock:
            if place not in self._connections:
                self._connections[place] = connect(
                    region=place.region,
                    project=place.project,
                    key_file=place.key_file,
                    api_endpoint=place.api_endpoint,
                    connector=access_connector() if place.connector else None,
                )
            return self._connections[place]

    def find_watcher(self, place: Place, parent: str, step_runs: StepRuns) -> Watcher:
        """The watcher of a place that is connected.

        Args:
            place: The place.
            parent: Its project and region as its jobs name them, with the number of
                the project.
            step_runs: The ZenML server.
        """
        with self._lock:
            key = (place, parent)
            if key not in self._watchers:
                self._watchers[key] = Watcher(
                    self._connections[place].jobs, step_runs, self._clock, parent
                )
            return self._watchers[key]

    def tidy(self, watcher: Watcher) -> None:
        """Look after a watcher's lingering jobs in the background, until there are none."""
        with self._lock:
            if id(watcher) in self._tidying:
                return
            self._tidying.add(id(watcher))
        self._run_in_background(lambda: self._tidy(watcher))

    def _tidy(self, watcher: Watcher) -> None:
        while True:
            self._clock.sleep(TIDYING_SECONDS)
            with self._lock:
                if not watcher.has_lingering:
                    self._tidying.discard(id(watcher))
                    return
            watcher.tidy()


def _import_client() -> None:
    with suppress(Exception):
        import_module("zenml_vertex.cloud.connection")


PLACES = Places(SystemClock(), patience=STATUS_PATIENCE_SECONDS)
