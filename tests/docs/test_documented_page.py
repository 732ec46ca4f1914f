"""What ZenML's own page on its Vertex AI step operator says, word for word.

https://docs.zenml.io/stacks/stack-components/step-operators/vertex, of ZenML 0.98.
The commands are the page's own blocks, comments and all; only what stands in angle
brackets is filled in. They run on a ZenML server over REST, on a stack of their own.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.persistent_resources import make_resource
from tests.support.pipelines import RunPipeline
from zenml_vertex.local_stack.stack import LocalStack
from zenml_vertex.local_stack.views.zenml import StepRecord

# `zenml` is the one of this environment.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

A_STACK = "zenml stack register <STACK> -o default -a gcs -c gar -i no-image"

GCLOUD_LOGIN = """
    zenml step-operator register <STEP_OPERATOR_NAME> \\
        --flavor=vertex \\
        --project=<GCP_PROJECT> \\
        --region=<REGION> \\
    #   --machine_type=<MACHINE_TYPE> # optionally specify the type of machine to run on
"""
KEY_FILE = """
    zenml step-operator register <STEP_OPERATOR_NAME> \\
        --flavor=vertex \\
        --project=<GCP_PROJECT> \\
        --region=<REGION> \\
        --service_account_path=<SERVICE_ACCOUNT_PATH> \\
    #   --machine_type=<MACHINE_TYPE> # optionally specify the type of machine to run on
"""
CONNECTOR = """
    zenml service-connector register <CONNECTOR_NAME> --type gcp \
--auth-method=service-account --project_id=<PROJECT_ID> \
--service_account_json=@<SERVICE_ACCOUNT_PATH> --resource-type gcp-generic

    # Or, as an alternative, you could use the GCP user account locally set up with gcloud
    # zenml service-connector register <CONNECTOR_NAME> --type gcp --resource-type gcp-generic \
--auto-configure

    zenml step-operator register <STEP_OPERATOR_NAME> \\
        --flavor=vertex \\
        --region=<REGION> \\
    #   --machine_type=<MACHINE_TYPE> # optionally specify the type of machine to run on

    zenml step-operator connect <STEP_OPERATOR_NAME> --connector <CONNECTOR_NAME>
"""
STACK = """
# Add the step operator to the active stack
zenml stack update -s <NAME>
"""
# The page lacks the backslashes before the last two options; a shell would take them
# for commands.
ADDITIONAL = """
    zenml step-operator register <STEP_OPERATOR_NAME> \\
        --flavor=vertex \\
        --project=<GCP_PROJECT> \\
        --region=<REGION> \\
        --service_account=<SERVICE_ACCOUNT> \\
        --network=<NETWORK> \\
        --reserved_ip_ranges=<RESERVED_IP_RANGES>
"""
PERSISTENT_RESOURCE = (
    "zenml step-operator register <STEP_OPERATOR_NAME> -f vertex "
    "--service_account=<A_SERVICE_ACCOUNT_THAT_HAS_THE_RIGHT_PERMISSIONS_TO_ACCESS_PERSISTENT_STORAGE>"
)
BOOT_DISK = "zenml step-operator update <STEP_OPERATOR_NAME> --boot_disk_type=pd-standard"

# The page's two decorators, their imports and arguments, and one of this package's own class.
PIPELINE = """
    from zenml import pipeline, step
    from zenml.integrations.gcp.flavors.vertex_step_operator_flavor import VertexStepOperatorSettings
    import zenml_vertex

    @step(step_operator="page-connector", settings={"step_operator": VertexStepOperatorSettings(
        accelerator_type= "NVIDIA_TESLA_T4",  # see https://cloud.google.com/vertex-ai/docs/reference/rest/v1/MachineSpec#AcceleratorType
        accelerator_count = 1,
        machine_type = "n1-standard-2",       # see https://cloud.google.com/vertex-ai/docs/training/configure-compute#machine-types
        disk_type = "pd-ssd",                 # see https://cloud.google.com/vertex-ai/docs/training/configure-storage#disk-types
        disk_size_gb = 100,                   # see https://cloud.google.com/vertex-ai/docs/training/configure-storage#disk-size
    )})
    def trainer() -> int:
        return 1

    @step(step_operator="page-connector", settings={"step_operator": VertexStepOperatorSettings(
        persistent_resource_id="my-persistent-resource",  # specify your persistent resource ID
        machine_type="n1-standard-4",
        accelerator_type="NVIDIA_TESLA_T4",
        accelerator_count=1,
    )})
    def persistent_trainer() -> int:
        return 2

    @step(
        step_operator="page-connector",
        settings={
            "step_operator": zenml_vertex.VertexStepOperatorSettings(
                machine_type="n1-standard-4", disk_type="pd-standard", disk_size_gb=200
            )
        },
    )
    def own_trainer() -> int:
        return 3

    @pipeline(enable_cache=False)
    def documented():
        persistent_trainer()
        own_trainer()
        trainer(after=["persistent_trainer", "own_trainer"])

    if __name__ == "__main__":
        documented()
