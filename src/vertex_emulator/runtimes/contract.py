"""The protocols of runtimes, which run the containers of jobs, and the types that they share."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from vertex_emulator.core.errors import Json
from vertex_emulator.core.timer import Timer

OutputSink = Callable[[str, str], None]
"""Takes (stream, line): `stdout` or `stderr`, and a line without its end. May be
called from any thread until `Replica.wait` returns."""

POOLS_PATH = "job_spec.worker_pool_specs"
PRIMARY = "workerpool0-0"
"""The replica whose end is the end of its job."""

# A line of output that is longer comes as several, none of them longer than this.
LINE_BYTES = 200_000
# More replicas of a job than that would leave this machine nothing.
MAX_REPLICAS = 100
# SIGKILL and SIGTERM, as a shell reports them.
KILLED, TERMINATED = 137, 143
# That of containerd.
_START_ERROR_STATUS = 128


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended.

    Args:
        status: Exit status, 0 to 255; 128 + N for a signal N.
        start_error: Why the command could not be started, if so.
        is_out_of_memory: Whether it was killed for running out of memory.
    """

    status: int
    start_error: str | None = None
    is_out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    """What to run.

    Args:
        job_id: Numeric ID of the job.
        attempt: Number of the attempt, from 1; each has a machine of its own.
        image_uri: Image of the container.
        command: What replaces the image's entrypoint; empty for the image's own.
        environment: Variables of Vertex AI and of the job; kept out of reprs, since
            they can hold tokens.
        folder: A folder for this start alone; it exists.
        metadata_host: `host:port` of the metadata server.
        args: Arguments of the command.
        start: Which start on this machine, from 1.
        replica: Which replica of the job it is.
    """

    job_id: str
    attempt: int
    image_uri: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    metadata_host: str
    args: tuple[str, ...] = ()
    start: int = 1
    replica: str = PRIMARY


class ImageError(Exception):
    """An image that cannot be pulled; the message names it.

    Args:
        message: Text for people.
        is_refused: Whether the registry refuses because a permission is missing.
    """

    def __init__(self, message: str, *, is_refused: bool = False) -> None:
        super().__init__(message)
        self.is_refused = is_refused


class DisownedError(Exception):
    """Another emulator follows the container."""


class Replica(Protocol):
    """A container that was started."""

    def wait(self) -> Exit:
        """Wait until the container and all that it has started have exited, and for its output."""
        ...

    def terminate(self) -> None:
        """Send SIGTERM, and SIGKILL after a grace period; returns at once."""
        ...

    def kill(self) -> None:
        """Send SIGKILL; returns at once."""
        ...

    def abandon(self) -> None:
        """Leave it running, as a crash of the emulator does.

        `wait` then returns once the container has exited, and stops nothing: what runs
        by then may belong to another emulator.
        """
        ...


class NeverStarted:
    """A container whose command cannot be started; implements `Replica`.

    Args:
        reason: The container engine's message.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def wait(self) -> Exit:
        return Exit(_START_ERROR_STATUS, start_error=self._reason)

    def terminate(self) -> None:
        """Not needed: it never ran."""

    def kill(self) -> None:
        """Not needed: it never ran."""

    def abandon(self) -> None:
        """Not needed: it never ran."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """A container that another emulator has started.

    Args:
        replica: The container.
        has_ended: Whether it has ended meanwhile.
    """

    replica: Replica
    has_ended: bool


class Runtime(Protocol):
    """Runs containers."""

    @property
    def name(self) -> str:
        """Its name on the command line."""
        ...

    def find_unserved(self, job_spec: Json) -> list[str]:
        """The parts of a CustomJobSpec that it cannot run: path and reason of each."""
        ...

    def start(self, container: Container, sink: OutputSink) -> Replica:
        """Start a container. One whose command cannot be started ends with a `start_error`."""
        ...

    def end_leftovers(self, job_id: str) -> None:
        """Stop what a crashed emulator has left running of a job; returns when it has stopped."""
        ...


@runtime_checkable
class AdoptingRuntime(Protocol):
    """A runtime whose containers outlive the emulator that started them.

    The emulator tells it from other runtimes by its `adopt`.
    """

    def adopt(self, container: Container, sink: OutputSink) -> "Adopted | None":
        """Take over a container that another emulator has started.

        Args:
            container: What was started.
            sink: Takes all of its output, from the beginning.

        Returns:
            The container; None if nothing is known of it.
        """
        ...

    def forget(self, folder: Path) -> None:
        """Drop what is kept of a container for another emulator.

        Args:
            folder: The container's own.
        """
        ...


@runtime_checkable
class ImageRuntime(Runtime, Protocol):
    """Runs images, which it pulls first.

    The emulator tells it from other runtimes by its `pull`.
    """

    def check_image(self, image_uri: str) -> None:
        """Check that an image can be pulled.

        Raises:
            ImageError: If it cannot.
        """
        ...

    def pull(self, image_uri: str, architecture: str) -> str:
        """Pull an image; returns when it is ready to run.

        Args:
            image_uri: URI of the image.
            architecture: Of the machine: `amd64` or `arm64`.

        Returns:
            The image by its digest.

        Raises:
            ImageError: If it cannot be pulled.
        """
        ...

    def close(self) -> None:
        """Release its resources; all its containers have exited."""
        ...


class TimedReplica(Protocol):
    """A played container, whose time is the emulator's timer."""

    def terminate(self) -> None:
        """End it after its grace period; returns at once."""
        ...

    def kill(self) -> None:
        """Send SIGKILL; returns at once."""
        ...

    def abandon(self) -> None:
        """Drop it: its `ended` is not called any more."""
        ...


