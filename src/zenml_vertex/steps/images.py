"""The images of steps: what ZenML builds, what will go wrong with it, and which one it built."""

import platform
import shlex
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from zenml.client import Client
from zenml.config import DockerSettings
from zenml.config.build_configuration import BuildConfiguration
from zenml.config.docker_settings import PythonEnvironmentExportMethod, PythonPackageInstaller

from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.foreign_text import clean_sentence, presentable
from zenml_vertex.installation import NAME, module_command
from zenml_vertex.job.images import ImagePlan, advise_image
from zenml_vertex.steps.own_package import find_image_parts

if TYPE_CHECKING:
    from zenml.config.step_configurations import Step
    from zenml.config.step_run_info import StepRunInfo

    from zenml_vertex.job.fields import JobFields

# The built-in operator's key, so that an image it has built is found again.
DOCKER_IMAGE_KEY = "vertex_step_operator"
# How ZenML lists the packages of this machine for an image -> the same without this package,
# which such a list would name by its version, for any index to answer.
_PIP_FREEZE = ["pip", "freeze", "--exclude", NAME]
# ZenML hands the words to a shell as they are.
_UV_FREEZE = [shlex.quote(word) for word in module_command("zenml_vertex.steps.uv_freeze")]
_FREEZES = {
    True: _PIP_FREEZE,
    PythonEnvironmentExportMethod.PIP_FREEZE: _PIP_FREEZE,
    PythonEnvironmentExportMethod.UV_FREEZE: _UV_FREEZE,
}
# uv's option, which pip has by default: without bytecode, each start of a container compiles what
# it imports.
_COMPILE = "compile-bytecode"
_COMPILE_OPTIONS = {_COMPILE, f"no-{_COMPILE}", "compile", "no-compile"}
_COMPILE_VARIABLES = {"UV_COMPILE_BYTECODE", "PYTHONDONTWRITEBYTECODE"}


def build_configurations(
    steps: Mapping[str, "Step"], *, makes_images: bool = True
) -> list[BuildConfiguration]:
    """One image per step, with this package in it.

    Args:
        steps: Name of a step -> its configuration.
        makes_images: Whether the stack's image builder makes images.
    """
    return [
        _build_one(name, step.config.docker_settings, makes_images=makes_images)
        for name, step in steps.items()
    ]


def is_making_images() -> bool:
    """Whether the active stack's image builder makes images; that of the local stack says no."""
    return bool(getattr(Client().active_stack.image_builder, "makes_images", True))


def _build_one(name: str, settings: DockerSettings, *, makes_images: bool) -> BuildConfiguration:
    replicated = settings.replicate_local_python_environment
    # ZenML takes a list of words as well, which is the user's own command.
    freeze = None if isinstance(replicated, list) else _FREEZES.get(replicated or False)
    if freeze:
        settings = settings.model_copy(update={"replicate_local_python_environment": freeze})
    settings = _with_bytecode(settings)
    # Like the requirements: whoever installs none brings this package along.
    # Where nothing is to be put into an image, ZenML has a container engine push its parent.
    has_package = settings.install_stack_requirements or freeze or not makes_images
    return BuildConfiguration(
        key=DOCKER_IMAGE_KEY,
        settings=settings,
        step_name=name,
        extra_files=find_image_parts().files if has_package else {},
    )


def _with_bytecode(settings: DockerSettings) -> DockerSettings:
    """Settings of a build that compiles what it installs, unless they decide about it."""
    arguments = settings.python_package_installer_args
    environment = {**settings.environment, **settings.runtime_environment}
    variables = {name.upper() for name in environment}
    if (
        settings.skip_build
        or settings.python_package_installer != PythonPackageInstaller.UV
        or not _COMPILE_OPTIONS.isdisjoint(arguments)
        or not _COMPILE_VARIABLES.isdisjoint(variables)
    ):
        return settings
    return settings.model_copy(
        update={"python_package_installer_args": {**arguments, _COMPILE: None}}
    )


def advise_step_image(step: "Step", job: "JobFields") -> Iterator[str]:
    """What will probably go wrong with the image of a step; one paragraph each.

    Args:
        step: The step's configuration.
        job: What the step asks for.
    """
    return advise_image(describe_image(step.config.docker_settings), job)


def describe_image(settings: DockerSettings) -> ImagePlan:
    """What is known of a step's image before the active stack builds it."""
    builder = Client().active_stack.image_builder
    options = settings.build_config.build_options if settings.build_config else None
    return ImagePlan(
        parent_image=settings.parent_image,
        has_dockerfile=bool(settings.dockerfile),
        is_built_here=bool(builder and builder.is_building_locally and not settings.skip_build),
        platform=str((options.model_dump() if options else {}).get("platform") or "") or None,
        python=sys.version_info[:2],
        machine=platform.machine(),
    )


def find_image(info: "StepRunInfo") -> str:
    """The image of a step.

    Raises:
        VertexStepOperatorError: If none was built, and none is named.
    """
    docker_settings = info.config.docker_settings
    if docker_settings.skip_build and docker_settings.parent_image:
        # A dynamic pipeline may have no build at all then, and ZenML asks for one.
        return docker_settings.parent_image
    try:
        return info.get_image(key=DOCKER_IMAGE_KEY)
    except (KeyError, RuntimeError) as error:
        if info.snapshot.build is None and info.snapshot.is_dynamic:
            # ZenML says that the build was probably deleted.
            said = "ZenML has built no image for this pipeline run."
        else:
            said = clean_sentence(str(error.args[0] if error.args else error))
        raise VertexStepOperatorError(
            f"No image for step `{info.pipeline_step_name}`: {said} In a dynamic pipeline, name "
            "the step in `@pipeline(depends_on=[...])` so that its image is built."
        ) from presentable(error)