"""  # noqa: E501 - the page's own lines


@dataclass(frozen=True, slots=True)
class Shell:
    """A shell with its own active ZenML stack.

    Args:
        local_stack: The servers.
        folder: Where commands run.
        environment: Environment of the commands.
    """

    local_stack: LocalStack
    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    def run(self, block: str, **values: str) -> "subprocess.CompletedProcess[str]":
        """Run a block of the page with its placeholders filled in."""
        known = {
            "GCP_PROJECT": "demo-project",
            "PROJECT_ID": "demo-project",
            "REGION": "europe-west4",
            "MACHINE_TYPE": "n1-standard-4",
            "SERVICE_ACCOUNT_PATH": self.environment["GOOGLE_APPLICATION_CREDENTIALS"],
            **values,
        }
        text = re.sub(r"<(\w+)>", lambda match: known[match[1]], block)
        return subprocess.run(
            ["sh", "-ec", text],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def do(self, block: str, **values: str) -> str:
        """Run a block that must succeed, and return all its output."""
        done = self.run(block, **values)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        return output

    def fetch_config(self, name: str) -> dict[str, Any]:
        """Return the config of a step operator on the server."""
        query = {"name": name, "type": "step_operator", "hydrate": "true"}
        (component,) = self.local_stack.records.fetch("/components", query)["items"]
        configuration: dict[str, Any] = component["metadata"]["configuration"]
        return configuration


@pytest.fixture(scope="module")
def shell(local_stack: LocalStack) -> Shell:
    """A shell on a stack without a step operator."""
    folder = local_stack.make_project("documented-page")
    environment = {**local_stack.environment, "PATH": PATH}
    first = Shell(local_stack, folder, environment)
    first.do(A_STACK, STACK="page")
    (stack,) = local_stack.records.fetch("/stacks", {"name": "page"})["items"]
    return Shell(local_stack, folder, {**environment, "ZENML_ACTIVE_STACK_ID": stack["id"]})


def test_the_documented_gcloud_login_form_works(shell: Shell) -> None:
    """Project and region are enough, and a disk type can be set by an update."""
    shell.do(GCLOUD_LOGIN, STEP_OPERATOR_NAME="page-login")
    assert shell.fetch_config("page-login") == {
        "project": "demo-project",
        "region": "europe-west4",
    }
    shell.do(BOOT_DISK, STEP_OPERATOR_NAME="page-login")
    assert shell.fetch_config("page-login")["boot_disk_type"] == "pd-standard"


def test_the_documented_key_file_form_works(shell: Shell) -> None:
    """The path of the key file is stored as it was written."""
    shell.do(KEY_FILE, STEP_OPERATOR_NAME="page-key")
    key_file = shell.environment["GOOGLE_APPLICATION_CREDENTIALS"]
    assert shell.fetch_config("page-key")["service_account_path"] == key_file


def test_the_documented_additional_configuration_works(shell: Shell) -> None:
    """Service account, network and reserved ranges are accepted as the page writes them."""
    shell.do(
        ADDITIONAL,
        STEP_OPERATOR_NAME="page-additional",
        SERVICE_ACCOUNT="trainer@demo-project.iam.gserviceaccount.com",
        NETWORK="projects/123/global/networks/default",
        RESERVED_IP_RANGES="range-one,range-two",
    )
    assert shell.fetch_config("page-additional") == {
        "project": "demo-project",
        "region": "europe-west4",
        "service_account": "trainer@demo-project.iam.gserviceaccount.com",
        "network": "projects/123/global/networks/default",
        "reserved_ip_ranges": "range-one,range-two",
    }


def test_a_registration_without_a_region_is_refused(shell: Shell) -> None:
    """The page's section on persistent resources omits the region; the error says what to add."""
    done = shell.run(
        PERSISTENT_RESOURCE,
        STEP_OPERATOR_NAME="page-persistent",
        A_SERVICE_ACCOUNT_THAT_HAS_THE_RIGHT_PERMISSIONS_TO_ACCESS_PERSISTENT_STORAGE="a@b.example",
    )
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1] == (
        "Error: Vertex settings: `region` is not set. Add, for example, --region=europe-west4 to "
        "the command."
    )
    assert "Traceback" not in done.stderr


