"""The parent image for remote orchestrators: examples/orchestrator/Dockerfile."""

from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import pytest

from tests.support.containers.base_image import pack
from tests.support.containers.services import ContainerServices
from tests.support.pages import ROOT

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

DOCKERFILE = "examples/orchestrator/Dockerfile"


def read_context() -> Iterator[Path]:
    """The files of a clone that the Dockerfile copies, and itself."""
    yield ROOT / DOCKERFILE
    for line in (ROOT / DOCKERFILE).read_text("utf-8").splitlines():
        command, *words = line.split() or [""]
        for copied in (ROOT / word for word in words[:-1] if command == "COPY"):
            yield from copied.rglob("*") if copied.is_dir() else [copied]


@pytest.fixture(scope="module")
def image(services: ContainerServices) -> Iterator[tuple[docker.DockerClient, str]]:
    """The image, built as its page says, and the engine that has it."""
    client = docker.DockerClient(base_url=services.docker_host, timeout=300)
    files = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in read_context()
        if path.is_file() and "__pycache__" not in path.parts
    }
    name = f"{services.registry}/orchestrator:1"
    try:
        client.images.build(
            fileobj=pack(files),
            custom_context=True,
            dockerfile=DOCKERFILE,
            buildargs={"PARENT_IMAGE": services.parent_image},
            tag=name,
            network_mode="host",
            rm=True,
        )
    except docker.errors.BuildError as error:
        pytest.fail("".join(str(line.get("stream", "")) for line in error.build_log))
    yield client, name
    client.images.remove(name, force=True)
    client.close()


def test_a_pod_can_submit_and_follow_jobs(
    image: tuple[docker.DockerClient, str], services: ContainerServices
) -> None:
    """The image has the operator as the flavor `vertex`, and Google's client beside ZenML.

    ZenML is the parent's, what it pins has not been replaced, and the client has bytecode.
    """
    client, name = image
    code = (
        "import importlib.util\n"
        "from pathlib import Path\n"
        "from importlib.metadata import entry_points, version\n"
        "print(version('zenml'), *entry_points(group='zenml.init_hooks').names)\n"
        "from zenml.integrations.gcp.flavors.vertex_step_operator_flavor import "
        "VertexStepOperatorFlavor\n"
        "print(VertexStepOperatorFlavor().implementation_class)\n"
        "import zenml.log_stores.otel.otel_log_store\n"
        "import zenml_vertex.cloud.connection\n"
        "origin = importlib.util.find_spec('google.cloud.aiplatform_v1').origin\n"
        "print(Path(importlib.util.cache_from_source(origin)).exists())\n"
    )
    command = ["sh", "-ec", f'uv pip check --quiet; python -c "{code}"']
    output = client.containers.run(name, command, remove=True, network_mode="host", stderr=True)
    in_parent = "from importlib.metadata import version; print(version('zenml'))"
    parent = client.containers.run(services.parent_image, ["python", "-c", in_parent], remove=True)
    assert output.decode().splitlines() == [
        f"{parent.decode().strip()} zenml_vertex",
        "<class 'zenml_vertex.steps.operator.VertexStepOperator'>",
        "True",
    ]
