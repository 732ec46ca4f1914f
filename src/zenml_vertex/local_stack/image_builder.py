"""An image builder that builds nothing.

The emulator's process runtime runs a job with this machine's Python and pulls no
image. With this component in the stack, a pipeline needs no settings for that: the
same file runs on Google Cloud.
"""

from typing import TYPE_CHECKING

from zenml.image_builders import (
    BaseImageBuilder,
    BaseImageBuilderConfig,
    BaseImageBuilderFlavor,
)
from zenml.logger import get_logger

if TYPE_CHECKING:
    from zenml.config.docker_settings import DockerBuildOptions
    from zenml.container_registries import BaseContainerRegistry
    from zenml.image_builders import BuildContext

logger = get_logger(__name__)

FLAVOR_NAME = "no-image"


class NoImageBuilder(BaseImageBuilder):
    """Returns the name of an image without building it."""

    @property
    def is_building_locally(self) -> bool:
        """Whether builds need a container engine on this machine; these do not."""
        return False

    def build(
        self,
        image_name: str,
        build_context: "BuildContext",
        docker_build_options: "DockerBuildOptions | None" = None,
        container_registry: "BaseContainerRegistry | None" = None,
    ) -> str:
        """Return the name that the image would have."""
        del build_context, docker_build_options, container_registry
        logger.info("No image is built: the job runs with this machine's Python.")
        return image_name


class NoImageBuilderFlavor(BaseImageBuilderFlavor):
    """What ZenML reads to load the builder."""

    @property
    def name(self) -> str:
        """Name of the flavor."""
        return FLAVOR_NAME

    @property
    def config_class(self) -> type[BaseImageBuilderConfig]:
        """There is nothing to configure."""
        return BaseImageBuilderConfig

    @property
    def implementation_class(self) -> type[NoImageBuilder]:
        """The builder."""
        return NoImageBuilder
