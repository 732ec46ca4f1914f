"""Persistent resources: their calls, their operations and their states, without jobs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.emulators import PARENT, Json, call, error_of
from tests.support.warm import GPU_POOL, POOL, SECONDS, Warm, open_warm

TYPES = "type.googleapis.com/google.cloud.aiplatform"


@pytest.fixture(scope="module")
def shared() -> Iterator[Warm]:
    """One emulator for the module."""
    with open_warm() as warm:
        yield warm


@pytest.fixture
def warm(shared: Warm) -> Warm:
    """An emulator without persistent resources."""
    shared.emulator.reset()
    return shared


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_create_goes_as_recorded(warm: Warm, version: str) -> None:
    """The operation is the resource's, says what was recorded, and answers with the name only."""
    body = {"resourcePools": [POOL]}
    begun = warm.call("POST", "?persistentResourceId=warm", version, json=body)
    name, _, operation_id = begun["name"].partition("/operations/")
    assert re.fullmatch(r"projects/\d+/locations/us-central1/persistentResources/warm", name)
    assert operation_id.isdigit()
    assert begun["metadata"]["@type"] == (
        f"{TYPES}.{version}.CreatePersistentResourceOperationMetadata"
    )
    said = [begun["metadata"]["progressMessage"]]
    for seconds in (SECONDS.provisioning - 1, 1):
        assert "done" not in warm.operation(begun)
        warm.clock.advance(seconds)
        said.append(warm.operation(begun)["metadata"]["progressMessage"])
    assert said == [
        "Create PersistentResource request received. Checking project configuration and quota...",
        "Waiting for persistent resource to be ready.",
        "Your persistent resource is ready.",
    ]
    ended = warm.operation(begun)
    assert ended["done"] is True
    assert ended["response"] == {"@type": f"{TYPES}.{version}.PersistentResource", "name": name}


def test_the_document_is_as_recorded(warm: Warm) -> None:
    """The service fills in the display name, the pool's ID and the disk; the error is empty."""
    begun = warm.create()
    before = warm.call("GET", "/warm")
    assert (before["state"], before.get("startTime")) == ("PROVISIONING", None)
    warm.clock.advance(SECONDS.provisioning)
    shown = warm.call("GET", "/warm")
    times = [shown.pop(key) for key in ("createTime", "startTime", "updateTime")]
    assert times[0] < times[1] == times[2]
    assert shown == {
        "name": begun["name"].partition("/operations/")[0],
        "displayName": "warm",
        "resourcePools": [
            {
                "id": "n1-standard-4",
                "machineSpec": {"machineType": "n1-standard-4"},
                "replicaCount": "1",
                "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100},
            }
        ],
        "state": "RUNNING",
        "error": {},
    }


def test_what_was_sent_is_shown(warm: Warm) -> None:
    """Names, labels, pools and their IDs are the caller's; a second pool has an ID of its own."""
    named = {**GPU_POOL, "id": "gpus"}
    scaled = {**POOL, "autoscalingSpec": {"minReplicaCount": "2", "maxReplicaCount": "4"}}
    del scaled["replicaCount"]
    warm.make("warm", named, POOL, scaled, displayName="Two", labels={"team": "ml"})
    shown = warm.call("GET", "/warm")
    assert (shown["displayName"], shown["labels"]) == ("Two", {"team": "ml"})
    pools = shown["resourcePools"]
    assert [pool["id"] for pool in pools] == ["gpus", "n1-standard-4", "n1-standard-4-2"]
    assert [pool["replicaCount"] for pool in pools] == ["2", "1", "2"]
    assert pools[0]["machineSpec"] == GPU_POOL["machineSpec"]


def test_one_that_does_not_exist_is_not_found(warm: Warm) -> None:
    """Every call about it gets 404 with the recorded text."""
    for method, path in (
        *(("GET", ""), ("DELETE", ""), ("POST", ":reboot")),
        ("PATCH", "?updateMask=labels"),
    ):
        error = warm.refused(method, f"/gone{path}", json={} if method != "GET" else None)
        assert error["status"] == "NOT_FOUND"
        assert error["message"] == "The PersistentResource does not exist."


