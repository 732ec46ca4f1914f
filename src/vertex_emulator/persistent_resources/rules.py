"""What the service refuses of a persistent resource, all violations at once. Pure.

Vertex API reference, `PersistentResource`, and
https://cloud.google.com/vertex-ai/docs/training/persistent-resource-create. Texts without a
source beside them are the emulator's own.
"""

from collections import Counter
from collections.abc import Iterator

from vertex_emulator.core.errors import Json, Violation
from vertex_emulator.jobs.pool_rules import REQUIRED, check_disk, check_machine
from vertex_emulator.jobs.rules import (
    MAX_DISPLAY_NAME_CHARACTERS,
    RESOURCE_ID,
    RESOURCE_ID_MESSAGE,
    check_key,
    check_labels,
    check_network,
)

# Help of `gcloud ai persistent-resources create`.
MAX_REPLICAS = 1000
_POOLS = "resource_pools"
_CHANGEABLE = {"displayName", "labels", "resourcePools"}
_CHANGEABLE_IN_POOLS = {"replicaCount", "autoscalingSpec", "usedReplicaCount"}


def find_violations(resource: Json, resource_id: str, location: str) -> list[Violation]:
    """Everything that is wrong with a new persistent resource.

    Args:
        resource: The PersistentResource as `messages.read_resource` returns it.
        resource_id: The ID that it is to have.
        location: Region that it is created in.
    """
    found = []
    if not RESOURCE_ID.fullmatch(resource_id):
        # Public notebooks that quote the service.
        found.append(Violation("persistent_resource_id", RESOURCE_ID_MESSAGE))
    return [*found, *find_content_violations(resource, location)]


def find_content_violations(resource: Json, location: str) -> list[Violation]:
    """Everything that is wrong with a persistent resource, but for its ID."""
    found = []
    if len(resource.get("displayName", "")) > MAX_DISPLAY_NAME_CHARACTERS:
        text = "The display name must be at most 128 characters long."
        found.append(Violation("display_name", text))
    return [
        *found,
        *check_labels(resource),
        *check_key(resource, location),
        *check_network(resource, prefix=""),
        *_check_pools(resource),
    ]


def find_unchangeable(paths: list[list[str]], old: Json, new: Json) -> Iterator[Violation]:
    """What an update would change and cannot.

    That only names, labels and numbers of replicas can change is assumed: the reference calls
    the machines and the IDs of pools immutable, and says nothing of the rest.

    Args:
        paths: The update mask.
        old: The resource as it is.
        new: What it is to be.
    """
    for path in paths:
        if path[0] not in _CHANGEABLE:
            yield Violation("update_mask", f"`{'.'.join(path)}` cannot be updated.")
    if ["resourcePools"] not in paths:
        return
    before = {pool["id"]: pool for pool in old["resourcePools"]}
    after = {pool["id"]: pool for pool in new["resourcePools"]}
    if before.keys() != after.keys():
        yield Violation(_POOLS, "Resource pools cannot be added or removed.")
    for index, pool in enumerate(new["resourcePools"]):
        known = before.get(pool["id"], pool)
        if _fixed(known) != _fixed(pool):
            yield Violation(
                f"{_POOLS}[{index}]",
                f"Only the number of replicas of the resource pool `{pool['id']}` can change.",
            )


def _fixed(pool: Json) -> Json:
    return {key: value for key, value in pool.items() if key not in _CHANGEABLE_IN_POOLS}


def _check_pools(resource: Json) -> Iterator[Violation]:
    pools: list[Json] = resource.get("resourcePools", [])
    if not pools:
        yield Violation(_POOLS, REQUIRED)
    ids = Counter(pool["id"] for pool in pools if pool.get("id"))
    for pool_id, count in ids.items():
        if count > 1:
            yield Violation(_POOLS, f"The ID `{pool_id}` of a resource pool must be unique.")
    for index, pool in enumerate(pools):
        where = f"{_POOLS}[{index}]"
        machine_at, spec = f"{where}.machine_spec", {"network": resource.get("network")}
        yield from check_machine(pool.get("machineSpec", {}), machine_at, spec, "network")
        yield from check_disk(pool.get("diskSpec", {}), f"{where}.disk_spec")
        yield from _check_replicas(pool, where)


def _check_replicas(pool: Json, where: str) -> Iterator[Violation]:
    replicas = int(pool.get("replicaCount", 0))
    if replicas < 0:
        yield Violation(f"{where}.replica_count", "The number must not be negative.")
    if "autoscalingSpec" not in pool:
        if replicas == 0:
            yield Violation(f"{where}.replica_count", REQUIRED)
        return
    at = f"{where}.autoscaling_spec"
    least = int(pool["autoscalingSpec"].get("minReplicaCount", 0))
    most = int(pool["autoscalingSpec"].get("maxReplicaCount", 0))
    # Vertex API reference, AutoscalingSpec: 0 is for Ray only.
    if least < 1:
        yield Violation(f"{at}.min_replica_count", "The number must be at least 1.")
    if not least < most <= MAX_REPLICAS:
        text = f"The number must be more than `min_replica_count` and at most {MAX_REPLICAS}."
        yield Violation(f"{at}.max_replica_count", text)
    if replicas and not least <= replicas <= most:
        text = "The number must be from `min_replica_count` to `max_replica_count`."
        yield Violation(f"{where}.replica_count", text)
