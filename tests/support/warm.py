"""An emulator with persistent resources, on a clock that stands still, and calls of both APIs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.support.emulators import PARENT, Json, call, error_of
from vertex_emulator import (
    FileStore,
    ManualClock,
    MemoryStore,
    ResourceTimings,
    Script,
    ScriptedRuntime,
    Timings,
    VertexEmulator,
)

SECONDS = ResourceTimings(provisioning=250, rebooting=100, updating=50)
POOL: Json = {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": "1"}
GPU_POOL: Json = {
    "machineSpec": {
        "machineType": "n1-standard-8",
        "acceleratorType": "NVIDIA_TESLA_T4",
        "acceleratorCount": 1,
    },
    "replicaCount": "2",
}


class Warm:
    """An emulator whose jobs run for 60 s and are torn down for 10 s.

    Args:
        emulator: The emulator.
        clock: Its clock.
    """

    def __init__(self, emulator: VertexEmulator, clock: ManualClock) -> None:
        self.emulator = emulator
        self.clock = clock

    def call(self, method: str, path: str, version: str = "v1", **options: Any) -> Json:
        """Call the persistent resources' API, which has to accept it."""
        answer = self.ask(method, path, version, **options)
        assert answer.status_code == 200, answer.text
        read: Json = answer.json()
        return read

    def refused(self, method: str, path: str, **options: Any) -> Json:
        """Call it, which has to refuse, and return the error."""
        answer = self.ask(method, path, **options)
        assert answer.status_code != 200, answer.text
        return error_of(answer)

    def ask(self, method: str, path: str, version: str = "v1", **options: Any) -> requests.Response:
        """Call it."""
        resources = f"/{version}/{PARENT}/persistentResources"
        return call(self.emulator, method, f"{resources}{path}", **options)

    def create(self, resource_id: str = "warm", *pools: Json, **content: Any) -> Json:
        """Create a persistent resource and return the operation."""
        body = {"resourcePools": list(pools or (POOL,)), **content}
        return self.call("POST", f"?persistentResourceId={resource_id}", json=body)

    def make(self, resource_id: str = "warm", *pools: Json, **content: Any) -> str:
        """Create a persistent resource, wait until it is RUNNING, and return its name."""
        name = str(self.create(resource_id, *pools, **content)["name"]).partition("/operations")[0]
        self.clock.advance(SECONDS.provisioning)
        assert self.state(resource_id) == "RUNNING"
        return name

    def state(self, resource_id: str = "warm") -> str:
        """Return the state of a persistent resource."""
        return str(self.call("GET", f"/{resource_id}")["state"])

    def operation(self, operation: Json) -> Json:
        """Return an operation as it is now."""
        read: Json = call(self.emulator, "GET", f"/v1/{operation['name']}").json()
        return read

    def submit(self, resource_id: str = "warm", pool: Json = POOL, **spec: Any) -> str:
        """Create a job on a persistent resource and return its name."""
        answer = self.try_job(resource_id, pool, **spec)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["name"])

    def try_job(
        self, resource_id: str = "warm", pool: Json = POOL, **spec: Any
    ) -> requests.Response:
        """Ask for a job on a persistent resource."""
        container = {"imageUri": "registry.example/image:1", "command": ["true"]}
        worker = {**pool, "replicaCount": "1", "containerSpec": container}
        body: Json = {"displayName": "a job"}
        body |= {key: spec.pop(key) for key in ("encryptionSpec", "labels") if key in spec}
        body["jobSpec"] = {
            "persistentResourceId": resource_id, "workerPoolSpecs": [worker], **spec,
        }  # fmt: skip
        return call(self.emulator, "POST", f"/v1/{PARENT}/customJobs", json=body)

    def states(self, *names: str) -> list[str]:
        """Return the states of jobs."""
        return [self.emulator.job(name).state.name for name in names]

    def used(self, resource_id: str = "warm") -> list[str | None]:
        """Return how many replicas of each pool are in use, as clients see it."""
        pools = self.call("GET", f"/{resource_id}")["resourcePools"]
        return [pool.get("usedReplicaCount") for pool in pools]


@contextmanager
def open_warm(folder: Path | None = None, clock: ManualClock | None = None) -> Iterator[Warm]:
    """Open such an emulator.

    Args:
        folder: Where it keeps what it has; in memory by default.
        clock: Its clock; a new one by default.
    """
    clock = clock or ManualClock()
    with VertexEmulator(
        clock=clock,
        runtime=ScriptedRuntime(lambda _: Script(60.0)),
        store=FileStore(folder) if folder else MemoryStore(),
        timings=Timings(queueing=5, provisioning=180, teardown=10, cleanup=0),
        resource_timings=SECONDS,
    ) as emulator:
        yield Warm(emulator, clock)
