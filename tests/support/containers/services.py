"""A Docker engine, a registry and a base image together.

All of them are removed at the end, except what a cache keeps.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from tests.support.containers.base_image import make_base_image
from tests.support.containers.engine import open_docker_engine
from tests.support.containers.registry import start_registry
from zenml_vertex.local_stack.images import remove_images
from zenml_vertex.local_stack.processes.servers import StartError

# The project's own ignored folder, whose contents the next run can reuse.
CACHE = Path(__file__).resolve().parents[3] / ".cache" / "images"
_READY_SECONDS = 30.0
_ENGINE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class ContainerServices:
    """Where step images are built, pushed to and pulled from."""

    # Address of the Docker engine: the value for DOCKER_HOST.
    docker_host: str
    is_engine_started_here: bool
    # `host:port`.
    registry: str
    # The registry's log, with every request.
    registry_log: Path
    # The base image, by its name in the registry.
    parent_image: str


@contextmanager
def open_container_services(
    cache: Path,
    logs: Path,
    environment: Mapping[str, str],
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[ContainerServices]:
    """Start the missing services, and end them with the block.

    Args:
        cache: Folder that keeps Debian, the engine's and the registry's images.
        logs: Folder of the log files.
        environment: Of the engine and the registry.
        progress: Is told what happens, in single lines.

    Raises:
        StartError: If something cannot be had.
    """
    with open_docker_engine(cache, logs / "docker.log", environment) as engine:
        progress(
            f"Docker engine: {engine.host}{' (started here)' if engine.is_started_here else ''}."
        )
        # It stores content by its digest: several registries can share the folder.
        registry = start_registry(
            cache / "registry", logs / "registry.json", logs / "registry.log", environment
        )
        try:
            registry.wait_until_ready(_READY_SECONDS)
            host = registry.url.removeprefix("http://")
            progress(f"Container registry: {host}.")
            progress("Making the base image, which takes two minutes the first time.")
            base = make_base_image(engine.host, cache, environment)
            try:
                parent = push(engine.host, base, f"{host}/base")
                progress(f"Base image: {parent}.")
                yield ContainerServices(
                    engine.host, engine.is_started_here, host, registry.log, parent
                )
            finally:
                # An engine that is started here keeps the layers for the next time.
                remove_images(engine.host, f"{host}/", with_layers=not engine.is_started_here)
        finally:
            registry.stop()


def push(engine: str, image: str, repository: str) -> str:
    """Push an image under another name, and return its name in the registry.

    Args:
        engine: Address of the engine.
        image: Name of the image there.
        repository: `host:port/name` in the registry.

    Raises:
        StartError: If the registry does not take it.
    """
    tag = image.rpartition(":")[2]
    client = docker.DockerClient(base_url=engine, timeout=_ENGINE_SECONDS)
    try:
        client.images.get(image).tag(repository, tag)
        for line in client.images.push(repository, tag, stream=True, decode=True):
            if "error" in line:
                raise StartError(f"{repository}:{tag} cannot be pushed: {line['error']}")
    finally:
        client.close()
    return f"{repository}:{tag}"
