"""A Docker engine, a registry and a base image, for the session.

They need root and Debian's packages, which `make docker-tools` installs, or a running engine.
Elsewhere these tests are skipped with a reason.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from tests.support.containers.services import CACHE, ContainerServices, open_container_services
from tests.support.emulators import NO_WAITING
from vertex_emulator import DockerRuntime, Job, LogStyle, VertexEmulator
from zenml_vertex.local_stack.processes.servers import ToolsMissingError


@pytest.fixture(scope="session")
def services() -> Iterator[ContainerServices]:
    """An engine, a registry and a parent image; those started here are removed at the end."""
    with tempfile.TemporaryDirectory() as logs:
        opened = open_container_services(CACHE, Path(logs), os.environ)
        try:
            found = opened.__enter__()
        except ToolsMissingError as error:
            pytest.skip(str(error))
        try:
            yield found
        finally:
            opened.__exit__(None, None, None)


@pytest.fixture
def engine(services: ContainerServices) -> Iterator[docker.DockerClient]:
    """A client of the engine; a test leaves no container behind."""
    client = docker.DockerClient(base_url=services.docker_host, timeout=300)
    before = {container.id for container in client.containers.list(all=True, ignore_removed=True)}
    yield client
    left = {
        container.id for container in client.containers.list(all=True, ignore_removed=True)
    } - before
    client.close()
    assert not left


@pytest.fixture
def emulator(services: ContainerServices, engine: docker.DockerClient) -> Iterator[VertexEmulator]:
    """An emulator that runs jobs in containers and has a secret in its environment."""
    del engine
    environ = {
        "DOCKER_HOST": services.docker_host,
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:1",
        "SECRET_OF_THE_EMULATOR": "s3cret",
    }
    runtime = DockerRuntime(environ, grace=1)
    # Its entries tell the streams apart.
    style = LogStyle("structured")
    with VertexEmulator(timings=NO_WAITING, runtime=runtime, log_style=style) as emulator:
        yield emulator


@pytest.fixture
def submit(emulator: VertexEmulator, services: ContainerServices) -> Callable[..., str]:
    """Create a job: `submit(*command, image=None, to=None, **container_spec)`; return its name."""

    def submit(
        *command: str, image: str | None = None, to: VertexEmulator | None = None, **spec: Any
    ) -> str:
        container = {"imageUri": image or services.parent_image, "command": command, **spec}
        pool = {
            "machineSpec": {"machineType": "n1-standard-4"},
            "replicaCount": "1",
            "containerSpec": {key: value for key, value in container.items() if value},
        }
        answer = requests.post(
            f"{(to or emulator).url}/v1/projects/my-project/locations/us-central1/customJobs",
            json={"displayName": "j", "jobSpec": {"workerPoolSpecs": [pool]}},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["name"])

    return submit


@pytest.fixture
def run(emulator: VertexEmulator, submit: Callable[..., str]) -> Callable[..., Job]:
    """Run a job to its end; the arguments are those of `submit`."""

    def run(*command: str, **given: Any) -> Job:
        return (given.get("to") or emulator).wait_for_state(submit(*command, **given), seconds=60)

    return run


@pytest.fixture
def push_image(services: ContainerServices) -> Callable[[str, str], str]:
    """Push an empty image for an architecture: `push_image(name, architecture)`.

    It is written straight into the registry, because no engine here could run it.
    """
    base = f"http://{services.registry}/v2"

    def put_blob(name: str, content: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        place = requests.post(f"{base}/{name}/blobs/uploads/", timeout=10).headers["Location"]
        sent = requests.put(place, params={"digest": digest}, data=content, timeout=10)
        assert sent.status_code == 201, sent.text
        return {"size": len(content), "digest": digest}

    def push_image(name: str, architecture: str) -> str:
        prefix = "application/vnd.docker"
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": []},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{prefix}.distribution.manifest.v2+json",
            "config": {
                "mediaType": f"{prefix}.container.image.v1+json",
                **put_blob(name, json.dumps(config).encode()),
            },
            "layers": [],
        }
        sent = requests.put(
            f"{base}/{name}/manifests/1",
            data=json.dumps(manifest),
            headers={"Content-Type": str(manifest["mediaType"])},
            timeout=10,
        )
        assert sent.status_code == 201, sent.text
        return f"{services.registry}/{name}:1"

    return push_image
