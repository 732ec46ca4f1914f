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
    """Build a CustomJob that runs a command; `spec` extends its CustomJobSpec, `pool` its pool."""
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
    """The function `build_job`."""
    return build_job


@pytest.fixture(scope="session")
def shared_emulator() -> Iterator[VertexEmulator]:
    """One emulator that many tests share, because starting and stopping takes 0.2 s."""
    with VertexEmulator(timings=NO_WAITING) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared_emulator: VertexEmulator) -> VertexEmulator:
    """An emulator without jobs and recorded calls, whose stages other than RUNNING take no time."""
    shared_emulator.reset()
    return shared_emulator


@pytest.fixture
def submit() -> Callable[[VertexEmulator, Json], Json]:
    """Create a job and return the answer."""

    def submit(emulator: VertexEmulator, job: Json) -> Json:
        answer = requests.post(f"{emulator.url}/v1/{PARENT}/customJobs", json=job, timeout=10)
        assert answer.status_code == 200, answer.text
        created: Json = answer.json()
        return created

    return submit


class Simulation:
    """A Vertex AI on a manual clock that runs nothing, with Google's client for it.

    Args:
        emulator: The emulator.
        clock: The emulator's clock. Jobs are queued for 5 s, provisioned for 180 s and torn
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
        """Create a job and return its resource name."""
        job = api.CustomJob.from_json(json.dumps(build_job(**spec)))
        return self.client.create_custom_job(parent=PARENT, custom_job=job, timeout=10).name

    def get(self, name: str) -> api.CustomJob:
        """Read a job as clients see it."""
        return self.client.get_custom_job(name=name, timeout=10)

    def state(self, name: str) -> str:
        """Return a job's state without its prefix, or the number of a state without a name."""
        # The attribute `state` warns about a number that it does not know.
        number = api.CustomJob.pb(self.get(name)).state
        states: Iterable[Any] = api.JobState
        names = {int(state): str(state.name) for state in states}
        return names.get(number, str(number)).removeprefix("JOB_STATE_")

    def listed(self) -> list[str]:
        """Return the names of the jobs in a list."""
        return [job.name for job in self.client.list_custom_jobs(parent=PARENT, timeout=10)]

    def states(self, name: str) -> list[str]:
        """Return the states that a job has had."""
        return [state.name for state, _ in self.emulator.job(name).history]


@pytest.fixture(scope="session")
def shared_simulation() -> Iterator[Simulation]:
    """One simulation that many tests share."""
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
    """A simulation without jobs; a planned fault that did not happen fails the test."""
    shared_simulation.emulator.reset()
    shared_simulation.starts.clear()
    shared_simulation.script = lambda _: Script(30.0)
    yield shared_simulation
    refuse_unconsumed(shared_simulation.emulator.faults.all())


def connect(emulator: VertexEmulator, credentials: Any = None) -> api.JobServiceClient:
    """Open Google's client over REST for an emulator; a context manager."""
    return api.JobServiceClient(
        credentials=credentials or AnonymousCredentials(),
        transport="rest",
        client_options={"api_endpoint": emulator.url},
    )


@pytest.fixture(scope="session")
def google_client() -> Callable[..., api.JobServiceClient]:
    """The function `connect`."""
    return connect


@pytest.fixture(scope="session")
def key_of(private_key: str) -> Callable[[str], Json]:
    """Build a service account's key whose token endpoint is the emulator's, from its URL."""

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
