"""The job as Vertex AI received it, from a pipeline that uses every setting.

It runs at ZenML's debug level, with a key file, on a component that names no project.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from tests.support.persistent_resources import make_resource
from tests.support.pipelines import StartShared
from vertex_emulator import write_key_file
from zenml_vertex import __version__
from zenml_vertex.following.clients import Lease
from zenml_vertex.following.metadata import CLIENT_KEY
from zenml_vertex.local_stack.processes.loopback import send_request
from zenml_vertex.local_stack.stack import LocalStack
from zenml_vertex.local_stack.views.pipelines import Completed
from zenml_vertex.local_stack.views.zenml import StepRecord

RUN_NAME = "r" * 200
IMAGE = "europe-west4-docker.pkg.dev/demo-project/zenml/zenml"
# Fields that the service sets.
NOT_REQUESTED = ("name", "state", "createTime", "startTime", "endTime", "updateTime")


@dataclass
class Loaded:
    """The run, and its jobs."""

    completed: Completed
    stack: LocalStack
    folder: Path
    key_file: Path

    def step(self, name: str) -> StepRecord:
        """Return a step."""
        return self.completed.run.step(name)

    def job(self, name: str) -> dict[str, Any]:
        """Return the whole job of a step."""
        job_name = self.step(name).job_name
        assert job_name
        return self.stack.jobs.fetch(job_name)

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment variables with which a step's job was created."""
        container = self.job(name)["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
        return {variable["name"]: variable["value"] for variable in container["env"]}

    def request(self, name: str) -> dict[str, Any]:
        """Return a step's job as requested, without its environment and its image's digest."""
        job = {key: value for key, value in self.job(name).items() if key not in NOT_REQUESTED}
        container = job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
        assert container.pop("env")
        image, digest = container["imageUri"].split("@sha256:")
        assert re.fullmatch("[0-9a-f]{64}", digest)
        container["imageUri"] = image
        return job

    def labels(self, name: str) -> dict[str, str]:
        """Return the labels of a step's job."""
        client = Lease.read(self.step(name).metadata[CLIENT_KEY])
        assert client
        return {
            "source": f"zenml-vertex-{__version__.replace('.', '_')}",
            "zenml-server-id": self.stack.records.fetch("/info", {})["id"],
            "zenml-run-id": self.completed.run.id,
            "zenml-step-run-id": self.step(name).id,
            "zenml-attempt": "1",
            "zenml-step": name,
            "zenml-pipeline": "every_setting_gr_e",
            "zenml-client": client.process.fingerprint,
        }


def make_resources(url: str) -> None:
    """Create the persistent resources that the steps name, and wait until they are ready."""
    standard = {"bootDiskType": "pd-standard"}
    gpus = {"machineType": "n1-standard-16", "acceleratorType": "NVIDIA_TESLA_V100"}
    make_resource(
        url,
        "projects/demo-project/locations/europe-west4",
        "component",
        ({**gpus, "acceleratorCount": 2}, {**standard, "bootDiskSizeGb": 300}),
        ({"machineType": "n1-standard-16"}, {**standard, "bootDiskSizeGb": 300}),
        (
            {**gpus, "acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 1},
            {**standard, "bootDiskSizeGb": 101},
        ),
        network="projects/1/global/networks/component",
        key="projects/p/locations/europe-west4/keyRings/r/cryptoKeys/component",
    )
    machine = {"machineType": "n1-standard-8", "acceleratorType": "NVIDIA_TESLA_T4"}
    make_resource(
        url,
        "projects/other-project/locations/us-central1",
        "step",
        ({**machine, "acceleratorCount": 4}, {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 200}),
        network="projects/2/global/networks/step",
        key="projects/p/locations/us-central1/keyRings/r/cryptoKeys/step",
    )


@pytest.fixture(scope="module")
def loaded(
    local_stack: LocalStack, start_shared: StartShared, tmp_path_factory: pytest.TempPathFactory
) -> Loaded:
    """The run of `pipelines/everything.py`."""
    key_file = tmp_path_factory.mktemp("keys") / "second.json"
    token_url = f"{local_stack.emulator_url}/token"
    write_key_file(key_file, project="third-project", token_url=token_url)
    make_resources(local_stack.emulator_url)
    process = start_shared(
        "everything",
        FIRST_KEY_FILE=local_stack.environment["GOOGLE_APPLICATION_CREDENTIALS"],
        SECOND_KEY_FILE=str(key_file),
        EMULATOR_URL=local_stack.emulator_url,
        ZENML_LOGGING_VERBOSITY="DEBUG",
    )
    completed = process.wait()
    assert completed.returncode == 0, completed.output
    folder = local_stack.folder / "projects" / "everything"
    return Loaded(completed, local_stack, folder, key_file)


def test_every_setting_of_a_step_overrides_its_components(loaded: Loaded) -> None:
    """All settings of a step reach the job, in the step's own project and region.

    Among them are service account, reserved ranges, encryption key, additional arguments, ZenML's
    documented alias `disk_type`, and a display name of 128 characters.
    """
    step_run_id = loaded.step("train").id
    request = loaded.request("train")
    command = request["jobSpec"]["workerPoolSpecs"][0]["containerSpec"].pop("command")
    assert request == {
        "displayName": "r" * 122 + "-train",
        "labels": {**loaded.labels("train"), "team": "vision"},
        "encryptionSpec": {
            "kmsKeyName": "projects/p/locations/us-central1/keyRings/r/cryptoKeys/step"
        },
        "jobSpec": {
            "serviceAccount": "step@other-project.iam.gserviceaccount.com",
            "network": "projects/2/global/networks/step",
            "reservedIpRanges": ["step-a"],
            "persistentResourceId": "step",
            "scheduling": {"disableRetries": True, "timeout": "3600s"},
            "workerPoolSpecs": [
                {
                    "machineSpec": {
                        "machineType": "n1-standard-8",
                        "acceleratorType": "NVIDIA_TESLA_T4",
                        "acceleratorCount": 4,
                    },
                    "replicaCount": "1",
                    "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 200},
                    "containerSpec": {"imageUri": IMAGE},
                }
            ],
        },
    }
    assert command[:3] == ["python", "-m", "zenml.entrypoints.entrypoint"]
    assert command[command.index("--step_run_id") + 1] == step_run_id
    other = loaded.stack.jobs.fetch(str(loaded.step("train").job_name))["name"]
    assert "/locations/us-central1/" in other


def test_what_a_step_does_not_set_comes_from_its_component(loaded: Loaded) -> None:
    """Settings that a step leaves out come from its component, in lower case too."""
    assert loaded.request("plain") == {
        "displayName": "r" * 122 + "-plain",
        "labels": loaded.labels("plain"),
        "encryptionSpec": {
            "kmsKeyName": "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/component"
        },
        "jobSpec": {
            "serviceAccount": "component@demo-project.iam.gserviceaccount.com",
            "network": "projects/1/global/networks/component",
            "reservedIpRanges": ["component-a", "component-b"],
            "persistentResourceId": "component",
            "scheduling": {"disableRetries": True, "timeout": "7200s"},
            "workerPoolSpecs": [
                {
                    "machineSpec": {
                        "machineType": "n1-standard-16",
                        "acceleratorType": "NVIDIA_TESLA_V100",
                        "acceleratorCount": 2,
                    },
                    "replicaCount": "1",
                    "diskSpec": {"bootDiskType": "pd-standard", "bootDiskSizeGb": 300},
                    "containerSpec": {
                        "imageUri": IMAGE,
                        "command": ["echo", "it costs $$(ZENML_STORE_API_TOKEN)"],
                    },
                }
            ],
        },
    }


@pytest.mark.parametrize(
    ("name", "machine"),
    [
        ("no_gpu", {"machineType": "n1-standard-16"}),
        (
            "as_before",
            {
                "machineType": "n1-standard-16",
                "acceleratorType": "NVIDIA_TESLA_T4",
                "acceleratorCount": 1,
            },
        ),
    ],
)
def test_the_machine_of_a_step_is_what_it_asks_for(
    loaded: Loaded, name: str, machine: dict[str, Any]
) -> None:
    """`gpu_count=0` disables the component's GPU, also with the built-in settings class."""
    (pool,) = loaded.job(name)["jobSpec"]["workerPoolSpecs"]
    assert pool["machineSpec"] == machine


def test_a_component_without_a_project_uses_that_of_its_credentials(loaded: Loaded) -> None:
    """A component without a project uses its credentials' one, unless the step sets another.

    Each identity is logged once, in one line.
    """
    numbers = {name: str(loaded.step(name).job_name).split("/")[1] for name in ("plain", "train")}
    assert numbers["plain"] != numbers["train"]
    lines = re.findall(
        r"Vertex AI: acting as (\S+) \(key file \S+\) in project (\S+), region (\S+) ",
        loaded.completed.output,
    )
    account = "local-stack@{}.iam.gserviceaccount.com"
    assert sorted(lines) == [
        (account.format("demo-project"), "`demo-project`", "`europe-west4`"),
        (account.format("third-project"), "`other-project`", "`us-central1`"),
    ]


def test_a_variable_reference_is_not_expanded(loaded: Loaded) -> None:
    """`$(NAME)` is escaped, so that Vertex AI does not expand the API token into the log."""
    job_name = str(loaded.step("plain").job_name)
    written = loaded.stack.jobs.fetch_lines(job_name, "workerpool0-0")
    assert written == ["it costs $(ZENML_STORE_API_TOKEN)"]
    assert loaded.environment("train")["GREETING"] == "$$(ZENML_STORE_URL)"


def test_no_secret_is_written_anywhere(loaded: Loaded) -> None:
    """No token of the job's environment or of Google is written, even at the DEBUG level.

    This covers the terminal, the servers' logs and everything that is stored of the run.
    """
    assert " DEBUG " in loaded.completed.output
    tokens = [
        loaded.environment(step.name)["ZENML_STORE_API_TOKEN"]
        for step in loaded.completed.run.steps
    ]
    assert all(len(token) > 100 for token in tokens)
    logs = [log.read_text("utf-8") for log in (loaded.stack.folder / "logs").iterdir()]
    stored = [text for name, text in _fetch_objects(loaded.stack) if name.startswith("logs/")]
    assert any("Vertex AI: acting as" in text for text in stored)
    key = loaded.key_file.read_text("utf-8").split("\\n")[1]
    for text in (loaded.completed.output, *logs, *stored):
        for secret in (*tokens, *loaded.stack.secrets, "ya29.", key):
            assert secret not in text


def test_a_run_without_a_connector_loads_nothing_of_connectors(loaded: Loaded) -> None:
    """Without a connector, the libraries that only connectors need are not imported."""
    assert (loaded.folder / "loaded-modules.txt").read_text("utf-8") == ""


def _fetch_objects(stack: LocalStack) -> list[tuple[str, str]]:
    """Yield name and text of every object in the artifact store."""
    address = f"{stack.storage_url}/storage/v1/b/demo-artifacts/o"
    objects = []
    for item in send_request(address).content["items"]:
        with urlopen(f"{address}/{quote(item['name'], safe='')}?alt=media") as answer:
            objects.append((item["name"], answer.read().decode("utf-8", "replace")))
    return objects
