"""Runs a job's image as a container of this machine's Docker engine.

The image is pulled by its digest, whether or not the engine has one of that name.
The command is the container's first process, as on Vertex AI, where one that
cannot be started is reported by containerd; an init process in between would end
with a status of its own. The container shares this machine's network, unless another is
named, so that the emulators on loopback can be reached from it; `docker_walls` says what
it lacks.
"""

import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import docker.errors
from requests.exceptions import RequestException

from vertex_emulator.core.errors import Json
from vertex_emulator.core.folders import is_temporary
from vertex_emulator.runtimes.contract import (
    POOLS_PATH,
    Adopted,
    Container,
    ImageError,
    NeverStarted,
    OutputSink,
    Replica,
    count_replicas,
    find_unserved_pools,
)
from vertex_emulator.runtimes.docker_owner import OWNER, describe_owner, is_gone, lock_owner
from vertex_emulator.runtimes.docker_probe import DEFAULT_HOST, is_answering
from vertex_emulator.runtimes.docker_replica import (
    DockerReplica,
    close_output,
    follow_log,
    read_output,
    remove_container,
)
from vertex_emulator.runtimes.docker_walls import (
    HOST_NETWORK,
    PROCESSES,
    WRITE_ALL,
    build_walls,
    choose_user,
)

logger = logging.getLogger(__name__)

# How a container reaches the emulators that it should: addresses, no credentials.
_PASSED_ON = ("STORAGE_EMULATOR_HOST",)
_JOB_LABEL = "zenml-vertex.emulator.job-id"
_OWNER_LABEL = "zenml-vertex.emulator.owner"
# The folder of a start: a data folder, a job and an attempt.
_FOLDER_LABEL = "zenml-vertex.emulator.folder"
# The whole output is kept for the next emulator, whatever the engine's own settings are.
_LOG = {
    "Type": "json-file",
    "Config": {"max-size": "1000g", "max-file": "1", "compress": "false", "mode": "blocking"},
}
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
        unserved = find_unserved_pools(job_spec)
        if self._network != HOST_NETWORK and count_replicas(job_spec) > 1:
            unserved.append(
                f"{POOLS_PATH}: several replicas meet on this machine's own network only, and this "
                f"emulator puts containers into {self._network!r}"
            )
        return unserved

    def check_image(self, image_uri: str) -> None:
        try:
            self._api.inspect_distribution(image_uri)
        except docker.errors.APIError as error:
            raise explain_pull(image_uri, str(error.explanation or error)) from error

    def pull(self, image_uri: str, architecture: str) -> str:
        return pull_image(self._api, image_uri, architecture)

    def start(self, container: Container, sink: OutputSink) -> Replica:
        owner = lock_owner(container.folder, is_new=True)
        try:
            return self._start(container, sink, owner)
        except BaseException:
            os.close(owner)
            raise

    def _start(self, container: Container, sink: OutputSink, owner: int) -> Replica:
        user = self._choose_user(container.image_uri)
        container_id = self._api.create_container(
            container.image_uri,
            entrypoint=list(container.command) or None,
            command=list(container.args) or None,
            environment=self._build_environment(container),
            user=user,
            labels={
                _JOB_LABEL: container.job_id,
                _OWNER_LABEL: self._owner,
                _FOLDER_LABEL: str(container.folder.absolute()),
            },
            host_config=self._api.create_host_config(
                **self._walls, cap_add=list(WRITE_ALL) if user else None, log_config=_LOG
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
            os.close(owner)
            return NeverStarted(f"failed to create containerd task: {text}")
        except BaseException:
            close_output(output)
            self._remove(container_id)
            raise
        return self._replica(container_id, read_output(output), container, sink, owner)

    def adopt(self, container: Container, sink: OutputSink) -> Adopted | None:
        try:
            owner = lock_owner(container.folder)
        except OSError:
            return None
        found = self._list(f"{_FOLDER_LABEL}={container.folder.absolute()}")
        # One that was created and not started has never run.
        if not found or found[0]["State"] == "created":
            os.close(owner)
            return None
        container_id = found[0]["Id"]
        try:
            output = follow_log(self._api, container_id)
        except BaseException:
            os.close(owner)
            raise
        replica = self._replica(container_id, output, container, sink, owner)
        return Adopted(replica, has_ended=found[0]["State"] in {"exited", "dead"})

    def forget(self, folder: Path) -> None:
        try:
            for found in self._list(f"{_FOLDER_LABEL}={folder.absolute()}"):
                self._remove(found["Id"])
        except (docker.errors.DockerException, RequestException) as error:
            logger.warning("Could not remove the container of %s: %s", folder, error)
        with suppress(OSError):
            (folder / OWNER).unlink()

    def end_leftovers(self, job_id: str) -> None:
        for found in self._list(f"{_JOB_LABEL}={job_id}"):
            self._remove(found["Id"])

    def close(self) -> None:
        self._api.close()

    def _replica(
        self,
        container_id: str,
        output: Iterator[tuple[int, bytes]],
        container: Container,
        sink: OutputSink,
        owner: int,
    ) -> DockerReplica:
        return DockerReplica(
            self._api,
            container_id,
            output=output,
            sink=sink,
            grace=self._grace,
            folder=container.folder,
            owner=owner,
        )

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
        """Remove the containers of dead emulators that have no successor.

        One with a data folder has: whoever starts on that folder.
        """
        for found in self._list(_OWNER_LABEL):
            folder = found["Labels"].get(_FOLDER_LABEL)
            if is_gone(found["Labels"][_OWNER_LABEL]) and not (folder and _is_kept(Path(folder))):
                self._remove(found["Id"])

    def _list(self, label: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._api.containers(all=True, filters={"label": label})
        return found

    def _remove(self, container_id: str) -> None:
        remove_container(self._api, container_id)


def _is_kept(folder: Path) -> bool:
    """Whether another emulator can come back for the container of a folder."""
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        # It is another user's.
        return True
    return not is_temporary(folder)


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
