"""Which stacks a Vertex AI job can work with."""

from zenml.stack import Stack


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
