"""Replicas as containers of the engine: they meet on this machine's network, and end together."""

from collections.abc import Callable
from typing import Any

import docker
import pytest
import requests

from tests.emulator.test_meeting_replicas import MEET
from tests.support.containers.services import ContainerServices
from tests.support.emulators import NO_WAITING, PARENT
from tests.support.pipelines import wait_until
from vertex_emulator import DockerRuntime, JobState, VertexEmulator

pytestmark = pytest.mark.docker

Json = dict[str, Any]
REPLICAS = ("workerpool0-0", "workerpool1-0", "workerpool1-1")
WAIT = "import signal; print('up', flush=True); signal.pause()"


@pytest.fixture
def build(services: ContainerServices) -> Callable[..., Json]:
    """Build a job with a primary replica and two workers from the program of each pool."""

    def build(*programs: str) -> Json:
        pools = [
            {
                "machineSpec": {"machineType": "n1-standard-4"},
                "replicaCount": str(1 + place),
                "containerSpec": {
                    "imageUri": services.parent_image,
                    "command": ["python", "-c", program],
                },
            }
            for place, program in enumerate(programs)
        ]
        return {"displayName": "j", "jobSpec": {"workerPoolSpecs": pools}}

    return build


def create(emulator: VertexEmulator, job: Json) -> requests.Response:
    """Create a job."""
    return requests.post(f"{emulator.url}/v1/{PARENT}/customJobs", json=job, timeout=10)


def test_containers_meet(emulator: VertexEmulator, build: Callable[..., Json]) -> None:
    """Each replica is a container, and reaches the others by the variables of the cluster."""
    name = create(emulator, build(MEET, MEET)).json()["name"]
    assert emulator.wait_for_state(name, seconds=60).state is JobState.SUCCEEDED
    for rank, replica in enumerate(REPLICAS):
        said = [f"met workerpool1-0 workerpool1-1 heard {(rank - 1) % 3}"]
        assert emulator.log_lines(name, replica) == said


def test_a_failing_container_ends_the_others(
    emulator: VertexEmulator, build: Callable[..., Json]
) -> None:
    """A worker that fails is named in the error, and the containers of its job are removed."""
    fail = "import json, os, sys; sys.exit(json.loads(os.environ['CLUSTER_SPEC'])['task']['index'])"
    name = create(emulator, build(WAIT, fail)).json()["name"]
    failed = emulator.wait_for_state(name, seconds=60)
    assert "The replica workerpool1-1 exited with a non-zero status of 1." in str(failed.error)


def test_the_next_emulator_leads_all_containers(
    services: ContainerServices,
    engine: docker.DockerClient,
    build: Callable[..., Json],
    tmp_path: Any,
) -> None:
    """After a crash, the containers of all replicas are followed to their ends."""

    def begin() -> VertexEmulator:
        runtime = DockerRuntime({"DOCKER_HOST": services.docker_host}, grace=1)
        return VertexEmulator(data_dir=tmp_path / "data", timings=NO_WAITING, runtime=runtime)

    with begin() as first:
        name = create(first, build(WAIT, WAIT)).json()["name"]
        wait_until(lambda: all(first.log_lines(name, one) == ["up"] for one in REPLICAS))
        first.crash()
        with begin() as second:
            assert second.job(name).state is JobState.RUNNING
            requests.post(f"{second.url}/v1/{name}:cancel", json={}, timeout=10)
            assert second.wait_for_state(name, seconds=60).state is JobState.CANCELLED
            assert [second.log_lines(name, one) for one in REPLICAS] == [["up"]] * 3
            wait_until(lambda: not engine.containers.list(all=True, ignore_removed=True))


def test_containers_without_this_machines_network_cannot_meet(
    services: ContainerServices, build: Callable[..., Json]
) -> None:
    """On another network several replicas are UNIMPLEMENTED, and one replica runs."""
    runtime = DockerRuntime({"DOCKER_HOST": services.docker_host}, network="none")
    with VertexEmulator(timings=NO_WAITING, runtime=runtime) as emulator:
        error = create(emulator, build(WAIT, WAIT)).json()["error"]
        assert error["status"] == "UNIMPLEMENTED"
        assert "several replicas" in error["message"]
        assert "'none'" in error["message"]
        name = create(emulator, build("print('alone')")).json()["name"]
        assert emulator.wait_for_state(name, seconds=60).state is JobState.SUCCEEDED