@runtime_checkable
class TimedRuntime(Protocol):
    """Plays containers without running anything, in the timer's own thread.

    The emulator tells it from a `Runtime` by its `begin`.
    """

    @property
    def name(self) -> str:
        """Its name."""
        ...

    def find_unserved(self, job_spec: Json) -> list[str]:
        """The parts of a CustomJobSpec that it cannot play, each with a reason."""
        ...

    def begin(
        self,
        container: Container,
        sink: OutputSink,
        timer: Timer,
        ended: Callable[[Exit], None],
    ) -> TimedReplica:
        """Start a container; called by the timer.

        Args:
            container: What to play.
            sink: Takes its output.
            timer: Where time comes from.
            ended: Called once by the timer, when the container has exited.
        """
        ...

    def end_leftovers(self, job_id: str) -> None:
        """Forget what a crashed emulator has left of a job."""
        ...


@runtime_checkable
class AdoptingTimedRuntime(Protocol):
    """A runtime whose played containers go on in another emulator."""

    def resume(
        self,
        container: Container,
        sink: OutputSink,
        timer: Timer,
        ended: Callable[[Exit], None],
    ) -> TimedReplica | None:
        """Go on with a container that was abandoned; None if there is none.

        What was due in the meantime happens at once. The arguments are those of `begin`.
        """
        ...


AnyRuntime = Runtime | TimedRuntime


def iter_pools(job_spec: Json) -> Iterator[tuple[str, Json]]:
    """The worker pools of a job that are not empty, each with its path. Pure.

    Args:
        job_spec: The CustomJobSpec.
    """
    for index, pool in enumerate(job_spec["workerPoolSpecs"]):
        if pool:
            yield f"{POOLS_PATH}[{index}]", pool


def count_replicas(job_spec: Json) -> int:
    """How many replicas a job has. Pure.

    Args:
        job_spec: The CustomJobSpec.
    """
    return sum(int(pool.get("replicaCount", 1)) for _, pool in iter_pools(job_spec))


def find_excess(job_spec: Json, most: int) -> list[str]:
    """What is wrong with a job that has too many replicas; nothing otherwise. Pure.

    Args:
        job_spec: The CustomJobSpec.
        most: How many it can have.
    """
    count = count_replicas(job_spec)
    if count <= most:
        return []
    return [f"{POOLS_PATH}: {count} replicas, where at most {most} can be run"]


def find_unserved_pools(job_spec: Json) -> list[str]:
    """The parts of a job that neither runtime here can run, each with a reason. Pure.

    Args:
        job_spec: The CustomJobSpec.
    """
    packages = [
        f"{path}.python_package_spec: only containers can be run"
        for path, pool in iter_pools(job_spec)
        if "pythonPackageSpec" in pool
    ]
    return packages + find_excess(job_spec, MAX_REPLICAS)
