"""One connection and one watcher for each project and region, shared by the whole process.

ZenML makes a step operator for each stack it loads, and several of them may run jobs in
one project and region. They share what is expensive: connections, tokens, and reads.
"""

import atexit
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING
from uuid import UUID

from zenml_vertex.clock import Clock, SystemClock
from zenml_vertex.cloud import client_required, ignore_support_warnings
from zenml_vertex.job.identity import ATTEMPT_VARIABLE
from zenml_vertex.steps.signals import interrupt_on_signals, is_busy

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml_vertex.cloud.connection import Connection
    from zenml_vertex.cloud.credentials import ConnectorAccess
    from zenml_vertex.following.clients import LeaseKeeper
    from zenml_vertex.following.listed_jobs import ListedJobs
    from zenml_vertex.following.protocols import StepRuns
    from zenml_vertex.following.watcher import Watcher
    from zenml_vertex.resources.readings import ResourceReadings
    from zenml_vertex.steps.dynamic_runs import RunnerWaker

TIDYING_SECONDS = 5.0
# The dynamic runner asks for one step after the other, a thousand in 10 s.
STATUS_PATIENCE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class ConnectionKey:
    """What distinguishes one connection from another."""

    region: str
    # None: the project of the credentials.
    project: str | None = None
    # Path of a credentials file.
    key_file: str | None = field(default=None, repr=False)
    # None: the region's own address.
    api_endpoint: str | None = None
    # ID of the service connector.
    connector: UUID | None = None


def _run_in_thread(task: Callable[[], None]) -> None:
    threading.Thread(target=task, name="zenml-vertex-tidying", daemon=True).start()


