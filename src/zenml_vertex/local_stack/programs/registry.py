"""Runs a container registry in this machine's Docker engine, in a container of its own.

The container shares the machine's network and the registry chooses its port on
loopback: an engine trusts registries in 127.0.0.0/8 without TLS. It asks everybody for
a password, since every user of the machine can reach it.
"""

import io
import os
import signal
import sys
import tarfile
from contextlib import suppress
from types import FrameType

import docker
import docker.errors

from zenml_vertex.local_stack.registry_login import HTPASSWD_VARIABLE

# https://hub.docker.com/_/registry; its entrypoint reads the variables below.
IMAGE = "registry:2"
_HTPASSWD = "/htpasswd"
ENVIRONMENT = {
    "REGISTRY_HTTP_ADDR": "127.0.0.1:0",
    "REGISTRY_AUTH": "htpasswd",
    "REGISTRY_AUTH_HTPASSWD_REALM": "local stack",
    "REGISTRY_AUTH_HTPASSWD_PATH": _HTPASSWD,
}
"""The registry's settings: https://distribution.github.io/distribution/about/configuration/."""
_ENGINE_SECONDS = 300
_PROCESSES = 1024


def main() -> None:
    """Run it until SIGTERM, with its log as this process's output."""
    signal.signal(signal.SIGTERM, _leave)
    (host,) = sys.argv[1:]
    client = docker.DockerClient(base_url=host, timeout=_ENGINE_SECONDS)
    try:
        if not _has_image(client):
            client.images.pull(*IMAGE.split(":"))
    except docker.errors.APIError as error:
        sys.exit(
            f"The image `{IMAGE}` cannot be pulled: {error.explanation}. To do without it, name a "
            "registry: --registry HOST:PORT"
        )
    container = client.containers.create(
        IMAGE,
        environment=ENVIRONMENT,
        network_mode="host",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        pids_limit=_PROCESSES,
    )
    try:
        container.put_archive("/", _pack(_HTPASSWD, os.environ[HTPASSWD_VARIABLE].encode()))
        container.start()
        for piece in container.logs(stream=True, follow=True):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    finally:
        # With the volume of its images.
        with suppress(docker.errors.APIError):
            container.remove(force=True, v=True)


def _has_image(client: docker.DockerClient) -> bool:
    try:
        client.images.get(IMAGE)
    except docker.errors.ImageNotFound:
        return False
    return True


def _pack(path: str, content: bytes) -> bytes:
    """A file for a container that has not started."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.size, entry.mode = len(content), 0o400
        archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    sys.exit(0)


if __name__ == "__main__":
    main()
