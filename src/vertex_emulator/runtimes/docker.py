"""Runs a job's image as a container of this machine's Docker engine.

The image is pulled by its digest, whether or not the engine has one of that name.
The command is the container's first process, as on Vertex AI, where one that
cannot be started is reported by containerd; an init process in between would end
with a status of its own. The container shares this machine's network, unless another is
named, so that the emulators on loopback can be reached from it; `docker_walls` says what
it lacks.
"""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Mapping
from typing import Any

import docker
import docker.errors
from docker.utils.socket import STDERR, frames_iter
from requests.exceptions import RequestException

from vertex_emulator.core.errors import Json
from vertex_emulator.runtimes.contract import (
    Container,
    Exit,
    ImageError,
    NeverStarted,
    OutputSink,
    Replica,
    find_unserved_pools,
)
from vertex_emulator.runtimes.docker_owner import describe_owner, is_gone
from vertex_emulator.runtimes.docker_probe import DEFAULT_HOST, is_answering
from vertex_emulator.runtimes.docker_walls import (
    HOST_NETWORK,
    PROCESSES,
    WRITE_ALL,
    build_walls,
    choose_user,
)
from vertex_emulator.runtimes.output import OutputLines

# How a container reaches the emulators that it should: addresses, no credentials.
_PASSED_ON = ("STORAGE_EMULATOR_HOST",)
_JOB_LABEL = "zenml-vertex.emulator.job-id"
_OWNER_LABEL = "zenml-vertex.emulator.owner"
# What the engine says of a command that its image cannot run.
_START_ERROR = "OCI runtime create failed"
# What registries and the engine say where credentials are missing or do not suffice.
_REFUSED = re.compile(
    r"\b(?:denied|unauthorized|forbidden|no basic auth credentials|authentication required)\b",
    re.IGNORECASE,
)
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


class DockerError(Exception):
    """No Docker engine answers."""