class ConnectionPool:
    """The connections and watchers of a process.

    Args:
        clock: Where time comes from.
        patience: Seconds that a request for a status waits for a poll, which goes on in a
            thread after that; None to wait until it is done.
        run_in_background: Starts a task beside the steps; the task ends by itself, or with
            the process.
        run_at_exit: Has a task run when the process ends by itself, or by Ctrl-C.
        interrupt_on_signals: Has signals interrupt the main thread as long as there are steps.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        patience: float | None = None,
        run_in_background: Callable[[Callable[[], None]], None] = _run_in_thread,
        run_at_exit: Callable[[Callable[[], None]], object] = atexit.register,
        interrupt_on_signals: Callable[[Callable[[], bool]], None] | None = None,
    ) -> None:
        self.patience = patience
        self._clock = clock
        self._run_in_background = run_in_background
        self._run_at_exit = run_at_exit
        self._interrupt_on_signals = interrupt_on_signals
        self._connections: dict[ConnectionKey, Connection] = {}
        self._watchers: dict[tuple[ConnectionKey, str], Watcher] = {}
        self._listed: dict[ConnectionKey, ListedJobs] = {}
        self._tidying: set[int] = set()
        self._leases: LeaseKeeper | None = None
        self._readings: ResourceReadings | None = None
        self._waker: RunnerWaker | None = None
        self._import: threading.Thread | None = None
        # A dynamic pipeline submits on ten threads and asks on another.
        self._lock = threading.RLock()

    @property
    def waker(self) -> "RunnerWaker":
        """What wakes dynamic runners when their steps have finished."""
        from zenml_vertex.steps.dynamic_runs import RunnerWaker

        with self._lock:
            if self._waker is None:
                self._waker = RunnerWaker(self._clock)
            return self._waker

    def open(self) -> "Self":
        """This pool, with the signals of the process; in a step's container they are the step's."""
        if self._interrupt_on_signals and ATTEMPT_VARIABLE not in os.environ:
            self._interrupt_on_signals(self._has_steps)
        return self

    def _has_steps(self) -> bool:
        # In a signal handler, which takes no lock.
        return is_busy() or any(watcher.has_followers for watcher in [*self._watchers.values()])

    def prepare(self) -> None:
        """Import what steps need in the background, while images are built; once is enough.

        Most of it is Google's client. A `connect` in the meantime waits for the rest of the
        import, and raises if the client cannot be imported.
        """
        with self._lock:
            if self._import:
                return
            ignore_support_warnings()
            # Not a daemon: a process that ends in the middle of an import may crash.
            self._import = threading.Thread(target=_import_for_steps, name="zenml-vertex-import")
            self._import.start()

    def connect(
        self, key: ConnectionKey, access_connector: Callable[[], "ConnectorAccess"]
    ) -> "Connection":
        """The connection for a key; the first one imports Google's client.

        Args:
            key: Which connection.
            access_connector: Reads the service connector, if the key has one.

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
            if key not in self._connections:
                self._connections[key] = connect(
                    region=key.region,
                    project=key.project,
                    key_file=key.key_file,
                    api_endpoint=key.api_endpoint,
                    connector=access_connector() if key.connector else None,
                )
            return self._connections[key]

    def find_watcher(self, key: ConnectionKey, parent: str, step_runs: "StepRuns") -> "Watcher":
        """The watcher of a connection that was made by `connect`.

        Args:
            key: Which connection.
            parent: Project and region as the names of its jobs have them, with the number
                of the project.
            step_runs: The ZenML server.
        """
        from zenml_vertex.container.finish_note import StoredNotes
        from zenml_vertex.following.watcher import Watcher
        from zenml_vertex.steps.run_stores import find_artifact_store

        with self._lock:
            if not self._watchers:
                self._run_at_exit(self._end_steps_left)
            if (key, parent) not in self._watchers:
                self._watchers[key, parent] = Watcher(
                    self._connections[key].jobs,
                    step_runs,
                    self._clock,
                    parent,
                    renew_leases=self.find_leases(step_runs).renew,
                    notes=StoredNotes(find_artifact_store),
                )
            return self._watchers[key, parent]

    def find_leases(self, step_runs: "StepRuns") -> "LeaseKeeper":
        """What tells others that this process follows steps."""
        from zenml_vertex.following.clients import LeaseKeeper

        with self._lock:
            if self._leases is None:
                self._leases = LeaseKeeper(step_runs.record, step_runs.record_on_run)
            return self._leases

    def find_listed_jobs(self, key: ConnectionKey) -> "ListedJobs":
        """Recorded jobs of a connection that was made by `connect`, for steps that are resumed.

        Args:
            key: Which connection.
        """
        from zenml_vertex.following.listed_jobs import ListedJobs

        with self._lock:
            if key not in self._listed:
                connection = self._connections[key]
                self._listed[key] = ListedJobs(connection.jobs, connection.parent)
            return self._listed[key]

    def find_readings(self) -> "ResourceReadings":
        """What is known of the persistent resources that steps of this process name."""
        from zenml_vertex.resources.readings import ResourceReadings

        with self._lock:
            if self._readings is None:
                self._readings = ResourceReadings(self._clock)
                self._run_at_exit(self._readings.warn_idle)
            return self._readings

    def note_detached(self, step_run_id: str) -> None:
        """The job of a step run goes on when this process has ended."""
        if self._readings:
            self._readings.note_detached(step_run_id)

    def note_left(self, step_run_id: str) -> None:
        """A step run has finished."""
        if self._readings:
            self._readings.note_left(step_run_id)

    def tidy(self, watcher: "Watcher") -> None:
        """Watch a watcher's lingering jobs in the background, until there are none left."""
        with self._lock:
            if id(watcher) in self._tidying:
                return
            self._tidying.add(id(watcher))
        self._run_in_background(lambda: self._tidy(watcher))

    def _end_steps_left(self) -> None:
        from zenml_vertex.following.leaving import end_steps_left
        from zenml_vertex.steps.interruptions import name_last_interruption

        watchers = self._watchers.values()
        left = [(watcher.jobs, one) for watcher in watchers for one in watcher.left]
        end_steps_left(left, name_last_interruption())

    def _tidy(self, watcher: "Watcher") -> None:
        while True:
            self._clock.sleep(TIDYING_SECONDS)
            with self._lock:
                if not watcher.has_lingering:
                    self._tidying.discard(id(watcher))
                    return
            watcher.tidy()


def _import_for_steps() -> None:
    with suppress(Exception):
        import_module("zenml_vertex.cloud.connection")
        import_module("zenml_vertex.steps.running")


SHARED = ConnectionPool(
    SystemClock(), patience=STATUS_PATIENCE_SECONDS, interrupt_on_signals=interrupt_on_signals
)
