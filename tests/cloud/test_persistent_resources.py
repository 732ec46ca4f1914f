"""The client of persistent resources, against the emulator and its faults."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from google.auth.credentials import AnonymousCredentials

from tests.support.emulators import PARENT
from tests.support.warm import POOL, SECONDS, Warm, open_warm
from vertex_emulator import VertexEmulator
from vertex_emulator.faults import ErrorAnswer, NoAnswer, PermissionWithdrawn
from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.persistent_resources import VertexPersistentResources
from zenml_vertex.errors import (
    PermissionDenied,
    QuotaExceeded,
    RequestRejected,
    ResourceNotFound,
    ServiceUnavailable,
    VertexStepOperatorError,
)

WHO = Identity(AnonymousCredentials(), "my-project", "somebody")
NAME = f"{PARENT}/persistentResources/warm"


@pytest.fixture
def warm() -> Iterator[Warm]:
    """An emulator whose clock stands still."""
    with open_warm() as warm:
        yield warm


@pytest.fixture
def resources(warm: Warm) -> VertexPersistentResources:
    """The client."""
    return connect(warm.emulator)


def connect(emulator: VertexEmulator) -> VertexPersistentResources:
    """A client of an emulator."""
    return VertexPersistentResources(WHO, Endpoint(emulator.url, is_emulator=True))


def test_the_life_of_a_resource(warm: Warm, resources: VertexPersistentResources) -> None:
    """Created, read, listed, rebooted and deleted, each with an operation that can be read."""
    begun = resources.create(PARENT, "warm", {"resourcePools": [POOL]})
    assert resources.get(NAME)["state"] == "PROVISIONING"
    assert not resources.read_operation(begun["name"]).get("done")
    warm.clock.advance(SECONDS.provisioning)
    assert resources.read_operation(begun["name"])["done"]
    (listed,) = resources.list(PARENT)
    assert listed == resources.get(NAME)
    resources.reboot(NAME)
    assert resources.get(NAME)["state"] == "REBOOTING"
    warm.clock.advance(SECONDS.rebooting)
    assert resources.delete(NAME)["done"]
    with pytest.raises(ResourceNotFound, match="The PersistentResource does not exist"):
        resources.get(NAME)
    assert resources.list(PARENT) == ()


def test_a_second_create_makes_no_second_resource(
    warm: Warm, resources: VertexPersistentResources
) -> None:
    """The caller chooses the ID: a create whose answer was lost can be repeated, and is refused."""
    warm.make()
    with pytest.raises(RequestRejected, match="already exists") as raised:
        resources.create(PARENT, "warm", {"resourcePools": [POOL]})
    assert raised.value.code == 409


def test_jobs_are_listed_with_the_resource_that_they_name(
    warm: Warm, resources: VertexPersistentResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pages, since a time, with states and times, and without what is in a job's container."""
    monkeypatch.setattr("zenml_vertex.cloud.persistent_resources._PAGE_SIZE", 2)
    warm.make()
    names = [warm.submit() for _ in range(3)]
    warm.clock.advance(100)
    later = warm.submit()
    found = resources.list_jobs(PARENT, None)
    assert found.is_complete
    assert {job["name"] for job in found.jobs} == {*names, later}
    for job in found.jobs:
        assert job["jobSpec"] == {"persistentResourceId": "warm"}
    since = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=SECONDS.provisioning + 1)
    assert [job["name"] for job in resources.list_jobs(PARENT, since).jobs] == [later]
    monkeypatch.setattr("zenml_vertex.cloud.persistent_resources._MOST_PAGES", 1)
    assert not resources.list_jobs(PARENT, None).is_complete


@pytest.mark.parametrize(
    ("status", "kind"),
    [(503, ServiceUnavailable), (429, QuotaExceeded), (400, RequestRejected)],
)
def test_an_answer_is_told_by_its_status(
    warm: Warm,
    resources: VertexPersistentResources,
    status: int,
    kind: type[VertexStepOperatorError],
) -> None:
    """An error says which status, and what was being done."""
    with (
        warm.emulator.faults.planned(ErrorAnswer("get_persistent_resource", status)),
        pytest.raises(kind, match=rf"^Vertex AI answered {status} while reading {NAME}"),
    ):
        resources.get(NAME)


def test_a_missing_permission_is_named(warm: Warm, resources: VertexPersistentResources) -> None:
    """A 403 names the permission of each call."""
    with (
        warm.emulator.faults.planned(PermissionWithdrawn("get_persistent_resource")),
        pytest.raises(PermissionDenied, match=r"is aiplatform\.persistentResources\.get\.$"),
    ):
        resources.get(NAME)
    with (
        warm.emulator.faults.planned(PermissionWithdrawn("list")),
        pytest.raises(PermissionDenied, match=r"is aiplatform\.customJobs\.list\.$"),
    ):
        resources.list_jobs(PARENT, None)


def test_no_answer_is_an_outage(warm: Warm, resources: VertexPersistentResources) -> None:
    """A connection that breaks is told as one, which a step does not fail of."""
    with (
        warm.emulator.faults.planned(NoAnswer("get_persistent_resource")),
        pytest.raises(ServiceUnavailable, match="did not respond while reading"),
    ):
        resources.get(NAME)
