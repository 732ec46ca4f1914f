"""What is refused before anything is built, and what is accepted: writes `results.json`.

`KEY_FILE` and `EMULATOR_URL` are in the environment.
"""

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from zenml import CommandStep, pipeline
from zenml.client import Client
from zenml.config import DockerSettings, ResourceSettings
from zenml.enums import StackComponentType as Kind
from zenml.pipelines.pipeline_definition import Pipeline
from zenml.stack import Stack

from zenml_vertex import VertexStepOperatorSettings

Parts = dict[Kind, str | list[str]]
# Flavor and URI.
REGISTRIES = {
    "localhost": ("default", "localhost:5000"),
    "gcr": ("gcp", "eu.gcr.io/demo-project"),
    "artifact-registry": ("gcp", "us-docker.pkg.dev/demo-project/zenml"),
    "docker-hub": ("dockerhub", "docker.io/team"),
    "company": ("default", "registry.example.com/team"),
}
results: dict[str, str] = {}


def note(name: str, attempt: Callable[[], object]) -> None:
    """Note the error of an attempt, or the empty text if it succeeds."""
    try:
        attempt()
    except Exception as error:  # noqa: BLE001 - whatever it says is the result
        results[name] = str(error) or type(error).__name__
    else:
        results[name] = ""


def make_step(name: str, **arguments: object) -> CommandStep:
    """Make a step that does nothing, on the stack's step operator."""
    return CommandStep(["true"], name=name, step_operator=True, **arguments)


def static_pipeline(step: CommandStep) -> Pipeline:
    """A static pipeline of one step."""

    @pipeline(enable_cache=False)
    def static() -> None:
        step()

    return static


def run_static(step: CommandStep) -> None:
    """Run a step in a static pipeline."""
    static_pipeline(step)()


@pipeline(dynamic=True, enable_cache=False)
def unbuilt() -> None:
    """Do nothing; no image is built for this step."""
    make_step("unbuilt")()


@pipeline(dynamic=True, enable_cache=False)
def prebuilt() -> None:
    """Do nothing; this step names its image and needs no build."""
    docker = DockerSettings(skip_build=True, parent_image="europe-docker.pkg.dev/p/r/i:1")
    make_step("prebuilt", settings={"docker": docker})()


def try_stacks(client: Client, parts: Parts) -> None:
    """Try a stack with each registry, and stacks with missing components."""
    for name, (flavor, uri) in REGISTRIES.items():
        client.create_stack_component(name, flavor, Kind.CONTAINER_REGISTRY, {"uri": uri})
    stacks: dict[str, Parts] = {
        **{name: {**parts, Kind.CONTAINER_REGISTRY: name} for name in REGISTRIES},
        "local-store": {**parts, Kind.ARTIFACT_STORE: "default"},
        "no-registry": {k: v for k, v in parts.items() if k != Kind.CONTAINER_REGISTRY},
    }
    for name, components in stacks.items():
        stack = client.create_stack(f"refusals-{name}", components)
        note(name, Stack.from_model(stack).validate)


def try_settings() -> None:
    """Try incomplete GPU requests."""
    type_alone = VertexStepOperatorSettings(accelerator_type="NVIDIA_TESLA_T4")
    gpu = {"resources": ResourceSettings(gpu_count=2)}
    note("gpu-without-type", lambda: run_static(make_step("train", settings=gpu)))
    settings = {"step_operator": type_alone}
    note("type-without-count", lambda: run_static(make_step("train", settings=settings)))
    unknown: Any = {"machine_typ": "n1-standard-4"}
    note("unknown-setting", lambda: VertexStepOperatorSettings(**unknown))
    wrong: dict[str, Any] = {"boot_disk_size_gb": "big", "region": False, "lingering_second": 1}
    in_yaml = {"step_operator": wrong, **gpu}
    note("wrong-step", lambda: run_static(make_step("train", settings=in_yaml)))
    in_pipeline = static_pipeline(make_step("train")).with_options(
        settings={"step_operator": {"project": 123456789012}}
    )
    note("wrong-pipeline", in_pipeline)
    component = {"region": "europe-west4", "boot_disk_size_gb": "big"}
    register = partial(Client().create_stack_component, "wrong", "vertex", Kind.STEP_OPERATOR)
    note("wrong-component", lambda: register(component))


def run_one(name: str) -> None:
    """Run a pipeline of one step."""
    run_static(make_step(name))


def try_connectors(client: Client, parts: Parts) -> None:
    """Try step operators with a service connector, one of them for another project."""
    configuration = {
        "project_id": "demo-project",
        "service_account_json": Path(os.environ["KEY_FILE"]).read_text("utf-8"),
    }
    created = client.create_service_connector(
        "gcp",
        "gcp",
        resource_type="gcp-generic",
        auth_method="service-account",
        configuration=configuration,
    )
    connector: Any = created[0]
    for name, project in (
        ("connected", {}),
        ("torn", {"project": "another-project"}),
    ):
        place = {"region": "europe-west4", "api_endpoint": os.environ["EMULATOR_URL"], **project}
        client.create_stack_component(name, "vertex", Kind.STEP_OPERATOR, place)
        client.update_stack_component(name, Kind.STEP_OPERATOR, connector_id=connector.id)
        stack = client.create_stack(f"refusals-{name}", {**parts, Kind.STEP_OPERATOR: name})
        os.environ["ZENML_ACTIVE_STACK_ID"] = str(stack.id)
        note(name, partial(run_one, name))


def main() -> None:
    """Make all attempts, with the builds last."""
    client = Client()
    parts: Parts = {
        kind: str(found[0].id) for kind, found in client.active_stack_model.components.items()
    }
    try_stacks(client, parts)
    try_settings()
    sys.stdout.write("refused until here\n")
    note("unbuilt", unbuilt)
    note("prebuilt", prebuilt)
    try_connectors(client, parts)
    Path("results.json").write_text(json.dumps(results), "utf-8")


if __name__ == "__main__":
    main()