class DockerRuntime:
    """Starts commands in containers.

    Args:
        environ: Environment of the emulator; holds what is passed on, and DOCKER_HOST.
        grace: Seconds between SIGTERM and SIGKILL; whole ones, at least 0.
        memory_bytes: Memory limit of a container; None for three quarters of the engine's.
        processes: Limit of a container's processes and threads.
        network: The engine's network that containers are put into: `host` is this machine's,
            the only one from which the emulators can be reached; `none` has nothing.

    Raises:
        DockerError: If the engine does not answer.
    """

    name = "docker"

    def __init__(
        self,
        environ: Mapping[str, str],
        grace: int = 5,
        memory_bytes: int | None = None,
        *,
        processes: int = PROCESSES,
        network: str = HOST_NETWORK,
    ) -> None:
        self._passed_on = {name: environ[name] for name in _PASSED_ON if name in environ}
        self._grace = grace
        self._owner = describe_owner()
        host = environ.get("DOCKER_HOST", DEFAULT_HOST)
        if not is_answering(host):
            raise DockerError(
                f"No Docker engine answers at {host}. Start one (`dockerd` as root), or set "
                "DOCKER_HOST."
            )
        self._api = docker.DockerClient.from_env(environment=dict(environ)).api
        self._network = network
        self._walls = build_walls(
            network=network,
            processes=processes,
            memory_bytes=memory_bytes,
            engine_bytes=self._api.info().get("MemTotal"),
        )
        self._remove_abandoned()

    def find_unserved(self, job_spec: Json) -> list[str]:
        return find_unserved_pools(job_spec)

    def check_image(self, image_uri: str) -> None:
        try:
            self._api.inspect_distribution(image_uri)
        except docker.errors.APIError as error:
            raise explain_pull(image_uri, str(error.explanation or error)) from error

    def pull(self, image_uri: str, architecture: str) -> str:
        return pull_image(self._api, image_uri, architecture)

    def start(self, container: Container, sink: OutputSink) -> Replica:
        user = self._choose_user(container.image_uri)
        container_id = self._api.create_container(
            container.image_uri,
            entrypoint=list(container.command) or None,
            command=list(container.args) or None,
            environment=self._build_environment(container),
            user=user,
            labels={_JOB_LABEL: container.job_id, _OWNER_LABEL: self._owner},
            host_config=self._api.create_host_config(
                **self._walls, cap_add=list(WRITE_ALL) if user else None
            ),
        )["Id"]
        try:
            # Before the start: nothing of the output is missed.
            output = self._api.attach_socket(
                container_id, params={"stdout": 1, "stderr": 1, "stream": 1}
            )
        except BaseException:
            self._remove(container_id)
            raise
        try:
            self._api.start(container_id)
        except docker.errors.APIError as error:
            close_output(output)
            self._remove(container_id)
            text = str(error.explanation or error)
            if _START_ERROR not in text:
                raise
            return NeverStarted(f"failed to create containerd task: {text}")
        except BaseException:
            close_output(output)
            self._remove(container_id)
            raise
        return _DockerReplica(self._api, container_id, output, sink, self._grace)

    def end_leftovers(self, job_id: str) -> None:
        for found in self._list(f"{_JOB_LABEL}={job_id}"):
            self._remove(found["Id"])

    def close(self) -> None:
        self._api.close()

    def _choose_user(self, image_uri: str) -> str | None:
        image_user = self._api.inspect_image(image_uri)["Config"].get("User") or ""
        own_user = os.geteuid() if sys.platform.startswith("linux") else None
        return choose_user(image_user, network=self._network, own_user=own_user)

    def _build_environment(self, container: Container) -> dict[str, str]:
        return {
            "GCE_METADATA_HOST": container.metadata_host,
            "GCE_METADATA_IP": container.metadata_host,
            **self._passed_on,
            **container.environment,
        }

    def _remove_abandoned(self) -> None:
        """Remove the containers of emulators that ended without removing them."""
        for found in self._list(_OWNER_LABEL):
            if is_gone(found["Labels"][_OWNER_LABEL]):
                self._remove(found["Id"])

    def _list(self, label: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._api.containers(all=True, filters={"label": label})
        return found

    def _remove(self, container_id: str) -> None:
        remove_container(self._api, container_id)


class _DockerReplica:
    def __init__(
        self,
        api: docker.APIClient,
        container_id: str,
        output: Any,
        sink: OutputSink,
        grace: int,
    ) -> None:
        self._api = api
        self._id = container_id
        self._grace = grace
        self._lock = threading.Lock()
        self._enders: dict[int, threading.Thread] = {}
        self._is_abandoned = False
        self._reader = threading.Thread(target=_read, args=(output, sink), daemon=True)
        self._reader.start()

    def wait(self) -> Exit:
        try:
            # None: a job may run for days.
            self._api.wait(self._id, timeout=None)
            self._reader.join()
            state = self._api.inspect_container(self._id)["State"]
        finally:
            with self._lock:
                enders = list(self._enders.values())
                is_abandoned = self._is_abandoned
            if not is_abandoned:
                remove_container(self._api, self._id)
            for ender in enders:
                ender.join()
        return Exit(int(state["ExitCode"]), is_out_of_memory=bool(state["OOMKilled"]))

    def terminate(self) -> None:
        self._stop(self._grace)

    def kill(self) -> None:
        self._stop(0)

    def abandon(self) -> None:
        with self._lock:
            self._is_abandoned = True

    def _stop(self, grace: int) -> None:
        """Stop it, once for each grace, in a thread: the engine answers when it has exited."""
        with self._lock:
            # A container that is stopped from here is removed from here.
            self._is_abandoned = False
            if grace not in self._enders:
                ender = threading.Thread(target=self._end, args=(grace,), daemon=True)
                self._enders[grace] = ender
                ender.start()

    def _end(self, grace: int) -> None:
        # A container that is gone has ended already.
        with contextlib.suppress(docker.errors.APIError, RequestException):
            if grace:
                self._api.stop(self._id, timeout=grace)
            else:
                self._api.kill(self._id)


def pull_image(api: docker.APIClient, image_uri: str, architecture: str) -> str:
    """Pull an image as a machine without any images would.

    The tag is resolved at the registry, even if the engine has an image of this name.

    Args:
        api: Client of the container engine.
        image_uri: URI of the image, with a tag, a digest or neither.
        architecture: Of the machine that is to run it: `amd64` or `arm64`.

    Returns:
        The image by its digest.

    Raises:
        ImageError: If it cannot be pulled, or is for another architecture.
    """
    try:
        found = api.inspect_distribution(image_uri)
        check_platforms(image_uri, found.get("Platforms") or [], architecture)
        pinned = pin(image_uri, found["Descriptor"]["digest"])
        platform = f"linux/{architecture}"
        for line in api.pull(pinned, stream=True, decode=True, platform=platform):
            if "error" in line:
                raise explain_pull(image_uri, str(line["error"]))
    except docker.errors.APIError as error:
        raise explain_pull(image_uri, str(error.explanation or error)) from error
    return pinned


def pin(image_uri: str, digest: str) -> str:
    """The image by its digest, in place of its tag or digest if it has one.

    Args:
        image_uri: URI of the image.
        digest: `sha256:...`.
    """
    name = _DIGEST.sub("", image_uri)
    repository, colon, tag = name.rpartition(":")
    # A colon before a slash belongs to the registry's port.
    return f"{repository if colon and '/' not in tag else name}@{digest}"


def check_platforms(image_uri: str, platforms: list[dict[str, Any]], architecture: str) -> None:
    """Refuse an image that is not built for a machine.

    Args:
        image_uri: URI of the image.
        platforms: The platforms that it is built for; empty where unknown.
        architecture: Of the machine.

    Raises:
        ImageError: If Linux on this architecture is missing.
    """
    names = [f"{item.get('os')}/{item.get('architecture')}" for item in platforms]
    # An attestation stands beside the images of a list as `unknown/unknown`.
    names = [name for name in names if "unknown" not in name and "/None" not in name]
    wanted = f"linux/{architecture}"
    if names and wanted not in names:
        raise ImageError(
            f"The image {image_uri} is for {', '.join(names)}; the machine is {wanted}. There, it "
            "would end with `exec format error`."
        )


def explain_pull(image_uri: str, text: str) -> ImageError:
    """The error for what a registry or the engine says of an image."""
    return ImageError(
        f"The image {image_uri} cannot be pulled: {text}", is_refused=bool(_REFUSED.search(text))
    )


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


def _read(output: Any, sink: OutputSink) -> None:
    lines = OutputLines(sink)
    try:
        for stream, data in frames_iter(output, tty=False):
            lines.feed("stderr" if stream == STDERR else "stdout", data)
    finally:
        lines.finish()
        close_output(output)
