"""Images in the emulator: when they are pulled, and what happens to a job without one."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.support.emulators import NO_WAITING, PARENT
from vertex_emulator import VertexEmulator
from vertex_emulator.core.errors import Json
from vertex_emulator.jobs.outcome import exit_error, repository_refused
from vertex_emulator.jobs.states import JobState
from vertex_emulator.runtimes.contract import Container, Exit, ImageError, OutputSink, Replica

JobOf = Callable[..., Json]
Submit = Callable[[VertexEmulator, Json], Json]
ARTIFACT_REGISTRY = "europe-west4-docker.pkg.dev/images/team/train:1"


class Ended:
    """A container that has ended."""

    def wait(self) -> Exit:
        return Exit(0)

    def terminate(self) -> None:
        """Do nothing; there is nothing to end."""

    def kill(self) -> None:
        """Do nothing; there is nothing to end."""

    def abandon(self) -> None:
        """Do nothing; nothing keeps running."""


class PullingRuntime:
    """A runtime whose pulls block until the test lets them succeed or fail."""

    name = "pulling"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.may_go_on = threading.Event()
        self.pulled: list[tuple[str, str]] = []
        self.started: list[Container] = []

    def find_unserved(self, job_spec: Json) -> list[str]:
        del job_spec
        return []

    def check_image(self, image_uri: str) -> None:
        del image_uri
        if self.error:
            raise self.error

    def pull(self, image_uri: str, architecture: str) -> str:
        assert self.may_go_on.wait(20)
        if self.error:
            raise self.error
        self.pulled.append((image_uri, architecture))
        return f"{image_uri}@{architecture}"

    def start(self, container: Container, sink: OutputSink) -> Replica:
        del sink
        self.started.append(container)
        return Ended()

    def end_leftovers(self, job_id: str) -> None:
        """Do nothing; there are no leftovers."""

    def close(self) -> None:
        """Do nothing; nothing was acquired."""


def test_a_job_is_pending_until_its_image_is_pulled(submit: Submit, job_of: JobOf) -> None:
    """A job runs once its image is pulled, and it runs the image that the pull returned."""
    runtime = PullingRuntime()
    with VertexEmulator(timings=NO_WAITING, runtime=runtime) as emulator:
        name = submit(emulator, job_of("true"))["name"]
        emulator.wait_for_line(name, "setting up this job")
        assert emulator.job(name).state is JobState.PENDING
        runtime.may_go_on.set()
        job = emulator.wait_for_state(name)
    assert [state.name for state, _ in job.history] == ["PENDING", "RUNNING", "SUCCEEDED"]
    assert [container.image_uri for container in runtime.started] == [
        "registry.example/image:1@amd64"
    ]


def test_each_worker_pool_has_its_image(submit: Submit, job_of: JobOf) -> None:
    """A job waits for the images of all pools; each is pulled once for each architecture."""
    runtime = PullingRuntime()
    runtime.may_go_on.set()
    job = job_of("true")
    (first,) = job["jobSpec"]["workerPoolSpecs"]
    other = {**first["containerSpec"], "imageUri": "registry.example/other:1"}
    arm: Json = {"machineType": "a4x-highgpu-4g"}
    arm |= {"acceleratorType": "NVIDIA_GB200", "acceleratorCount": 4}
    job["jobSpec"]["workerPoolSpecs"] = [
        first,
        {**first, "replicaCount": "2"},
        {},
        {**first, "containerSpec": other},
        {**first, "machineSpec": arm},
    ]
    with VertexEmulator(timings=NO_WAITING, runtime=runtime) as emulator:
        emulator.wait_for_state(submit(emulator, job)["name"])
    assert runtime.pulled == [
        ("registry.example/image:1", "amd64"),
        ("registry.example/other:1", "amd64"),
        ("registry.example/image:1", "arm64"),
    ]
    assert {container.replica: container.image_uri for container in runtime.started} == {
        "workerpool0-0": "registry.example/image:1@amd64",
        "workerpool1-0": "registry.example/image:1@amd64",
        "workerpool1-1": "registry.example/image:1@amd64",
        "workerpool3-0": "registry.example/other:1@amd64",
        "workerpool4-0": "registry.example/image:1@arm64",
    }


@pytest.mark.parametrize(
    ("machine_type", "architecture"), [("n1-standard-4", "amd64"), ("a4x-highgpu-4g", "arm64")]
)
def test_the_image_is_pulled_for_the_machines_architecture(
    machine_type: str, architecture: str, submit: Submit, job_of: JobOf
) -> None:
    """An image for an A4X machine is pulled for Arm, and one for other machines for x86."""
    runtime = PullingRuntime()
    runtime.may_go_on.set()
    machine: Json = {"machineType": machine_type}
    if architecture == "arm64":
        machine |= {"acceleratorType": "NVIDIA_GB200", "acceleratorCount": 4}
    with VertexEmulator(timings=NO_WAITING, runtime=runtime) as emulator:
        emulator.wait_for_state(
            submit(emulator, job_of("true", pool={"machineSpec": machine}))["name"]
        )
    assert runtime.started[0].image_uri.endswith(f"@{architecture}")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImageError("The image x cannot be pulled: manifest unknown"), "manifest unknown"),
        (RuntimeError("secret detail of the engine"), "the container engine failed"),
    ],
)
def test_a_job_without_its_image_fails(
    error: Exception, message: str, submit: Submit, job_of: JobOf
) -> None:
    """A job whose pull fails never runs and gives the reason in its error and log."""
    runtime = PullingRuntime(error)
    runtime.may_go_on.set()
    with VertexEmulator(timings=NO_WAITING, runtime=runtime) as emulator:
        job = emulator.wait_for_state(submit(emulator, job_of("true"))["name"])
        assert job.state is JobState.FAILED
        assert job.start_time is None
        assert job.error is not None
        assert message in job.error["message"]
        emulator.wait_for_line(job.name, message)
    assert runtime.started == []


def test_a_pull_is_restarted_by_the_next_emulator(
    tmp_path: Path, submit: Submit, job_of: JobOf
) -> None:
    """A pull that an emulator did not finish is started again by the next one."""
    runtime = PullingRuntime()
    with VertexEmulator(data_dir=tmp_path, timings=NO_WAITING, runtime=runtime) as emulator:
        name = submit(emulator, job_of("true"))["name"]
        emulator.wait_for_line(name, "setting up this job")
    second = PullingRuntime()
    second.may_go_on.set()
    with VertexEmulator(data_dir=tmp_path, timings=NO_WAITING, runtime=second) as emulator:
        assert emulator.wait_for_state(name).state is JobState.SUCCEEDED
    runtime.may_go_on.set()
    assert runtime.started == []


def test_a_job_is_cancelled_during_its_pull(submit: Submit, job_of: JobOf) -> None:
    """A cancel does not wait for the pull, and the end of the pull starts nothing."""
    runtime = PullingRuntime()
    with VertexEmulator(timings=NO_WAITING, runtime=runtime) as emulator:
        name = submit(emulator, job_of("true"))["name"]
        emulator.wait_for_line(name, "setting up this job")
        requests.post(f"{emulator.url}/v1/{name}:cancel", timeout=10)
        assert emulator.wait_for_state(name).state is JobState.CANCELLED
        runtime.may_go_on.set()
        other = submit(emulator, job_of("true"))["name"]
        emulator.wait_for_state(other)
    assert [container.job_id for container in runtime.started] == [other.rsplit("/", 1)[1]]


def test_an_unreadable_repository_is_refused_at_once(job_of: JobOf) -> None:
    """A repository that cannot be read gets the public 400 with the agent's name, and no job."""
    runtime = PullingRuntime(ImageError("denied", is_refused=True))
    job = job_of("true", pool={"containerSpec": {"imageUri": ARTIFACT_REGISTRY}})
    with VertexEmulator(runtime=runtime) as emulator:
        answer = requests.post(f"{emulator.url}/v1/{PARENT}/customJobs", json=job, timeout=10)
        assert answer.status_code == 400
        message = answer.json()["error"]["message"]
        assert emulator.jobs == ()
    assert message.startswith("Vertex AI Service Agent service-")
    assert message.endswith(
        "@gcp-sa-aiplatform-cc.iam.gserviceaccount.com does not have permission to access "
        "Artifact Registry repository projects/images/locations/europe-west4/repositories/team"
    )


@pytest.mark.parametrize("image", ["127.0.0.1:5000/zenml:1", "python:3.11", "gcr.io/p/i:1"])
def test_no_refusal_is_invented_for_other_registries(image: str) -> None:
    """A registry other than Google's is not checked at create: Vertex AI's answer is unknown."""
    assert repository_refused(image, "1") is None


def test_out_of_memory_has_its_own_error() -> None:
    """The error of a container killed for lack of memory says so, as recorded."""
    assert exit_error(Exit(137, is_out_of_memory=True), number="1", job_id="2") == {
        "code": 8,
        "message": "Replicas low on memory: workerpool0. Specify a machine with larger memory and "
        "try again.",
    }
