"""An image builder that builds nothing.

The emulator's process runtime runs a job with this machine's Python and pulls no
image. With this component in the stack, a pipeline needs no settings for that: the
same file runs on Google Cloud. What an image would carry of the step, the variables of its
DockerSettings and the code in it, is left for the emulator; what is missing is a warning.
"""

import platform
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

from zenml.client import Client
from zenml.image_builders import (
    BaseImageBuilder,
    BaseImageBuilderConfig,
    BaseImageBuilderFlavor,
    BuildContext,
)
from zenml.io import fileio
from zenml.logger import get_logger

from zenml_vertex.local_stack.image_contents import leave_contents, read_environment
from zenml_vertex.local_stack.image_shortfalls import (
    describe_missing,
    describe_unmet,
    join_words,
)

if TYPE_CHECKING:
    from typing import Any

    from zenml.config import DockerSettings
    from zenml.config.build_configuration import BuildConfiguration
    from zenml.config.docker_settings import DockerBuildOptions
    from zenml.container_registries import BaseContainerRegistry
    from zenml.models import PipelineSnapshotBase

logger = get_logger(__name__)

FLAVOR_NAME = "no-image"
_DOCKERFILE = "Dockerfile"


class NoImageBuilderConfig(BaseImageBuilderConfig):
    """Where the builder leaves what images would carry."""

    folder: str = ""
    """The folder that the emulator takes images from; empty for none."""


class NoImageBuildContext(BuildContext):
    """The files of an image that is not built."""

    # Whether ZenML has written the Dockerfile; otherwise it is the user's.
    is_of_zenml = False

    def add_file(self, source: str, destination: str) -> None:
        """Add a file, by its path or by its content."""
        if destination == _DOCKERFILE:
            self.is_of_zenml = not fileio.exists(source)
        super().add_file(source, destination)


class NoImageBuilder(BaseImageBuilder):
    """Returns the name of an image without building it."""

    makes_images = False
    """Whether there is an image afterwards; other builders do not say."""

    def __init__(self, *args: "Any", **kwargs: "Any") -> None:
        super().__init__(*args, **kwargs)
        # The steps that were looked at, each with its Docker settings.
        self._seen: set[tuple[str, str]] = set()

    @property
    def config(self) -> NoImageBuilderConfig:
        """What the component was registered with."""
        return cast("NoImageBuilderConfig", self._config)

    @property
    def build_context_class(self) -> type[BuildContext]:
        """What collects the files of an image."""
        return NoImageBuildContext

    @property
    def is_building_locally(self) -> bool:
        """Whether builds need a container engine on this machine; these do not."""
        return False

    def get_docker_builds(self, snapshot: "PipelineSnapshotBase") -> "list[BuildConfiguration]":
        """No build of its own; warns of what steps would only have with an image.

        ZenML asks each component, also where it uses a build that it has already.

        Raises:
            FileNotFoundError: If a file of requirements does not exist.
            RuntimeError: If requirements cannot be read from a pyproject.toml.
        """
        steps: dict[str, list[str]] = defaultdict(list)
        settings: dict[str, DockerSettings] = {}
        for name, step in snapshot.step_configurations.items():
            own = step.config.docker_settings
            key = own.model_dump_json()
            if step.config.step_operator and (name, key) not in self._seen:
                self._seen.add((name, key))
                settings[key] = own
                steps[key].append(name)
        for key, names in steps.items():
            who = f"Step{'s' if names[1:] else ''} {join_words([f'`{name}`' for name in names])}"
            for text in (
                describe_missing(settings[key], platform.python_version()),
                describe_unmet(settings[key], Client().active_stack),
            ):
                if text:
                    logger.warning("%s: %s", who, text)
        return super().get_docker_builds(snapshot)

    def build(
        self,
        image_name: str,
        build_context: BuildContext,
        docker_build_options: "DockerBuildOptions | None" = None,
        container_registry: "BaseContainerRegistry | None" = None,
    ) -> str:
        """Leave what the image would carry for the emulator, and return the image's name.

        Raises:
            ValueError: If Docker could not read the Dockerfile.
            OSError: If the files cannot be copied.
        """
        del docker_build_options, container_registry
        logger.info("No image is built: the job runs with this machine's Python.")
        is_of_zenml = isinstance(build_context, NoImageBuildContext) and build_context.is_of_zenml
        if not is_of_zenml or not self.config.folder:
            return image_name
        environment = read_environment(build_context.get_extra_files()[_DOCKERFILE])
        # Without the extra files: they are the Dockerfile, lists of requirements, and this
        # package, which this Python has already.
        files = build_context.get_files()
        digest = leave_contents(Path(self.config.folder), environment, files)
        # As ZenML names an image that it has pushed: by its digest, without the tag.
        return f"{image_name.rpartition(':')[0]}@sha256:{digest}"


class NoImageBuilderFlavor(BaseImageBuilderFlavor):
    """What ZenML reads to load the builder."""

    @property
    def name(self) -> str:
        """Name of the flavor."""
        return FLAVOR_NAME

    @property
    def config_class(self) -> type[NoImageBuilderConfig]:
        """What can be configured."""
        return NoImageBuilderConfig

    @property
    def implementation_class(self) -> type[NoImageBuilder]:
        """The builder."""
        return NoImageBuilder
