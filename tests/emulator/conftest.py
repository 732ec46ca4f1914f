from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from zenml_vertex.emulator import Timings, VertexEmulator

Json = dict[str, Any]

NO_WAITING = Timings(queueing=0, provisioning=0, teardown=0)
PARENT = "projects/my-project/locations/us-central1"


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
    head = {
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
        return answer.json()

    return submit


@pytest.fixture(scope="session")
def private_key() -> str:
    """An RSA key in PEM, as a service account's key file has it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


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