def test_steps_run_with_a_connector_and_the_pages_settings(
    shell: Shell, run_pipeline: RunPipeline
) -> None:
    """The page's connector, step operator and stack run steps with its decorators, unchanged.

    Both import paths of the settings work, the page's alias of the disk type counts, and the
    connector's project is used. The page's first decorator requests a machine
    that is not in Google's list for training, but on another page of Google's; a warning is
    logged before the image is built, and the job runs.
    """
    shell.do(CONNECTOR, STEP_OPERATOR_NAME="page-connector", CONNECTOR_NAME="page-connector")
    shell.do(STACK, NAME="page-connector")
    make_resource(
        shell.local_stack.emulator_url,
        "projects/demo-project/locations/europe-west4",
        "my-persistent-resource",
        (
            {
                "machineType": "n1-standard-4",
                "acceleratorType": "NVIDIA_TESLA_T4",
                "acceleratorCount": 1,
            },
            {},
        ),
        has_custom_account=False,
    )
    completed = run_pipeline(
        PIPELINE,
        environment={"ZENML_ACTIVE_STACK_ID": shell.environment["ZENML_ACTIVE_STACK_ID"]},
    )
    assert re.search(
        r"acting as .*`page-connector`.* in project `demo-project`",
        completed.output,
    ), completed.output
    steps = {step.name: step for step in completed.run.steps}

    persistent = _fetch_spec(shell.local_stack, steps["persistent_trainer"])
    assert persistent["persistentResourceId"] == "my-persistent-resource"
    assert persistent["workerPoolSpecs"][0]["machineSpec"] == {
        "machineType": "n1-standard-4",
        "acceleratorType": "NVIDIA_TESLA_T4",
        "acceleratorCount": 1,
    }
    own = _fetch_spec(shell.local_stack, steps["own_trainer"])
    assert own["workerPoolSpecs"][0]["machineSpec"] == {"machineType": "n1-standard-4"}
    assert own["workerPoolSpecs"][0]["diskSpec"] == {
        "bootDiskType": "pd-standard",
        "bootDiskSizeGb": 200,
    }
    warning = completed.output.index("`machine_type` is `n1-standard-2`, which is not in")
    assert warning < completed.output.index("Building Docker image(s)")
    page = _fetch_spec(shell.local_stack, steps["trainer"])["workerPoolSpecs"][0]
    assert page["machineSpec"] == {
        "machineType": "n1-standard-2",
        "acceleratorType": "NVIDIA_TESLA_T4",
        "acceleratorCount": 1,
    }
    assert page["diskSpec"] == {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100}


def _fetch_spec(local_stack: LocalStack, step: StepRecord) -> dict[str, Any]:
    assert step.status == "completed", step.error
    assert step.job_name is not None
    spec: dict[str, Any] = local_stack.jobs.fetch(step.job_name)["jobSpec"]
    return spec
