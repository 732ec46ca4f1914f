"""What is built for a step, as far as it is not this package."""

import pytest
from zenml.config import DockerSettings
from zenml.config.docker_settings import PythonPackageInstaller
from zenml.utils.pipeline_docker_image_builder import PipelineDockerImageBuilder

from tests.support.compiled_steps import make_step
from zenml_vertex.steps.images import build_configurations

_REQUIREMENTS: tuple[str, str, list[str]] = ("requirements.txt", "torch", [])


def write_dockerfile(settings: DockerSettings) -> str:
    """The Dockerfile that ZenML writes for a step with these settings."""
    (build,) = build_configurations({"train": make_step(settings)})
    return PipelineDockerImageBuilder._generate_zenml_pipeline_dockerfile(
        "zenmldocker/zenml", build.settings, [_REQUIREMENTS]
    )


def test_what_a_build_installs_is_compiled() -> None:
    """Without an option uv compiles nothing, and each start of a container takes seconds longer."""
    settings = DockerSettings(python_package_installer_args={"index-strategy": "first-index"})
    assert (
        "RUN uv pip install --no-cache-dir --index-strategy=first-index --compile-bytecode "
        "-r requirements.txt"
    ) in write_dockerfile(settings)


@pytest.mark.parametrize(
    "settings",
    [
        DockerSettings(python_package_installer=PythonPackageInstaller.PIP),
        DockerSettings(python_package_installer_args={"no-compile-bytecode": None}),
        DockerSettings(python_package_installer_args={"compile": None}),
        DockerSettings(environment={"uv_compile_bytecode": "0"}),
        DockerSettings(environment={"PYTHONDONTWRITEBYTECODE": "1"}),
        DockerSettings(runtime_environment={"PYTHONDONTWRITEBYTECODE": "1"}),
        DockerSettings(parent_image="an/image", skip_build=True),
    ],
)
def test_who_decides_about_bytecode_is_left_alone(settings: DockerSettings) -> None:
    """An option or a variable of the user's stays the only one, and pip gets no option of uv's."""
    (build,) = build_configurations({"train": make_step(settings)})
    assert build.settings == settings
