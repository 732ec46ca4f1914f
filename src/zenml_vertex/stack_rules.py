"""Which stacks a Vertex AI job can work with, and what they make of a step's image."""

import platform
import sys

from zenml.client import Client
from zenml.config import DockerSettings
from zenml.stack import Stack

from zenml_vertex.job.images import ImagePlan


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


def find_stack_problem(stack: Stack) -> str | None:
    """What keeps jobs from working with a stack, with the cure; None if nothing does."""
    artifact_store = stack.artifact_store
    if artifact_store.config.is_local:
        return (
            "Vertex AI runs steps on Google's machines, which cannot read or write the local "
            f"artifact store `{artifact_store.name}`. Use one in a bucket: `zenml artifact-store "
            "register gcs --flavor=gcp --path=gs://BUCKET`, then `zenml stack update "
            f"{stack.name} -a gcs`."
        )
    registry = stack.container_registry
    register = (
        "`zenml container-registry register gar --flavor=gcp "
        "--uri=REGION-docker.pkg.dev/PROJECT/REPOSITORY`, then `zenml stack update "
        f"{stack.name} -c gar`."
    )
    if registry is None:
        return (
            "Vertex AI pulls the step's image from a container registry, and the stack has none. "
            f"Add one: {register}"
        )
    if registry.config.is_local:
        return (
            "Vertex AI pulls the step's image from a container registry, and cannot reach the "
            f"local one `{registry.name}` ({registry.config.uri}). Use one that it can: {register}"
        )
    if stack.image_builder is None:
        return (
            "The step's image has to be built, and the stack has no image builder. Add one: "
            "`zenml image-builder register local --flavor=local`, then `zenml stack update "
            f"{stack.name} -i local`."
        )
    return None