@pytest.mark.parametrize(
    ("resource_id", "body", "fields"),
    [
        ("Bad_Id", {"resourcePools": [POOL]}, ["persistent_resource_id"]),
        ("", {"resourcePools": [POOL]}, ["persistent_resource_id"]),
        ("a-", {}, ["persistent_resource_id", "resource_pools"]),
        ("a" * 64, {"resourcePools": [POOL]}, ["persistent_resource_id"]),
        (
            "a",
            {"resourcePools": [{}]},
            ["resource_pools[0].machine_spec.machine_type", "resource_pools[0].replica_count"],
        ),
        (
            "a",
            {"resourcePools": [{**POOL, "replicaCount": "-1"}]},
            ["resource_pools[0].replica_count"],
        ),
        ("a", {"resourcePools": [{**POOL, "id": "x"}, {**POOL, "id": "x"}]}, ["resource_pools"]),
        (
            "a",
            {"resourcePools": [{**POOL, "machineSpec": {
                "machineType": "n1-standard-4", "acceleratorType": "NVIDIA_L4",
                "acceleratorCount": 1,
            }, "diskSpec": {"bootDiskSizeGb": 1}}]},
            [
                "resource_pools[0].machine_spec.accelerator_type",
                "resource_pools[0].disk_spec.boot_disk_size_gb",
            ],
        ),
        (
            "a",
            {"resourcePools": [{**POOL, "autoscalingSpec": {"maxReplicaCount": "1001"}}]},
            [
                "resource_pools[0].autoscaling_spec.min_replica_count",
                "resource_pools[0].autoscaling_spec.max_replica_count",
            ],
        ),
        (
            "a",
            {"resourcePools": [{**POOL, "autoscalingSpec": {
                "minReplicaCount": "2", "maxReplicaCount": "3",
            }}]},
            ["resource_pools[0].replica_count"],
        ),
        (
            "a",
            {
                "resourcePools": [POOL],
                "displayName": "x" * 129,
                "labels": {"UP": "x"},
                "network": "default",
                "encryptionSpec": {"kmsKeyName": "key"},
            },
            ["display_name", "labels", "encryption_spec.kms_key_name", "network"],
        ),
    ],
)  # fmt: skip
def test_rules_are_checked_all_at_once(
    warm: Warm, resource_id: str, body: Json, fields: list[str]
) -> None:
    """A resource that breaks rules is refused, with every rule that it breaks."""
    error = warm.refused("POST", f"?persistentResourceId={resource_id}", json=body)
    assert error["status"] == "INVALID_ARGUMENT"
    (detail,) = (one for one in error["details"] if one["@type"].endswith("BadRequest"))
    assert [one["field"] for one in detail["fieldViolations"]] == fields
    assert warm.call("GET", "") == {}


def test_the_texts_of_an_invalid_id_and_of_unknown_fields(warm: Warm) -> None:
    """A bad ID is refused in the service's reported words; an unknown field is named."""
    error = warm.refused("POST", "?persistentResourceId=A", json={"resourcePools": [POOL]})
    assert (
        "Field: persistent_resource_id; Message: persistent_resource_id can only contain"
        in (error["message"])
    )
    error = warm.refused("POST", "?persistentResourceId=a", json={"colour": "red"})
    assert "Unknown name \"colour\" at 'persistent_resource'" in error["message"]


def test_a_ray_cluster_is_not_served(warm: Warm) -> None:
    """A Ray cluster is refused with the field that asks for it, and is not made without Ray."""
    body = {"resourcePools": [POOL], "resourceRuntimeSpec": {"raySpec": {}}}
    error = warm.refused("POST", "?persistentResourceId=ray", json=body)
    assert error["status"] == "UNIMPLEMENTED"
    assert "resource_runtime_spec.ray_spec" in error["message"]


