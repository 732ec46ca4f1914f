"""What the emulator asks of whatever runs containers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from vertex_emulator.core.errors import Json
from vertex_emulator.core.timer import Timer

OutputSink = Callable[[str, str], None]
"""Takes (stream, line): `stdout` or `stderr`, and a line without its end. May be
called from any thread until `Replica.wait` returns."""

POOLS_PATH = "job_spec.worker_pool_specs"
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
        is_out_of_memory: Whether it was killed for want of memory.
    """

    status: int
    start_error: str | None = None
    is_out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    """What to run.

    Args:
        job_id: Numeric ID of the job.
        attempt: Number of the start, from 1.
        image_uri: Image of the container.
        command: What replaces the image's entrypoint; empty for the image's own.
        environment: What Vertex AI and the job give; kept out of reprs, since it
            holds tokens.
        folder: A folder for this start alone; it exists.
        metadata_host: `host:port` of the metadata server.
        args: Arguments of the command.
    """

    job_id: str
    attempt: int
    image_uri: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    metadata_host: str
    args: tuple[str, ...] = ()


class ImageError(Exception):
    """An image that cannot be had; the message names it.

    Args:
        message: Text for people.
        is_refused: Whether the registry refuses for want of a permission.
    """

    def __init__(self, message: str, *, is_refused: bool = False) -> None:
        super().__init__(message)
        self.is_refused = is_refused


class Replica(Protocol):
    """A container that was started."""

    def wait(self) -> Exit:
        """Wait until the container, everything that it has started, and its output are over."""
        ...

    def terminate(self) -> None:
        """Ask it to end, and make it end after a grace period; returns at once."""
        ...

    def kill(self) -> None:
        """End it without asking; returns at once."""
        ...

    def abandon(self) -> None:
        """Let it run on without the emulator, as a crash does.

        `wait` then returns once the container has ended, and ends nothing itself:
        what runs by then may belong to another emulator.
        """
        ...


class NeverStarted:
    """A container whose command cannot be started; implements `Replica`.

    Args:
        reason: What the container engine says of it.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def wait(self) -> Exit:
        return Exit(_START_ERROR_STATUS, start_error=self._reason)

    def terminate(self) -> None:
        """There is nothing to end."""

    def kill(self) -> None:
        """There is nothing to end."""

    def abandon(self) -> None:
        """There is nothing that runs on."""


class Runtime(Protocol):
    """Runs containers."""

    @property
    def name(self) -> str:
        """Its name on the command line."""
        ...

    def find_unserved(self, job_spec: Json) -> list[str]:
        """The parts of a CustomJobSpec that it cannot run, each with a reason."""
        ...

    def start(self, container: Container, sink: OutputSink) -> Replica:
        """Start a container. One whose command cannot be started ends with a `start_error`."""
        ...

    def end_leftovers(self, job_id: str) -> None:
        """End what an emulator that crashed has left of a job; returns when it is gone."""
        ...


@runtime_checkable
class ImageRuntime(Runtime, Protocol):
    """Runs images, which have to be had first.

    It is told apart from another `Runtime` by its `pull`.
    """

    def check_image(self, image_uri: str) -> None:
        """Look whether a registry gives an image.

        Raises:
            ImageError: If it does not.
        """
        ...

    def pull(self, image_uri: str, architecture: str) -> str:
        """Get an image ready to run; returns when it is there.

        Args:
            image_uri: URI of the image.
            architecture: Of the machine: `amd64` or `arm64`.

        Returns:
            The image as it can no longer change: by its digest.

        Raises:
            ImageError: If it cannot be had.
        """
        ...

    def close(self) -> None:
        """Give back what it holds; nothing of it runs any more."""
        ...


class TimedReplica(Protocol):
    """A container that lives by the emulator's timer."""

    def terminate(self) -> None:
        """Ask it to end; returns at once."""
        ...

    def kill(self) -> None:
        """End it without asking; returns at once."""
        ...

    def abandon(self) -> None:
        """Forget it: it does not end any more, and nobody is told."""
        ...


@runtime_checkable
class TimedRuntime(Protocol):
    """Plays containers without running anything, in the timer's own thread.

    It is told apart from a `Runtime` by its `begin`.
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
            timer: What it lives by.
            ended: To be called by the timer, once, when it has ended.
        """
        ...

    def end_leftovers(self, job_id: str) -> None:
        """End what an emulator that crashed has left of a job."""
        ...


AnyRuntime = Runtime | TimedRuntime


def find_unserved_pools(job_spec: Json) -> list[str]:
    """The parts of a job that neither runtime here can run, each with a reason. Pure.

    Args:
        job_spec: The CustomJobSpec.
    """
    pools = job_spec["workerPoolSpecs"]
    unserved = []
    if any(pool for pool in pools[1:]):
        unserved.append(f"{POOLS_PATH}: only the first worker pool can be run")
    if "pythonPackageSpec" in pools[0]:
        unserved.append(f"{POOLS_PATH}[0].python_package_spec: only containers can be run")
    return unserved
