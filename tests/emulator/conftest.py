import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1 as api

from tests.support.emulators import NO_WAITING, PARENT
from vertex_emulator import ManualClock, Timings, VertexEmulator
from vertex_emulator.core.documents import MemoryStore
from vertex_emulator.faults.plan import refuse_unconsumed
from vertex_emulator.runtimes.contract import Container
from vertex_emulator.runtimes.scripted import Script, ScriptedRuntime

Json = dict[str, Any]


def build_job(*command: str, **spec: Any) -> Json:
    """A CustomJob that runs a command; `spec` goes into its CustomJobSpec, `pool` into its pool."""
    pool = {
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": "1",
        "containerSpec": {
            "imageUri": "registry.example/image:1",
            "command": list(command or ("true",)),
        },
        **spec.pop("pool", {}),
    }
    head: Json = {
        key: spec.pop(key) for key in ("displayName", "labels", "encryptionSpec") if key in spec
    }
    return {"displayName": "a job", **head, "jobSpec": {"workerPoolSpecs": [pool], **spec}}


@pytest.fixture(scope="session")
def job_of() -> Callable[..., Json]:
    """`build_job`."""
    return build_job


@pytest.fixture(scope="session")
def shared_emulator() -> Iterator[VertexEmulator]:
    """One emulator for many tests: to start and stop it takes a fifth of a second."""
    with VertexEmulator(timings=NO_WAITING) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared_emulator: VertexEmulator) -> VertexEmulator:
    """An emulator without jobs and calls, whose jobs take no time but their program's."""
    shared_emulator.reset()
    return shared_emulator


@pytest.fixture
def submit() -> Callable[[VertexEmulator, Json], Json]:
    """Creates a job, and gives the answer."""

    def submit(emulator: VertexEmulator, job: Json) -> Json:
        answer = requests.post(f"{emulator.url}/v1/{PARENT}/customJobs", json=job, timeout=10)
        assert answer.status_code == 200, answer.text
        created: Json = answer.json()
        return created

    return submit


class Simulation:
    """A Vertex AI that lives by a manual clock and runs nothing, and Google's client for it.

    Args:
        emulator: The emulator.
        clock: Its clock. Its jobs are queued for 5 s, provisioned for 180 s and torn
            down for 50 s.
        client: Google's client over REST.
    """

    def __init__(
        self, emulator: VertexEmulator, clock: ManualClock, client: api.JobServiceClient
    ) -> None:
        self.emulator = emulator
        self.clock = clock
        self.client = client
        self.script: Callable[[Container], Script] = lambda _: Script(30.0)
        self.starts: list[Container] = []

    def play(self, container: Container) -> Script:
        self.starts.append(container)
        return self.script(container)

    def create(self, **spec: Any) -> str:
        """Create a job; its resource name."""
        job = api.CustomJob.from_json(json.dumps(build_job(**spec)))
        return self.client.create_custom_job(parent=PARENT, custom_job=job, timeout=10).name

    def get(self, name: str) -> api.CustomJob:
        """A job, as clients see it."""
        return self.client.get_custom_job(name=name, timeout=10)

    def state(self, name: str) -> str:
        """The state of a job, without its prefix; for a number without a name, the number."""
        # The attribute `state` warns of a number that it does not know.
        number = api.CustomJob.pb(self.get(name)).state
        states: Iterable[Any] = api.JobState
        names = {int(state): str(state.name) for state in states}
        return names.get(number, str(number)).removeprefix("JOB_STATE_")

    def listed(self) -> list[str]:
        """The names of the jobs in a list."""
        return [job.name for job in self.client.list_custom_jobs(parent=PARENT, timeout=10)]

    def states(self, name: str) -> list[str]:
        """The states that a job has had."""
        return [state.name for state, _ in self.emulator.job(name).history]


@pytest.fixture(scope="session")
def shared_simulation() -> Iterator[Simulation]:
    """One simulation for many tests."""
    clock = ManualClock()
    played: list[Simulation] = []

    def play(container: Container) -> Script:
        return played[0].play(container)

    runtime = ScriptedRuntime(play)
    timings = Timings(queueing=5, provisioning=180, teardown=50)
    with (
        VertexEmulator(
            clock=clock, runtime=runtime, timings=timings, store=MemoryStore(), seed=7
        ) as emulator,
        connect(emulator) as client,
    ):
        played.append(Simulation(emulator, clock, client))
        yield played[0]


@pytest.fixture
def simulation(shared_simulation: Simulation) -> Iterator[Simulation]:
    """A simulation without jobs. A planned fault that has not happened fails the test."""
    shared_simulation.emulator.reset()
    shared_simulation.starts.clear()
    shared_simulation.script = lambda _: Script(30.0)
    yield shared_simulation
    refuse_unconsumed(shared_simulation.emulator.faults.all())


def connect(emulator: VertexEmulator, credentials: Any = None) -> api.JobServiceClient:
    """Google's client over REST for an emulator; a context manager."""
    return api.JobServiceClient(
        credentials=credentials or AnonymousCredentials(),
        transport="rest",
        client_options={"api_endpoint": emulator.url},
    )


@pytest.fixture(scope="session")
def google_client() -> Callable[..., api.JobServiceClient]:
    """`connect`."""
    return connect


@pytest.fixture(scope="session")
def key_of(private_key: str) -> Callable[[str], Json]:
    """A service account's key whose token endpoint is an emulator's, by its URL."""

    def key_of(url: str) -> Json:
        return {
            "type": "service_account",
            "project_id": "my-project",
            "private_key_id": "0123456789abcdef",
            "private_key": private_key,
            "client_email": "trainer@my-project.iam.gserviceaccount.com",
            "client_id": "123456789",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": f"{url}/token",
            "universe_domain": "googleapis.com",
        }

    return key_of
