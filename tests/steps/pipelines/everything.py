"""Every setting of a step over every setting of its component.

`FIRST_KEY_FILE`, `SECOND_KEY_FILE` and `EMULATOR_URL` are set in the client's environment. They
are not set in the container, where this module is imported too.
"""

import os
import sys
from pathlib import Path

from zenml import CommandStep, pipeline, step
from zenml.client import Client
from zenml.config import ResourceSettings
from zenml.enums import StackComponentType
from zenml.integrations.gcp.flavors import vertex_step_operator_flavor as built_in

from zenml_vertex import VertexStepOperatorSettings

FIRST_KEY_FILE, SECOND_KEY_FILE, EMULATOR_URL = (
    os.environ.get(name, "") for name in ("FIRST_KEY_FILE", "SECOND_KEY_FILE", "EMULATOR_URL")
)
# As `--key=value` on the command line sets them. The key file provides the project.
COMPONENT = {
    "region": "europe-west4",
    "service_account_path": FIRST_KEY_FILE,
    "api_endpoint": EMULATOR_URL,
    "machine_type": "n1-standard-16",
    "accelerator_type": "nvidia_tesla_v100",
    "accelerator_count": "2",
    "boot_disk_type": "pd-standard",
    "boot_disk_size_gb": "300",
    "service_account": "component@demo-project.iam.gserviceaccount.com",
    "network": "projects/1/global/networks/component",
    "reserved_ip_ranges": "component-a,component-b",
    "encryption_spec_key_name": "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/component",
    "persistent_resource_id": "component",
    "additional_training_job_args": '{"timeout": "7200s"}',
}
STEP = VertexStepOperatorSettings(
    project="other-project",
    region="us-central1",
    service_account_path=SECOND_KEY_FILE,
    api_endpoint=EMULATOR_URL.replace("127.0.0.1", "localhost"),
    machine_type="n1-standard-8",
    accelerator_type="NVIDIA_TESLA_T4",
    accelerator_count=4,
    disk_type="pd-ssd",
    disk_size_gb=200,
    service_account="step@other-project.iam.gserviceaccount.com",
    network="projects/2/global/networks/step",
    reserved_ip_ranges=["step-a"],
    encryption_spec_key_name="projects/p/locations/us-central1/keyRings/r/cryptoKeys/step",
    persistent_resource_id="step",
    additional_training_job_args={"timeout": "3600s", "labels": {"team": "vision"}},
)


@step(
    step_operator="loaded",
    enable_cache=False,
    settings={"step_operator": STEP},
    environment={"GREETING": "$(ZENML_STORE_URL)"},
)
def train() -> str:
    """Return the variable GREETING as the step sees it."""
    return os.environ["GREETING"]


plain = CommandStep(
    ["echo", "it costs $(ZENML_STORE_API_TOKEN)"], name="plain", step_operator="loaded"
)
no_gpu = CommandStep(
    ["true"],
    name="no_gpu",
    step_operator="loaded",
    settings={"resources": ResourceSettings(gpu_count=0)},
)
as_before = CommandStep(
    ["true"],
    name="as_before",
    step_operator="loaded",
    settings={
        "step_operator": built_in.VertexStepOperatorSettings(
            accelerator_type="NVIDIA_TESLA_T4", accelerator_count=1, boot_disk_size_gb=101
        )
    },
)


@pipeline(name="Every setting / Größe", enable_cache=False)
def everything() -> None:
    """Run one job for each way of writing the settings."""
    train()
    plain()
    no_gpu()
    as_before()


def register() -> str:
    """Register a stack with a component that has every setting, and return its ID."""
    client = Client()
    client.create_stack_component("loaded", "vertex", StackComponentType.STEP_OPERATOR, COMPONENT)
    components: dict[StackComponentType, str] = {
        kind: str(found[0].id) for kind, found in client.active_stack_model.components.items()
    }
    stack = client.create_stack(
        "loaded", {**components, StackComponentType.STEP_OPERATOR: "loaded"}
    )
    return str(stack.id)


if __name__ == "__main__":
    os.environ["ZENML_ACTIVE_STACK_ID"] = register()
    everything.with_options(run_name="r" * 200)()
    # What only a service connector needs.
    unwanted = ("google.cloud.container", "google.cloud.artifactregistry")
    Path("loaded-modules.txt").write_text(
        "\n".join(name for name in sys.modules if name.startswith(unwanted)), "utf-8"
    )
