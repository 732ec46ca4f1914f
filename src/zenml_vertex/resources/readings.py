"""Reads of persistent resources for the steps of this process, few for many steps.

A crowd of steps reads a resource once, and the machines that they take meanwhile are counted. What
cannot be read keeps no step from its job.
"""

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from zenml_vertex.clock import Clock
from zenml_vertex.errors import ResourceNotFound, VertexStepOperatorError
from zenml_vertex.following.brief import TooSlow, call_briefly
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
# A process that ends waits no longer to learn what it leaves.
LEAVING_SECONDS = 5.0
# A job takes 43 to 65 s from its container's exit to its last state.
TEARDOWN_SECONDS = 180.0


@dataclass(slots=True)
class Reading:
    """What was read of a resource."""

    # None if it does not exist, or could not be read.
    resource: PersistentResource | None = None
    # Why it could not be read.
    error: VertexStepOperatorError | None = None
    # How many machines of each pool, by its ID, jobs of this process have taken since.
    taken: Counter[str] = field(default_factory=Counter)
    read_at: float = 0.0

    def is_fresh(self, now: float) -> bool:
        """Whether it still counts."""
        resource = self.resource
        is_usual = self.error is not None or (
            resource is not None
            and resource.state == RUNNING
            and sum(pool.free for pool in resource.pools) > self.taken.total()
        )
        return now - self.read_at < (FRESH_SECONDS if is_usual else BUSY_SECONDS)


@dataclass(slots=True)
class _Use:
    """A step run whose job was to run on a resource."""

    replicas: int
    # When its step had finished, by the clock; None if it has not.
    left_at: float | None = None


@dataclass(slots=True)
class _Resource:
    """A resource that steps of this process name."""

    resources: PersistentResources
    reading: Reading | None = None
    # One read at a time.
    lock: threading.Lock = field(default_factory=threading.Lock)
    # By the IDs of step runs.
    users: dict[str, _Use] = field(default_factory=dict)
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
            self._known[name].users[step_run_id] = _Use(replicas)

    def note_left(self, step_run_id: str) -> None:
        """A step run has finished."""
        with self._lock:
            for known in self._known.values():
                if use := known.users.get(step_run_id):
                    use.left_at = self._clock.monotonic()

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
        now = self._clock.monotonic()
        for name, known in list(self._known.items()):
            if not known.users or known.detached:
                continue
            reading = _read_briefly(known.resources, name)
            resource = reading.resource
            if reading.error is None and (
                resource is None
                or resource.state != RUNNING
                or resource.used > _count_leftover(known.users.values(), now)
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


def _count_leftover(uses: Iterable[_Use], now: float) -> int:
    """How many machines the jobs of this process may hold although their steps have finished."""
    return sum(
        use.replicas for use in uses if use.left_at is None or now - use.left_at < TEARDOWN_SECONDS
    )


def _read(resources: PersistentResources, name: str) -> Reading:
    try:
        return Reading(read_resource(resources.get(name)))
    except ResourceNotFound:
        return Reading()
    except VertexStepOperatorError as error:
        return Reading(error=error)


def _read_briefly(resources: PersistentResources, name: str) -> Reading:
    """Read a resource, for a process that ends."""
    try:
        return call_briefly(lambda: _read(resources, name), LEAVING_SECONDS)
    except TooSlow as slow:
        return Reading(error=VertexStepOperatorError(str(slow)))


def _warn_unread(name: str, error: VertexStepOperatorError) -> None:
    logger.warning(
        "Persistent resource `%s` could not be read, so that jobs on it are submitted without a "
        "check: %s",
        name.rpartition("/")[2],
        error,
    )
