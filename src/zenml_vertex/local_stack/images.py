"""Where step images are built, pushed and pulled: this machine's Docker engine and a registry."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker
import docker.errors
from docker.context import ContextAPI
from requests.exceptions import RequestException

from zenml_vertex.local_stack.processes.ending import hold_signals
from zenml_vertex.local_stack.processes.servers import Server, ToolsMissingError
from zenml_vertex.local_stack.registry_login import HTPASSWD_VARIABLE, RegistryLogin

# The registry's image may have to be pulled first.
_READY_SECONDS = 120.0
_ENGINE_SECONDS = 60
_PROBE_SECONDS = 5
_DEFAULT_HOST = "unix:///var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """What the user names of the services that images need."""

    # `HOST:PORT`, with a path if need be; empty for one that is started for the stack.
    registry: str = ""
    # Parent of step images; empty for ZenML's own choice, `zenmldocker/zenml`.
    parent_image: str = ""


@dataclass(frozen=True, slots=True)
class ImageServices:
    """What images need, and it answers."""

    # Address of the Docker engine: the value for DOCKER_HOST.
    docker_host: str
    # `host:port` of the registry, with a path if it has one.
    registry: str
    # As in the plan.
    parent_image: str
    # Of the registry that was started for the stack; empty for another one.
    password: str = field(default="", repr=False)


@contextmanager
def open_image_services(
    plan: ImagePlan,
    log: Path,
    environment: Mapping[str, str],
    progress: Callable[[str], None] = lambda _: None,
    *,
    logins: Path,
) -> Iterator[ImageServices]:
    """Find the engine, and start a registry if the plan names none.

    The registry has a password, which the stack's Docker clients get. Its images and its
    container are removed from the engine at the end.

    Args:
        plan: What the user names.
        log: Log file of the registry.
        environment: Of the registry's process.
        progress: Is told what happens, in single lines.
        logins: Configuration of the stack's Docker clients, a folder.

    Raises:
        ToolsMissingError: If no engine answers.
        StartError: If the registry does not start.
    """
    host = find_docker_host(environment)
    progress(f"Docker engine: {host}.")
    if plan.registry:
        # ZenML refuses `localhost` as a registry for steps that run elsewhere.
        registry = plan.registry.replace("localhost:", "127.0.0.1:", 1)
        progress(f"Container registry: {registry}.")
        yield ImageServices(host, registry, plan.parent_image)
        return
    login = RegistryLogin()
    with hold_signals():
        server = Server(
            "container registry",
            "zenml_vertex.local_stack.programs.registry:main",
            [host],
            environment={**environment, HTPASSWD_VARIABLE: login.build_htpasswd()},
            log=log,
            health_path="/v2/",
            health_headers=login.headers,
        )
    try:
        server.wait_until_ready(_READY_SECONDS)
        registry = server.url.removeprefix("http://")
        login.write(logins, registry)
        progress(f"Container registry: {registry}.")
        try:
            yield ImageServices(host, registry, plan.parent_image, login.password)
        finally:
            remove_images(host, f"{registry}/")
    finally:
        server.stop()


def find_docker_host(environment: Mapping[str, str] = os.environ) -> str:
    """The address of the engine that answers.

    That of DOCKER_HOST, or of the context that `docker context use` has chosen:
    Docker Desktop has one of its own.

    Raises:
        ToolsMissingError: If none answers there.
    """
    host = environment.get("DOCKER_HOST") or _find_context_host()
    if not _is_answering(host):
        raise ToolsMissingError(
            f"No Docker engine answers at {host}. Start Docker Desktop, or the service: `sudo "
            "systemctl start docker`. For an engine at another address, set DOCKER_HOST."
        )
    return host


def remove_images(host: str, prefix: str, *, with_layers: bool = True) -> None:
    """Remove an engine's images of a registry.

    Args:
        host: Address of the engine.
        prefix: `host:port/` of the registry.
        with_layers: Whether layers that no other image has are removed too.
    """
    with suppress(docker.errors.DockerException):
        client = docker.DockerClient(base_url=host, timeout=_ENGINE_SECONDS)
        try:
            for image in client.images.list():
                names = [*image.tags, *image.attrs.get("RepoDigests", ())]
                for name in names:
                    if name.startswith(prefix):
                        with suppress(docker.errors.APIError):
                            client.images.remove(name, force=True, noprune=not with_layers)
        finally:
            client.close()


def _find_context_host() -> str:
    # A configuration file that names a context which is gone.
    with suppress(docker.errors.DockerException, OSError, ValueError, KeyError):
        context = ContextAPI.get_current_context()
        if context and context.Host:
            return str(context.Host)
    return _DEFAULT_HOST


def _is_answering(host: str) -> bool:
    with suppress(docker.errors.DockerException, RequestException):
        client = docker.DockerClient(base_url=host, timeout=_PROBE_SECONDS)
        try:
            return bool(client.ping())
        finally:
            client.close()
    return False
