"""Persistent resources by Google's own clients: over REST, over gRPC, by the SDK and gcloud."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1, aiplatform_v1beta1

from tests.support.emulators import NO_WAITING, PARENT
from vertex_emulator import ResourceTimings, VertexEmulator

HOST = "us-central1-aiplatform.googleapis.com"
AT_ONCE = ResourceTimings(provisioning=0, rebooting=0, updating=0)
NAME = f"{PARENT}/persistentResources/warm"
Open = Callable[[VertexEmulator, Any], Any]


@pytest.fixture(scope="module")
def shared() -> Iterator[VertexEmulator]:
    """One emulator for the module, under Google's names too."""
    with VertexEmulator(timings=NO_WAITING, resource_timings=AT_ONCE, as_google=True) as emulator:
        yield emulator


@pytest.fixture
def emulator(shared: VertexEmulator) -> VertexEmulator:
    """An emulator without persistent resources."""
    shared.reset()
    return shared


@contextmanager
def over_rest(emulator: VertexEmulator, package: Any) -> Iterator[Any]:
    """Google's client over REST."""
    with package.PersistentResourceServiceClient(
        credentials=AnonymousCredentials(),
        transport="rest",
        client_options={"api_endpoint": emulator.url},
    ) as client:
        yield client


@contextmanager
def over_grpc(emulator: VertexEmulator, package: Any) -> Iterator[Any]:
    """Google's client over gRPC, under Google's own name."""
    variables = emulator.google_environment
    trusted = Path(variables["SSL_CERT_FILE"]).read_bytes()
    proxy = ("grpc.http_proxy", variables["grpc_proxy"])
    with grpc.secure_channel(
        f"{HOST}:443", grpc.ssl_channel_credentials(trusted), options=[proxy]
    ) as channel:
        kind = package.PersistentResourceServiceClient.get_transport_class("grpc")
        client = package.PersistentResourceServiceClient(transport=kind(channel=channel))
        yield client


@pytest.mark.parametrize("package", [aiplatform_v1, aiplatform_v1beta1])
@pytest.mark.parametrize("open_client", [over_rest, over_grpc])
def test_the_life_of_a_persistent_resource(
    emulator: VertexEmulator, open_client: Open, package: Any
) -> None:
    """The client creates, reads, lists, updates, reboots and deletes one, and waits each time."""
    resource = package.PersistentResource(
        resource_pools=[
            {"machine_spec": {"machine_type": "n1-standard-4"}, "replica_count": 1},
        ],
    )
    with open_client(emulator, package) as client:
        begun = client.create_persistent_resource(
            parent=PARENT, persistent_resource=resource, persistent_resource_id="warm", timeout=30
        )
        made = begun.result(timeout=30)
        assert begun.metadata.progress_message == "Your persistent resource is ready."
        assert made.name.endswith("/persistentResources/warm")
        shown = client.get_persistent_resource(name=NAME, timeout=30)
        assert shown.state is package.PersistentResource.State.RUNNING
        assert shown.resource_pools[0].disk_spec.boot_disk_size_gb == 100
        changed = package.PersistentResource(name=made.name, labels={"team": "ml"})
        mask = {"paths": ["labels"]}
        client.update_persistent_resource(
            persistent_resource=changed, update_mask=mask, timeout=30
        ).result(timeout=30)
        client.reboot_persistent_resource(name=NAME, timeout=30).result(timeout=30)
        (listed,) = client.list_persistent_resources(parent=PARENT, timeout=30)
        assert dict(listed.labels) == {"team": "ml"}
        client.delete_persistent_resource(name=NAME, timeout=30).result(timeout=30)
        with pytest.raises(exceptions.NotFound, match="The PersistentResource does not exist"):
            client.get_persistent_resource(name=NAME, timeout=30)
