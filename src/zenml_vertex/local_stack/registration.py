"""Registers the stack with a ZenML server, in a process of its own.

Each command of ZenML's CLI imports ZenML again and takes seconds; these are their
Python equals:

    zenml image-builder flavor register zenml_vertex.local_stack.image_builder...
    zenml artifact-store register gcs --flavor=gcp --path=gs://BUCKET
    zenml container-registry register gar --flavor=gcp --uri=...
    zenml image-builder register no-image --flavor=no-image
    zenml step-operator register vertex --flavor=vertex --project=... --region=...
    zenml stack register STACK -o default -a gcs -c gar -i no-image -s vertex --set

The flavor `vertex` needs no registration: an installed zenml-vertex is it.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

STACK_NAME = "local-vertex"


@dataclass(frozen=True, slots=True)
class StackPlan:
    """What the components are registered with.

    Args:
        project: Project ID, made up.
        region: Region of the jobs.
        bucket: Bucket of the artifact store; it exists.
        step_operator: Name of the step operator; empty for a stack without one.
        registry_uri: Registry that images are pushed to; empty for none, where no
            image is built.
    """

    project: str = "demo-project"
    region: str = "europe-west4"
    bucket: str = "demo-artifacts"
    step_operator: str = "vertex"
    registry_uri: str = ""

    @property
    def registry(self) -> str:
        """URI of the container registry."""
        return self.registry_uri or f"{self.region}-docker.pkg.dev/{self.project}/zenml"

    def describe(self) -> str:
        """The stack in one line, for people."""
        step_operator = (
            f"step operator {self.step_operator} in {self.project}, {self.region}"
            if self.step_operator
            else "no step operator"
        )
        return (
            f"orchestrator local, artifact store gs://{self.bucket}, container registry "
            f"{self.registry}, {step_operator}"
        )


@dataclass(frozen=True, slots=True)
class Registered:
    """What was registered.

    Args:
        stack_id: ID of the stack.
        flavor_source: Where the server says that the flavor `vertex` comes from.
    """

    stack_id: str
    flavor_source: str


def register_stack(plan: StackPlan) -> Registered:
    """Register the components and the stack, and make it the active one."""
    from zenml.client import Client
    from zenml.enums import StackComponentType

    from zenml_vertex.local_stack import image_builder

    client = Client()
    client.create_flavor(image_builder.FLAVOR_SOURCE, StackComponentType.IMAGE_BUILDER)
    components: list[tuple[StackComponentType, str, str, dict[str, str]]] = [
        (StackComponentType.ARTIFACT_STORE, "gcs", "gcp", {"path": f"gs://{plan.bucket}"}),
        (StackComponentType.CONTAINER_REGISTRY, "gar", "gcp", {"uri": plan.registry}),
    ]
    builder = ("local", "local") if plan.registry_uri else ("no-image", image_builder.FLAVOR_NAME)
    components.append((StackComponentType.IMAGE_BUILDER, *builder, {}))
    if plan.step_operator:
        place = {"project": plan.project, "region": plan.region}
        components.append((StackComponentType.STEP_OPERATOR, plan.step_operator, "vertex", place))
    for kind, name, flavor, configuration in components:
        client.create_stack_component(name, flavor, kind, configuration)
    stack = client.create_stack(
        STACK_NAME,
        {
            StackComponentType.ORCHESTRATOR: "default",
            **{kind: name for kind, name, _, _ in components},
        },
    )
    client.activate_stack(stack.id)
    vertex = client.get_flavor_by_name_and_type("vertex", StackComponentType.STEP_OPERATOR)
    return Registered(str(stack.id), vertex.source)


def build_command(plan: StackPlan, result: Path) -> list[str]:
    """The command that registers a stack and writes what it did to a file."""
    return [
        sys.executable,
        "-m",
        __name__,
        plan.project,
        plan.region,
        plan.bucket,
        plan.step_operator,
        plan.registry_uri,
        str(result),
    ]


def read_result(result: Path) -> Registered:
    """What the command has written."""
    return Registered(**json.loads(result.read_text("utf-8")))


def main() -> None:
    """Register what the command line says."""
    *plan, result = sys.argv[1:]
    registered = register_stack(StackPlan(*plan))
    content = {"stack_id": registered.stack_id, "flavor_source": registered.flavor_source}
    Path(result).write_text(json.dumps(content), "utf-8")


if __name__ == "__main__":
    main()
