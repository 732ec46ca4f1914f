"""Registers the stack with a ZenML server, over its REST API.

Each command of ZenML's CLI imports ZenML again and takes seconds; this sends what they
send:

    zenml image-builder flavor register zenml_vertex.local_stack.image_builder...
    zenml artifact-store register gcs --flavor=gcp --path=gs://BUCKET
    zenml container-registry register gar --flavor=gcp --uri=...
    zenml image-builder register no-image --flavor=no-image --folder=...
    zenml step-operator register vertex --flavor=vertex --project=... --region=...
    zenml stack register STACK -o default -a gcs -c gar -i no-image -s vertex

The flavor `vertex` needs no registration: an installed zenml-vertex is it.
"""

from dataclasses import dataclass
from typing import Any

from zenml_vertex.local_stack.views.zenml import ZenMLRecords

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
        image_dir: Folder where the emulator finds what images would carry that are not built.
    """

    project: str = "demo-project"
    region: str = "europe-west4"
    bucket: str = "demo-artifacts"
    step_operator: str = "vertex"
    registry_uri: str = ""
    image_dir: str = ""

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


# As in `image_builder`, which imports ZenML.
_BUILDER = "no-image"
_BUILDER_SOURCE = "zenml_vertex.local_stack.image_builder.NoImageBuilderFlavor"


def register_stack(server: ZenMLRecords, plan: StackPlan) -> Registered:
    """Register the components and the stack.

    Raises:
        RecordsError: If the server refuses.
        OSError: If it does not answer.
    """
    flavor = {
        "name": _BUILDER,
        "type": "image_builder",
        "source": _BUILDER_SOURCE,
        "config_schema": {"type": "object", "properties": {"folder": {"type": "string"}}},
        "integration": "custom",
        "is_custom": True,
    }
    server.create("/flavors", flavor)
    components: list[tuple[str, str, str, dict[str, str]]] = [
        ("artifact_store", "gcs", "gcp", {"path": f"gs://{plan.bucket}"}),
        ("container_registry", "gar", "gcp", {"uri": plan.registry}),
    ]
    if plan.registry_uri:
        components.append(("image_builder", "local", "local", {}))
    else:
        components.append(("image_builder", _BUILDER, _BUILDER, {"folder": plan.image_dir}))
    if plan.step_operator:
        place = {"project": plan.project, "region": plan.region}
        components.append(("step_operator", plan.step_operator, "vertex", place))
    orchestrator = _find_one(server, "/components", type="orchestrator", name="default")
    members = {"orchestrator": [orchestrator["id"]]}
    for kind, name, flavor_name, configuration in components:
        component = {
            "name": name,
            "type": kind,
            "flavor": flavor_name,
            "configuration": configuration,
        }
        members[kind] = [server.create("/components", component)["id"]]
    stack = server.create("/stacks", {"name": STACK_NAME, "components": members})
    vertex = _find_one(server, "/flavors", type="step_operator", name="vertex")
    return Registered(stack["id"], vertex["body"]["source"])


def _find_one(server: ZenMLRecords, path: str, **query: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = server.fetch(path, query)["items"]
    return found[0]
