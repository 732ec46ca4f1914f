"""The real gcloud CLI, with its own configuration folder."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.emulators import call
from vertex_emulator import JobState, ResourceTimings, Timings, VertexEmulator
from zenml_vertex.job.secrets import SecretName

pytestmark = pytest.mark.skipif(
    shutil.which("gcloud") is None, reason="gcloud is not installed: nothing of it is tested"
)
Json = dict[str, Any]
ACCOUNT = "trainer@my-project.iam.gserviceaccount.com"


@dataclass
class Gcloud:
    """The gcloud CLI, connected to an emulator and logged in with a key."""

    emulator: VertexEmulator
    environment: dict[str, str] = field(repr=False)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["gcloud", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> str:
        output, errors = (process := self.start(*arguments)).communicate(timeout=60)
        assert process.returncode == 0, errors
        return output

    def resources(self, verb: str, *arguments: str) -> str:
        return self.run("ai", "persistent-resources", verb, "--region=us-central1", *arguments)

    def jobs(self, verb: str, *arguments: str) -> str:
        return self.run("ai", "custom-jobs", verb, "--region=us-central1", *arguments)


@pytest.fixture(scope="module")
def gcloud(
    tmp_path_factory: pytest.TempPathFactory, key_of: Callable[[str], Json]
) -> Iterator[Gcloud]:
    """The gcloud CLI, logged in with a key, and the emulator that it is connected to."""
    folder = tmp_path_factory.mktemp("gcloud")
    at_once = ResourceTimings(0, 0, 0)
    with VertexEmulator(timings=Timings(0, 0, 0), resource_timings=at_once) as emulator:
        key_file = folder / "key.json"
        key_file.write_text(json.dumps(key_of(emulator.url)))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CLOUDSDK_CONFIG": str(folder / "config"),
            "CLOUDSDK_CORE_PROJECT": "my-project",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": f"{emulator.url}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING": f"{emulator.url}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER": f"{emulator.url}/",
        }
        gcloud = Gcloud(emulator, environment)
        gcloud.run("auth", "activate-service-account", f"--key-file={key_file}")
        yield gcloud


@pytest.fixture(scope="module")
def created(gcloud: Gcloud) -> str:
    """The ID of a job that gcloud has created and that has ended."""
    gcloud.jobs(
        "create",
        "--display-name=from gcloud",
        "--labels=team=ml",
        "--worker-pool-spec=machine-type=n1-standard-4,replica-count=1,"
        "container-image-uri=registry.example/image:1",
        "--command=python",
        "--args=-c,print('hello from the job')",
    )
    job = gcloud.emulator.wait_for_state(gcloud.emulator.jobs[0].name)
    assert job.state is JobState.SUCCEEDED
    return job.job_id


@pytest.fixture(scope="module", autouse=True)
def streaming(gcloud: Gcloud, created: str) -> Iterator["subprocess.Popen[str]"]:
    """A `stream-logs` process, started early because it is slow."""
    process = gcloud.start(
        "ai", "custom-jobs", "stream-logs", created,
        "--region=us-central1", "--polling-interval=1",
    )  # fmt: skip
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_gcloud_creates_a_job(gcloud: Gcloud, created: str) -> None:
    """The job is what the flags say, and its calls have the key's identity."""
    job = gcloud.emulator.job(created)
    assert job.request == {
        "displayName": "from gcloud",
        "labels": {"team": "ml"},
        "jobSpec": {
            "workerPoolSpecs": [
                {
                    "machineSpec": {"machineType": "n1-standard-4"},
                    "replicaCount": "1",
                    "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100},
                    "containerSpec": {
                        "imageUri": "registry.example/image:1",
                        "command": ["python"],
                        "args": ["-c", "print('hello from the job')"],
                    },
                }
            ]
        },
    }
    creates = [call for call in gcloud.emulator.calls if call.path.endswith("/customJobs")]
    assert {call.identity for call in creates} == {ACCOUNT}


def test_gcloud_lists_and_describes(gcloud: Gcloud, created: str) -> None:
    """`list` and `describe` show the job and its state."""
    listed = json.loads(gcloud.jobs("list", "--format=json", "--filter=labels.team=ml"))
    described = json.loads(gcloud.jobs("describe", created, "--format=json"))
    assert listed == [described] == [gcloud.emulator.job(created).to_json()]


def test_gcloud_cancels(
    gcloud: Gcloud, job_of: Callable[..., Json], submit: Callable[[VertexEmulator, Json], Json]
) -> None:
    """`cancel` cancels a running job."""
    name = submit(gcloud.emulator, job_of("sleep", "infinity"))["name"]
    gcloud.emulator.wait_for_state(name, JobState.RUNNING)
    gcloud.jobs("cancel", name.rsplit("/", 1)[-1])
    assert gcloud.emulator.wait_for_state(name).state is JobState.CANCELLED


def test_gcloud_has_persistent_resources(gcloud: Gcloud) -> None:
    """Gcloud creates one, describes and lists it, runs a job on it, and deletes it."""
    gcloud.resources(
        "create",
        "--persistent-resource-id=warm",
        "--resource-pool-spec=machine-type=n1-standard-4,replica-count=1,disk-type=pd-ssd,"
        "disk-size=100",
    )
    described = json.loads(gcloud.resources("describe", "warm", "--format=json"))
    assert (described["displayName"], described["state"]) == ("warm", "RUNNING")
    assert json.loads(gcloud.resources("list", "--format=json")) == [described]
    gcloud.jobs(
        "create",
        "--display-name=on warm machines",
        "--persistent-resource-id=warm",
        "--worker-pool-spec=machine-type=n1-standard-4,replica-count=1,"
        "container-image-uri=registry.example/image:1",
        "--command=true",
    )
    job = gcloud.emulator.wait_for_state(gcloud.emulator.jobs[0].name)
    assert job.request["displayName"] == "on warm machines"
    assert job.state is JobState.SUCCEEDED
    gcloud.resources("delete", "warm")
    assert json.loads(gcloud.resources("list", "--format=json")) == []


