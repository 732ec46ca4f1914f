"""Reads of persistent resources for the steps of this process, few for many steps.

A crowd of steps reads a resource once, and the machines that they take meanwhile are counted. What
cannot be read keeps no step from its job.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from zenml_vertex.clock import Clock
from zenml_vertex.errors import ResourceNotFound, VertexStepOperatorError
from zenml_vertex.resources.protocols import PersistentResources
from zenml_vertex.resources.resource import (
    RUNNING,
    PersistentResource,
    build_command,
    read_resource,
)

logger = logging.getLogger(__name__)

# A resource changes when somebody changes it.
FRESH_SECONDS = 180.0
# Who finds all machines in use, or the resource not ready, looks again soon.
BUSY_SECONDS = 20.0


@dataclass(slots=True)
class Reading:
    """What was read of a resource."""

    # None if it does not exist, or could not be read.
    resource: PersistentResource | None = None
    # Why it could not be read.
    error: VertexStepOperatorError | None = None
    # How many machines jobs of this process have taken since.
    taken: int = 0
    read_at: float = 0.0

    def is_fresh(self, now: float) -> bool:
        """Whether it still counts."""
        resource = self.resource
        is_usual = self.error is not None or (
            resource is not None
            and resource.state == RUNNING
            and sum(pool.free for pool in resource.pools) > self.taken
        )
        return now - self.read_at < (FRESH_SECONDS if is_usual else BUSY_SECONDS)


@dataclass(slots=True)
class _Resource:
    """A resource that steps of this process name."""

    resources: PersistentResources
    reading: Reading | None = None
    # One read at a time.
    lock: threading.Lock = field(default_factory=threading.Lock)
    # The step runs whose jobs were to run on it, and how many machines they had.
    users: dict[str, int] = field(default_factory=dict)
    detached: set[str] = field(default_factory=set)


class ResourceReadings:
    """The persistent resources that the steps of this process name.

    Args:
        clock: Where time comes from.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, _Resource] = {}
        self._lock = threading.Lock()

    @contextmanager
    def reading(self, resources: PersistentResources, name: str) -> Iterator[Reading]:
        """What is known of a resource; nobody else decides by it meanwhile.

        Args:
            resources: Reads it, if that was not done lately.
            name: Its resource name.
        """
        with self._lock:
            known = self._known.setdefault(name, _Resource(resources))
        with known.lock:
            now = self._clock.monotonic()
            if known.reading is None or not known.reading.is_fresh(now):
                known.reading = _read(resources, name)
                known.reading.read_at = now
                if known.reading.error is not None:
                    _warn_unread(name, known.reading.error)
            yield known.reading

    def note_use(self, name: str, step_run_id: str, replicas: int) -> None:
        """The job of a step run is to run on a resource."""
        with self._lock:
            self._known[name].users[step_run_id] = replicas

    def note_detached(self, step_run_id: str) -> None:
        """The job of a step run goes on when this process has ended."""
        with self._lock:
            for known in self._known.values():
                if step_run_id in known.users:
                    known.detached.add(step_run_id)

    def warn_idle(self) -> None:
        """Name each resource that the steps of this process leave without a job, at its end.

        Jobs that have just ended hold their machines for a minute: they do not count, and who
        has more of them is somebody else.
        """
        for name, known in list(self._known.items()):
            if not known.users or known.detached:
                continue
            reading = _read(known.resources, name)
            resource = reading.resource
            if reading.error is None and (
                resource is None
                or resource.state != RUNNING
                or resource.used > sum(known.users.values())
            ):
                continue
            what = f" ({resource.machines})" if resource else ""
            others = "" if resource else ", unless others use it"
            logger.warning(
                "Persistent resource `%s`%s stays, and is billed although no step of this process "
                "is on it any more%s. To see who uses it: %s\nTo end it: %s",
                name.rpartition("/")[2],
                what,
                others,
                build_command("show", name),
                build_command("delete", name),
            )


def _read(resources: PersistentResources, name: str) -> Reading:
    try:
        return Reading(read_resource(resources.get(name)))
    except ResourceNotFound:
        return Reading()
    except VertexStepOperatorError as error:
        return Reading(error=error)


def _warn_unread(name: str, error: VertexStepOperatorError) -> None:
    logger.warning(
        "Persistent resource `%s` could not be read, so that jobs on it are submitted without a "
        "check: %s",
        name.rpartition("/")[2],
        error,
    )
