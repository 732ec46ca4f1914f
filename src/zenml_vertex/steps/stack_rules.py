"""Which stacks a Vertex AI job can work with."""

from zenml.stack import Stack

from zenml_vertex.foreign_text import clean_line, shell_word


def find_stack_problem(stack: Stack) -> str | None:
    """What keeps jobs from working with a stack, with the cure; None if nothing does."""
    artifact_store = stack.artifact_store
    update = f"zenml stack update {shell_word(stack.name, stack.id)}"
    if artifact_store.config.is_local:
        return (
            "Vertex AI runs steps on Google's machines, which cannot read or write the local "
            f"artifact store `{clean_line(artifact_store.name)}`. Use one in a bucket: `zenml "
            "artifact-store register gcs --flavor=gcp --path=gs://BUCKET`, then "
            f"`{update} -a gcs`."
        )
    registry = stack.container_registry
    register = (
        "`zenml container-registry register gar --flavor=gcp "
        "--uri=REGION-docker.pkg.dev/PROJECT/REPOSITORY`, then "
        f"`{update} -c gar`."
    )
    if registry is None:
        return (
            "Vertex AI pulls the step's image from a container registry, and the stack has none. "
            f"Add one: {register}"
        )
    if registry.config.is_local:
        return (
            "Vertex AI pulls the step's image from a container registry, and cannot reach the "
            f"local one `{clean_line(registry.name)}` ({clean_line(registry.config.uri)}). Use one "
            f"that it can: {register}"
        )
    if stack.image_builder is None:
        return (
            "The step's image has to be built, and the stack has no image builder. Add one: "
            "`zenml image-builder register local --flavor=local`, then "
            f"`{update} -i local`."
        )
    return None