def test_gcloud_shows_errors(gcloud: Gcloud, tmp_path: Path) -> None:
    """Gcloud shows the service's message about an invalid job."""
    config = tmp_path / "job.yaml"
    config.write_text(
        "workerPoolSpecs:\n"
        "- machineSpec: {machineType: n1-standard-4, acceleratorType: NVIDIA_TESLA_T4}\n"
        "  containerSpec: {imageUri: 'i', command: ['true']}\n"
    )
    process = gcloud.start(
        "ai", "custom-jobs", "create", "--region=us-central1", "--display-name=x",
        f"--config={config}",
    )  # fmt: skip
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Both `accelerator_type` and `accelerator_count` should be specified or none." in errors


def test_gcloud_is_led_behind_a_secret(gcloud: Gcloud) -> None:
    """An override of gcloud's takes an address with a secret in its path."""
    with VertexEmulator(secret="k3Vb-ZpQ_0aYwLx7RtEoUm4s") as emulator:
        override = {"CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": f"{emulator.url}/"}
        behind = Gcloud(emulator, gcloud.environment | override)
        assert json.loads(behind.jobs("list", "--format=json")) == []
        assert [call.status for call in emulator.calls] == [200]


def test_gcloud_deletes_a_secret(gcloud: Gcloud) -> None:
    """The command that a message prints for a secret that was left destroys it."""
    name = SecretName("my-project", "left")
    secrets = "/v1/projects/my-project/secrets"
    body: Json = {"replication": {"automatic": {}}}
    assert call(gcloud.emulator, "POST", f"{secrets}?secretId=left", json=body).ok
    payload = {"payload": {"data": "AAAA"}}
    assert call(gcloud.emulator, "POST", f"{secrets}/left:addVersion", json=payload).ok
    gcloud.run(*name.delete_command.split()[1:])
    assert call(gcloud.emulator, "GET", f"{secrets}/left").status_code == 404


def test_gcloud_mints_tokens(gcloud: Gcloud) -> None:
    """`print-identity-token` works against the token endpoint."""
    token = gcloud.run("auth", "print-identity-token", "--audiences=https://me.example")
    assert token.count(".") == 2


def test_gcloud_streams_logs(streaming: "subprocess.Popen[str]", created: str) -> None:
    """`stream-logs` prints the lines of service and replica, and exits when the job has ended."""
    output, errors = streaming.communicate(timeout=60)
    assert streaming.returncode == 0, errors
    lines = [line.split("\t") for line in output.splitlines()]
    assert ["DEFAULT", "workerpool0-0", "hello from the job"] in [
        [severity, task, text] for severity, _, task, text in lines
    ]
    assert lines[-1][::2] == ["INFO", "service"]
    assert lines[-1][3] == "Job completed successfully."
    assert created


def test_gcloud_writes_and_reads_a_log(gcloud: Gcloud) -> None:
    """`gcloud logging write` writes an entry, and `gcloud logging read` finds it."""
    entry = json.dumps({"loss": 0.5})
    flags = ["--payload-type=json", "--severity=WARNING"]
    gcloud.run("logging", "write", "my-log", entry, *flags)
    text = gcloud.run("logging", "read", "severity=WARNING AND jsonPayload.loss<1", "--format=json")
    (found,) = json.loads(text)
    assert found["logName"] == "projects/my-project/logs/my-log"
    assert found["jsonPayload"] == {"loss": 0.5}


def test_gcloud_is_told_at_once_what_is_not_served(gcloud: Gcloud) -> None:
    """What the emulator does not have ends the command with its message, after one request.

    Gcloud tried again for half a minute, and then blamed the network.
    """
    for arguments, text in (
        (("hp-tuning-jobs", "list"), "The emulator does not serve GET /v1/projects/my-project/"),
        (
            (
                "custom-jobs", "create", "--display-name=x",
                "--worker-pool-spec=machine-type=n1-standard-4,container-image-uri=i",
            ),
            "The emulator's process runtime does not serve "
            "job_spec.worker_pool_specs[0].container_spec.command",
        ),
    ):  # fmt: skip
        gcloud.emulator.forget_calls()
        process = gcloud.start("ai", *arguments, "--region=us-central1")
        _, errors = process.communicate(timeout=60)
        assert process.returncode != 0
        assert text in errors
        refused = [item for item in gcloud.emulator.calls if item.status in {400, 404}]
        assert len(refused) == 1


def test_gcloud_reads_an_operation(
    gcloud: Gcloud, job_of: Callable[..., Json], submit: Callable[[VertexEmulator, Json], Json]
) -> None:
    """`operations describe` reads what a delete has begun."""
    name = submit(gcloud.emulator, job_of("true"))["name"]
    gcloud.emulator.wait_for_state(name)
    deleted = call(gcloud.emulator, "DELETE", f"/v1/{name}").json()
    operation_id = deleted["name"].rsplit("/", 1)[-1]
    shown = gcloud.run(
        "ai", "operations", "describe", operation_id, "--region=us-central1", "--format=json"
    )
    assert json.loads(shown) == deleted
