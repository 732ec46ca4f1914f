"""A container registry on loopback: Debian's `docker-registry`.

Docker engines trust registries in 127.0.0.0/8 without TLS.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import docker

from tests.support.containers.base_image import has_image, pack
from zenml_vertex.local_stack.processes.launcher import RUN_PROGRAM
from zenml_vertex.local_stack.processes.loopback import ADDRESS
from zenml_vertex.local_stack.processes.servers import Server, ToolsMissingError

_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def start_registry(data: Path, config: Path, log: Path, environment: Mapping[str, str]) -> Server:
    """Start a registry on a port of its own choice.

    Args:
        data: Folder of its images.
        config: File to write its configuration to.
        log: Its log file, which lists every request too.
        environment: Its whole environment.

    Raises:
        ToolsMissingError: If the program is not installed.
    """
    program = find_program(environment)
    # JSON is YAML.
    config.write_text(json.dumps(build_config(data)), "utf-8")
    return Server(
        "container registry",
        RUN_PROGRAM,
        [program, "serve", str(config)],
        environment=environment,
        log=log,
        health_path="/v2/",
    )


@contextmanager
def provided_image(
    client: docker.DockerClient, name: str, parent: str, environment: Mapping[str, str]
) -> Iterator[None]:
    """Provide an engine with the registry's image, as Docker Hub would, until the block ends.

    An engine that already has the image keeps it.

    Args:
        client: Of the engine.
        name: Name of the image.
        parent: An image of Debian.
        environment: Where to find the program.
    """
    if has_image(client, name):
        yield
        return
    dockerfile = "\n".join(
        [
            f"FROM {parent}",
            "COPY docker-registry /bin/registry",
            "RUN chmod 755 /bin/registry",
            "COPY config.yml /etc/docker/registry/config.yml",
            "VOLUME /var/lib/registry",
            'ENTRYPOINT ["/bin/registry", "serve"]',
            'CMD ["/etc/docker/registry/config.yml"]',
        ]
    )
    files = {
        "Dockerfile": dockerfile.encode(),
        "docker-registry": Path(find_program(environment)).read_bytes(),
        "config.yml": json.dumps(build_config(Path("/var/lib/registry"))).encode(),
    }
    client.images.build(
        fileobj=pack(files), custom_context=True, tag=name, network_mode="host", rm=True
    )
    try:
        yield
    finally:
        client.images.remove(name, force=True)


def find_program(environment: Mapping[str, str]) -> str:
    """Return the path of the registry's program.

    Raises:
        ToolsMissingError: If the program is not installed.
    """
    path = f"{environment.get('PATH', '')}:{_SYSTEM_PATH}"
    program = shutil.which("docker-registry", path=path)
    if program is None:
        raise ToolsMissingError(
            "There is no program `docker-registry`: `make docker-tools` installs it on Debian."
        )
    return program


def build_config(data: Path) -> dict[str, object]:
    """Build the registry's configuration; see https://distribution.github.io/distribution/."""
    return {
        "version": "0.1",
        "log": {"accesslog": {"disabled": False}, "formatter": "text", "level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(data)}},
        "http": {"addr": f"{ADDRESS}:0"},
    }