def test_an_id_can_be_used_once(warm: Warm) -> None:
    """A second create with the ID is ALREADY_EXISTS, until the first one is deleted."""
    warm.make()
    error = warm.refused("POST", "?persistentResourceId=warm", json={"resourcePools": [POOL]})
    assert (error["code"], error["status"]) == (409, "ALREADY_EXISTS")
    warm.call("DELETE", "/warm")
    warm.create()


def test_a_list_has_pages(warm: Warm) -> None:
    """A list has the resources of its region, the newest first, page by page."""
    for number in range(3):
        warm.create(f"warm-{number}")
        warm.clock.advance(1)
    page = warm.call("GET", "?pageSize=2")
    names = [one["displayName"] for one in page["persistentResources"]]
    rest = warm.call("GET", f"?pageSize=2&pageToken={page['nextPageToken']}")
    names += [one["displayName"] for one in rest["persistentResources"]]
    assert names == ["warm-2", "warm-1", "warm-0"]
    assert "nextPageToken" not in rest
    elsewhere = PARENT.replace("us-central1", "europe-west4")
    assert call(warm.emulator, "GET", f"/v1/{elsewhere}/persistentResources").json() == {}


def test_a_delete_is_done_in_its_answer(warm: Warm) -> None:
    """As recorded: the operation is the region's, is done, and the resource is gone."""
    name = warm.make()
    operation = warm.call("DELETE", "/warm")
    region = name.partition("/persistentResources/")[0]
    assert operation["name"].rpartition("/")[0] == f"{region}/operations"
    assert operation["metadata"]["@type"] == f"{TYPES}.v1.DeleteOperationMetadata"
    assert operation["done"] is True
    assert operation["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
    assert warm.operation(operation) == operation
    assert warm.refused("GET", "/warm")["status"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("DELETE", "", None), ("POST", ":reboot", {}), ("PATCH", "?updateMask=labels", {})],
)
def test_one_that_is_not_ready_refuses(warm: Warm, method: str, path: str, body: Any) -> None:
    """What is being created is not deleted, rebooted or updated; the error says its state."""
    warm.create()
    error = warm.refused(method, f"/warm{path}", json=body)
    assert error["status"] == "FAILED_PRECONDITION"
    assert "is in state PROVISIONING and cannot be " in error["message"]


def test_a_reboot_takes_its_time(warm: Warm) -> None:
    """It is REBOOTING, then RUNNING again; the operation answers with the name."""
    name = warm.make()
    first = warm.call("GET", "/warm")["startTime"]
    operation = warm.call("POST", "/warm:reboot", json={})
    assert operation["metadata"]["@type"].endswith(".RebootPersistentResourceOperationMetadata")
    assert warm.state() == "REBOOTING"
    warm.clock.advance(SECONDS.rebooting)
    assert warm.operation(operation)["response"]["name"] == name
    shown = warm.call("GET", "/warm")
    assert (shown["state"], shown["startTime"]) == ("RUNNING", first)


def test_an_update_changes_what_its_mask_names(warm: Warm) -> None:
    """It is UPDATING, and then has other labels and replicas; what is not named stays."""
    warm.make(displayName="before", labels={"a": "b"})
    body = {
        "displayName": "after",
        "labels": {"c": "d"},
        "resourcePools": [{**POOL, "id": "n1-standard-4", "replicaCount": "3"}],
    }
    for mask in ("labels,resourcePools", "labels,resource_pools"):
        operation = warm.call("PATCH", f"/warm?updateMask={mask}", json=body)
        assert operation["metadata"]["@type"].endswith("UpdatePersistentResourceOperationMetadata")
        assert warm.state() == "UPDATING"
        warm.clock.advance(SECONDS.updating)
        assert warm.operation(operation)["done"] is True
    shown = warm.call("GET", "/warm")
    assert (shown["state"], shown["displayName"], shown["labels"]) == (
        "RUNNING", "before", {"c": "d"},
    )  # fmt: skip
    assert shown["resourcePools"][0]["replicaCount"] == "3"


