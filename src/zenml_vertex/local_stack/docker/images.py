"""What step images need on one machine: a Docker engine, a registry, a parent image.

All of it is gone at the end, but for what a cache keeps.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors

from zenml_vertex.local_stack.docker.base_image import make_base_image
from zenml_vertex.local_stack.docker.engine import open_docker_engine
from zenml_vertex.local_stack.docker.registry import start_registry
from zenml_vertex.local_stack.processes.servers import StartError

_READY_SECONDS = 30.0
_ENGINE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class ImageGround:
    """Where step images are built, pushed to and pulled from.

    Args:
        docker_host: Address of the Docker engine.
        is_engine_ours: Whether the engine was started for this.
        registry: `host:port` of the registry.
        registry_log: Its log, with every request.
        parent_image: The parent of step images, in the registry.
    """

    docker_host: str
    is_engine_ours: bool
    registry: str
    registry_log: Path
    parent_image: str


@contextmanager
def open_image_ground(
    cache: Path,
    logs: Path,
    environment: Mapping[str, str],
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[ImageGround]:
    """Start what is missing, and end it again.

    Args:
        cache: Folder that keeps Debian, the engine's and the registry's images.
        logs: Folder of the log files.
        environment: Of the engine and the registry.
        progress: Is told what happens, in single lines.

    Raises:
        StartError: If something cannot be had.
    """
    with open_docker_engine(cache, logs / "docker.log", environment) as engine:
        progress(f"Docker engine: {engine.host}{' (started here)' if engine.is_ours else ''}.")
        # What is in there goes by its content: several registries may share it.
        registry = start_registry(
            cache / "registry", logs / "registry.json", logs / "registry.log", environment
        )
        try:
            registry.wait_until_ready(_READY_SECONDS)
            host = registry.url.removeprefix("http://")
            progress(f"Container registry: {host}.")
            progress("Making the base image, which takes two minutes the first time.")
            base = make_base_image(engine.host, cache, environment)
            client = docker.DockerClient(base_url=engine.host, timeout=_ENGINE_SECONDS)
            try:
                parent = push(client, base, f"{host}/base")
                progress(f"Base image: {parent}.")
                yield ImageGround(engine.host, engine.is_ours, host, registry.log, parent)
            finally:
                # An engine of ours keeps the layers for the next time.
                remove_images(client, f"{host}/", with_layers=not engine.is_ours)
                client.close()
        finally:
            registry.stop()


def push(client: docker.DockerClient, image: str, repository: str) -> str:
    """Push an image under another name; the name in the registry.

    Raises:
        StartError: If the registry does not take it.
    """
    tag = image.rpartition(":")[2]
    client.images.get(image).tag(repository, tag)
    for line in client.images.push(repository, tag, stream=True, decode=True):
        if "error" in line:
            raise StartError(f"{repository}:{tag} cannot be pushed: {line['error']}")
    return f"{repository}:{tag}"


def remove_images(client: docker.DockerClient, prefix: str, *, with_layers: bool) -> None:
    """Remove the names that an engine has for images of a registry.

    Args:
        client: Of the engine.
        prefix: `host:port/` of the registry.
        with_layers: Whether the layers go too that no other image has.
    """
    with suppress(docker.errors.DockerException):
        for image in client.images.list():
            names = [*image.tags, *image.attrs.get("RepoDigests", ())]
            for name in names:
                if name.startswith(prefix):
                    with suppress(docker.errors.APIError):
                        client.images.remove(name, force=True, noprune=not with_layers)
