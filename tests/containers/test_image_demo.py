"""`zenml-vertex demo --runtime docker`: an image is built, pushed, pulled and run."""

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

from tests.support.leftovers import find_processes
from zenml_vertex.local_stack.docker.images import ImageGround

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

COMMAND = str(Path(sys.executable).with_name("zenml-vertex"))
# One minute on two cores that nobody else uses.
SECONDS = 400


@contextmanager
def start_demo(folder: Path, cache: Path, host: str | None) -> Iterator["subprocess.Popen[str]"]:
    """The demo of a user without an engine of their own, or with one."""
    environment = {**os.environ, "HOME": str(folder), "TMPDIR": str(folder)}
    environment.pop("DOCKER_HOST", None)
    if host:
        environment["DOCKER_HOST"] = host
    with subprocess.Popen(
        [COMMAND, "demo", "--runtime", "docker", "--cache-dir", str(cache)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    """The output up to a line that contains a text."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"no {text!r} in\n{seen}")


def find_traces(client: docker.DockerClient, registry: str) -> list[str]:
    """What an engine still has of a registry: containers, and names of images."""
    containers = [str(container.id) for container in client.containers.list(all=True)]
    names = [name for image in client.images.list() for name in image.tags]
    return [*containers, *(name for name in names if name.startswith(registry))]


def test_the_step_runs_in_the_image_that_was_built_for_it(
    tmp_path: Path, cache: Path, ground: ImageGround, engine: docker.DockerClient
) -> None:
    """Built by ZenML, pushed, pulled by its digest and run; the engine that was there stays."""
    with start_demo(tmp_path, cache, ground.docker_host) as process:
        output = process.communicate(timeout=SECONDS)[0]
    assert process.returncode == 0, output
    registry = re.search(r"Container registry: (\S+)\.\n", output)
    assert registry
    assert (
        f"Building Docker image `{registry[1]}/zenml:digits-train-vertex_step_operator`" in output
    )
    assert re.search(rf"Image\(s\): {registry[1]}/zenml@sha256:[0-9a-f]{{64}}", output)
    assert re.search(r"SUCCEEDED +[0-9:.]+ UTC", output)
    assert "Model accuracy  99" in output
    assert "(started here)" not in output
    assert engine.ping()
    assert find_traces(engine, registry[1]) == []
    assert find_processes(tmp_path) == []


def test_an_interrupted_job_leaves_no_container(
    tmp_path: Path, cache: Path, ground: ImageGround, engine: docker.DockerClient
) -> None:
    """A Ctrl-C while the job runs cancels it; container, image and processes are gone."""
    with start_demo(tmp_path, cache, ground.docker_host) as process:
        seen = read_until(process, ": PENDING.")
        process.send_signal(signal.SIGINT)
        output = seen + process.communicate(timeout=SECONDS)[0]
    assert process.returncode == 130, output
    registry = re.search(r"Container registry: (\S+)\.\n", output)
    assert registry
    assert find_traces(engine, registry[1]) == []
    assert find_processes(tmp_path) == []


def test_an_interrupted_start_leaves_no_engine(
    tmp_path: Path, cache: Path, ground: ImageGround
) -> None:
    """A Ctrl-C while the base image is made: its own engine, its mounts and folder are gone."""
    if not ground.is_engine_ours:
        pytest.skip("an engine answers on this machine, so the demo starts none")
    with start_demo(tmp_path, cache, None) as process:
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
