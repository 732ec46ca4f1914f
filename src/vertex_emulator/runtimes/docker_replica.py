"""Follows a container of the Docker engine: its output, its end, and who may stop it."""

import os
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import docker.errors
from docker.utils.socket import STDERR, frames_iter
from requests.exceptions import RequestException

from vertex_emulator.runtimes.contract import DisownedError, Exit, OutputSink
from vertex_emulator.runtimes.docker_owner import lock_owner
from vertex_emulator.runtimes.output import OutputLines

_HEAD = struct.Struct(">BxxxL")


class DockerReplica:
    """A container that runs, or has ended.

    It is not removed: until the job's next state is stored, the next emulator may need it.

    Args:
        api: Client of the container engine.
        container_id: The engine's ID of it.
        output: Its output from the beginning, as (stream, data).
        sink: Takes the lines.
        grace: Seconds between SIGTERM and SIGKILL.
        folder: The container's own.
        owner: Descriptor of the lock there, which is closed here.
    """

    def __init__(
        self,
        api: docker.APIClient,
        container_id: str,
        *,
        output: Iterator[tuple[int, bytes]],
        sink: OutputSink,
        grace: int,
        folder: Path,
        owner: int,
    ) -> None:
        self._api = api
        self._id = container_id
        self._grace = grace
        self._folder = folder
        self._owner: int | None = owner
        self._lock = threading.Lock()
        self._enders: dict[int, threading.Thread] = {}
        self._end: Exit | Exception | None = None
        # Set when `wait` has something to say.
        self._is_over = threading.Event()
        self._reader = threading.Thread(target=_read, args=(output, sink), daemon=True)
        self._reader.start()
        threading.Thread(target=self._follow, daemon=True).start()

    def wait(self) -> Exit:
        self._is_over.wait()
        with self._lock:
            enders = list(self._enders.values())
            self._release()
        for ender in enders:
            ender.join()
        if isinstance(self._end, Exit):
            return self._end
        raise self._end or DisownedError(self._id)

    def terminate(self) -> None:
        self._stop(self._grace)

    def kill(self) -> None:
        self._stop(0)

    def abandon(self) -> None:
        with self._lock:
            self._release()

    def _follow(self) -> None:
        try:
            # None: a job may run for days.
            self._api.wait(self._id, timeout=None)
            self._reader.join()
            state = self._api.inspect_container(self._id)["State"]
            self._end = Exit(int(state["ExitCode"]), is_out_of_memory=bool(state["OOMKilled"]))
        except Exception as error:  # noqa: BLE001 - `wait` raises it
            self._end = error
        finally:
            self._is_over.set()

    def _stop(self, grace: int) -> None:
        """Stop it, once for each grace, in a thread: the engine answers when it has exited."""
        with self._lock:
            if self._is_over.is_set() or grace in self._enders:
                return
            if self._owner is None:
                # It was abandoned: another emulator may have taken it.
                try:
                    self._owner = lock_owner(self._folder, seconds=0)
                except OSError:
                    self._is_over.set()
                    return
            ender = threading.Thread(target=self._end_it, args=(grace,), daemon=True)
            self._enders[grace] = ender
            ender.start()

    def _end_it(self, grace: int) -> None:
        # A container that is gone has ended already.
        with suppress(docker.errors.APIError, RequestException):
            if grace:
                self._api.stop(self._id, timeout=grace)
            else:
                self._api.kill(self._id)

    def _release(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            os.close(owner)


def read_output(output: Any) -> Iterator[tuple[int, bytes]]:
    """The output of a container that is attached, by stream.

    Args:
        output: What `attach_socket` returned; closed at the end.
    """
    try:
        yield from frames_iter(output, tty=False)
    finally:
        close_output(output)


def follow_log(api: docker.APIClient, container_id: str) -> Iterator[tuple[int, bytes]]:
    """The output of a container from the beginning to its end, as the engine has kept it.

    Args:
        api: Client of the container engine.
        container_id: The container, running or not.
    """
    # The package's own `logs` does not say which stream a piece is of.
    response = api._get(  # noqa: SLF001
        api._url("/containers/{0}/logs", container_id),  # noqa: SLF001
        params={"stdout": 1, "stderr": 1, "follow": 1},
        stream=True,
        timeout=None,
    )
    try:
        response.raise_for_status()
    except BaseException:
        response.close()
        raise
    return _read_log(response)


def _read_log(response: Any) -> Iterator[tuple[int, bytes]]:
    with response:
        while len(head := response.raw.read(_HEAD.size)) == _HEAD.size:
            stream, size = _HEAD.unpack(head)
            yield stream, response.raw.read(size)


def remove_container(api: docker.APIClient, container_id: str) -> None:
    """Remove a container, running or not, with its volumes, unless it is gone already."""
    try:
        api.remove_container(container_id, v=True, force=True)
    except docker.errors.NotFound:
        return
    except docker.errors.APIError as error:
        # Another call is removing it.
        if "is already in progress" not in str(error):
            raise


def close_output(output: Any) -> None:
    """Close the connection of a container's output, which the package itself never does."""
    connection = output._sock  # noqa: SLF001 - it hands out a file, and keeps the socket in it
    output._response.close()  # noqa: SLF001 - as above
    output.close()
    connection.close()


def _read(output: Iterator[tuple[int, bytes]], sink: OutputSink) -> None:
    lines = OutputLines(sink)
    try:
        for stream, data in output:
            lines.feed("stderr" if stream == STDERR else "stdout", data)
    finally:
        lines.finish()