@pytest.mark.parametrize(
    ("mask", "body", "text"),
    [
        ("", {}, "Field: update_mask; Message: Required field is not set."),
        ("colour", {}, "`colour` is not a path"),
        ("network", {}, "`network` cannot be updated"),
        ("resourcePools", {"resourcePools": [POOL, GPU_POOL]}, "cannot be added or removed"),
        (
            "resourcePools",
            {"resourcePools": [{**GPU_POOL, "id": "n1-standard-4"}]},
            "Only the number of replicas",
        ),
        ("labels", {"labels": {"UP": "x"}}, "Field: labels;"),
    ],
)
def test_an_update_that_cannot_be_is_refused(warm: Warm, mask: str, body: Json, text: str) -> None:
    """Machines and disks of a resource cannot change, and the error names what was asked for."""
    warm.make()
    error = warm.refused("PATCH", f"/warm?updateMask={mask}", json=body)
    assert error["status"] == "INVALID_ARGUMENT"
    assert text in error["message"]
    assert warm.state() == "RUNNING"


def test_a_restart_goes_on(tmp_path: Path) -> None:
    """A resource outlives a crash, and one that is being created is ready at its time."""
    with open_warm(tmp_path) as first:
        first.make("ready", labels={"a": "b"})
        operation = first.create("begun")
        ready = first.call("GET", "/ready")
        first.emulator.crash()
        with open_warm(tmp_path, first.clock) as second:
            assert second.call("GET", "/ready") == ready
            assert second.state("begun") == "PROVISIONING"
            second.clock.advance(SECONDS.provisioning)
            assert second.state("begun") == "RUNNING"
            assert second.operation(operation)["done"] is True


@pytest.mark.parametrize(
    ("method", "path", "seconds"),
    [
        ("POST", "/warm:reboot", SECONDS.rebooting),
        ("PATCH", "/warm?updateMask=labels", SECONDS.updating),
        ("DELETE", "/warm", 10),
    ],
)
def test_an_operation_ends_that_a_kill_has_kept_from_its_end(
    tmp_path: Path, method: str, path: str, seconds: float
) -> None:
    """The next emulator ends it as it would have ended, where only the resource had changed.

    That of a deletion was never done, and the others failed: the resource does not exist.
    """
    with open_warm(tmp_path) as first:
        first.make()
        if method == "DELETE":
            # What runs there keeps the deletion from its end.
            first.submit()
            first.clock.settle()
        operation = first.call(method, path, json={"labels": {"c": "d"}} if "?" in path else {})
        operation_id = operation["name"].rpartition("/")[2]
        (file,) = tmp_path.glob(f"projects/*/locations/*/operations/{operation_id}/document.json")
        begun = file.read_bytes()
        first.clock.advance(seconds)
        ended = first.operation(operation)
        assert (ended["done"], "response" in ended) == (True, True)
        first.emulator.crash()
        file.write_bytes(begun)
        with open_warm(tmp_path, first.clock) as second:
            second.clock.settle()
            assert second.operation(operation) == ended
            if method != "DELETE":
                assert second.state() == "RUNNING"


def test_a_damaged_document_is_named(tmp_path: Path) -> None:
    """An emulator does not start on a resource that it cannot read, and says which file it is."""
    with open_warm(tmp_path) as first:
        first.make()
        first.emulator.crash()
    (file,) = tmp_path.glob("projects/*/locations/*/persistentResources/warm/document.json")
    file.write_text('{"name": "x", "state": "SLEEPING"}')
    with (
        pytest.raises(Exception, match=r"persistentResources/warm/document.json.*rm -r"),
        open_warm(tmp_path),
    ):
        pass


def test_a_reset_forgets_them(warm: Warm) -> None:
    """After a reset there is no resource, and its ID can be used again at once."""
    warm.create()
    warm.emulator.reset()
    assert warm.call("GET", "") == {}
    warm.make()


def test_an_invalid_region_is_refused(warm: Warm) -> None:
    """A region without training has no persistent resources."""
    path = "/v1/projects/my-project/locations/global/persistentResources"
    assert error_of(call(warm.emulator, "GET", path))["status"] == "INVALID_ARGUMENT"
