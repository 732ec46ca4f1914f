"""`zenml-vertex demo` and `local-stack` with `--runtime docker`: images are built and run."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
import requests

from tests.support.containers.registry import provided_image
from tests.support.containers.services import ContainerServices
from tests.support.leftovers import find_processes
from zenml_vertex.local_stack.programs.registry import IMAGE

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1300)]

ROOT = Path(__file__).resolve().parents[2]
COMMAND = str(Path(sys.executable).with_name("zenml-vertex"))
# One minute on two idle cores; more than five were seen on a slow machine.
SECONDS = 1200


@pytest.fixture
def parent_image(services: ContainerServices, engine: docker.DockerClient) -> Iterator[str]:
    """A parent for step images, in an engine that also has a registry's image."""
    with provided_image(engine, IMAGE, services.parent_image, os.environ):
        yield services.parent_image


@contextmanager
def start(folder: Path, host: str | None, *command: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a command of a user with their own Docker engine, or without one."""
    environment = {**os.environ, "HOME": str(folder), "TMPDIR": str(folder)}
    environment.pop("DOCKER_HOST", None)
    if host:
        environment["DOCKER_HOST"] = host
    with subprocess.Popen(
        command, cwd=ROOT, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    """Return the output up to a line that contains a text."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"no {text!r} in\n{seen}")


def find_traces(client: docker.DockerClient, registry: str) -> list[str]:
    """Find a registry's traces in an engine: containers, volumes and names of images."""
    containers = [
        str(container.id) for container in client.containers.list(all=True, ignore_removed=True)
    ]
    volumes = [str(volume.id) for volume in client.volumes.list()]
    names = [name for image in client.images.list() for name in image.tags]
    return [*containers, *volumes, *(name for name in names if name.startswith(registry))]


def test_the_step_runs_in_the_image_that_was_built_for_it(
    tmp_path: Path, services: ContainerServices, engine: docker.DockerClient, parent_image: str
) -> None:
    """ZenML builds and pushes the image, the job pulls it by digest, and the engine keeps running.

    The demo starts its own registry, a container that is removed at the end.
    """
    demo = [COMMAND, "demo", "--runtime", "docker", "--parent-image", parent_image]
    with start(tmp_path, services.docker_host, *demo) as process:
        output = process.communicate(timeout=SECONDS)[0]
    assert process.returncode == 0, output
    registry = re.search(r"Container registry: (\S+)\.\n", output)
    assert registry
    assert registry[1] != services.registry
    assert (
        f"Building Docker image `{registry[1]}/zenml:digits-train-vertex_step_operator`" in output
    )
    assert re.search(rf"Image\(s\): {registry[1]}/zenml@sha256:[0-9a-f]{{64}}", output)
    assert re.search(r"SUCCEEDED +[0-9:.]+ UTC", output)
    assert "Model accuracy  99" in output
    assert engine.ping()
    assert find_traces(engine, registry[1]) == []
    assert find_processes(tmp_path) == []


def test_the_local_stack_has_what_builds_images(
    tmp_path: Path, services: ContainerServices, engine: docker.DockerClient, parent_image: str
) -> None:
    """`local-stack --runtime docker` opens a stack with a registry, where steps run in images.

    The images themselves are built by the demo, on the same stack.
    """
    # With it comes the registry's image.
    assert parent_image
    stack = [COMMAND, "local-stack", "--runtime", "docker", "zenml", "stack", "describe"]
    with start(tmp_path, services.docker_host, *stack) as process:
        output = process.communicate(timeout=SECONDS)[0]
    assert process.returncode == 0, output
    registry = re.search(r"Container registry: (\S+)\.\n", output)
    assert registry
    assert re.search(r"CONTAINER_REGISTRY\W+gar", output), output
    assert find_traces(engine, registry[1]) == []
    assert find_processes(tmp_path) == []


def test_an_interrupted_job_leaves_no_container(
    tmp_path: Path, services: ContainerServices, engine: docker.DockerClient, parent_image: str
) -> None:
    """Ctrl-C while the job runs cancels it and removes containers, image and processes."""
    demo = [COMMAND, "demo", "--runtime", "docker", "--parent-image", parent_image]
    with start(tmp_path, services.docker_host, *demo) as process:
        seen = read_until(process, ": submitted as ")
        process.send_signal(signal.SIGINT)
        output = seen + process.communicate(timeout=SECONDS)[0]
    assert process.returncode == 130, output
    registry = re.search(r"Container registry: (\S+)\.\n", output)
    assert registry
    assert find_traces(engine, registry[1]) == []
    assert find_processes(tmp_path) == []


def test_a_demo_that_is_killed_leaves_no_registry(
    tmp_path: Path, services: ContainerServices, engine: docker.DockerClient, parent_image: str
) -> None:
    """The registry's container ends with the demo, even if the demo was killed.

    As long as it runs, it asks for a password: any user of the machine could replace an image.
    """
    demo = [COMMAND, "demo", "--runtime", "docker", "--parent-image", parent_image]
    with start(tmp_path, services.docker_host, *demo) as process:
        registry = read_until(process, "Container registry: ").rpartition(" ")[2].rstrip(".\n")
        (container,) = engine.containers.list(ignore_removed=True)
        assert container.attrs["Config"]["Image"] == IMAGE
        for method in ("GET", "POST"):
            url = f"http://{registry}/v2/zenml/blobs/uploads/"
            assert requests.request(method, url, timeout=10).status_code == 401
        process.kill()
        container.wait(condition="removed", timeout=60)
    assert find_traces(engine, registry) == []


def test_an_interrupted_start_leaves_no_engine(tmp_path: Path, services: ContainerServices) -> None:
    """Ctrl-C during `make demo-docker`, while the base image is being made, leaves nothing.

    The engine that it started, its mounts and its folder are removed.
    """
    if not services.is_engine_started_here:
        pytest.skip("an engine answers on this machine, so that none is started")
    demo = [sys.executable, "-m", "tests.support.containers"]
    with start(tmp_path, None, *demo) as process:
        seen = read_until(process, "Making the base image")
        process.send_signal(signal.SIGINT)
        output = seen + process.communicate(timeout=SECONDS)[0]
    assert process.returncode == 130, output
    socket = re.search(r"Docker engine: unix://(\S+)/docker.sock \(started here\)", output)
    assert socket
    assert not Path(socket[1]).exists()
    assert socket[1] not in Path("/proc/self/mountinfo").read_text("utf-8")
    assert find_processes(socket[1]) == []
    assert find_processes(tmp_path) == []
