"""A persistent resource, and where in its life it is. Pure data.

Vertex API reference, `PersistentResource`. What the service fills in and leaves out:
https://github.com/GoogleCloudPlatform/k8s-config-connector, `_http.log` of
aiplatformpersistentresource.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta

from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import format_time, format_timestamp, parse_time
from vertex_emulator.jobs.defaults import fill_disk
from vertex_emulator.jobs.warm_machines import WarmPool
from vertex_emulator.persistent_resources.incidents import (
    ResourceAct,
    Stage,
    act_from_json,
    act_to_json,
)
from vertex_emulator.persistent_resources.states import USABLE, ResourceState

COLLECTION = "persistentResources"
_TIMES = ("create_time", "update_time", "stage_time", "start_time")


@dataclass(frozen=True, slots=True)
class PersistentResource:
    """A persistent resource, at one moment of its life."""

    # Resource name, with the number of the project.
    name: str
    # What its creator set, with the defaults filled in.
    request: Json
    create_time: datetime
    # When it last changed.
    update_time: datetime
    state: ResourceState = ResourceState.PROVISIONING
    # When the stage of its script began: its create, or its first entry into RUNNING.
    stage_time: datetime | None = None
    # First entry into RUNNING.
    start_time: datetime | None = None
    # `google.rpc.Status`; only in ERROR.
    error: Json | None = None
    # Name of the operation that is under way, or that has ended last; empty for none.
    operation: str = ""
    # What it will have once it is updated; None unless it is being updated.
    update: Json | None = None
    # Acts still to be done to it, each in a stage.
    script: tuple[ResourceAct, ...] = field(default=(), repr=False)

    @property
    def resource_id(self) -> str:
        """Its ID, which its creator has chosen."""
        return self.name.rpartition("/")[2]

    @property
    def parent(self) -> str:
        """Resource name of its project and region."""
        return self.name.partition(f"/{COLLECTION}/")[0]

    @property
    def location(self) -> str:
        """Its region."""
        return self.parent.rpartition("/")[2]

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        labels: dict[str, str] = self.request.get("labels", {})
        return labels

    @property
    def stage(self) -> Stage | None:
        """The stage in which acts of its script are done; None for none."""
        if self.state is ResourceState.PROVISIONING:
            return "provisioning"
        return "running" if self.state in USABLE else None

    @property
    def pools(self) -> tuple[WarmPool, ...]:
        """Its machines, whether jobs can use them now or not."""
        return tuple(
            WarmPool(pool["machineSpec"], pool["diskSpec"], most_replicas(pool))
            for pool in self.request["resourcePools"]
        )

    @property
    def has_custom_account(self) -> bool:
        """Whether each job on it has to name a service account."""
        runtime = self.request.get("resourceRuntimeSpec", {})
        return bool(runtime.get("serviceAccountSpec", {}).get("enableCustomServiceAccount"))

    def next_act(self) -> tuple[ResourceAct, datetime] | None:
        """The next act of its script in this stage, with its time."""
        begun = self.stage_time
        if begun is None:
            return None
        acts = [
            (act, begun + timedelta(seconds=act.after))
            for act in self.script
            if act.stage == self.stage
        ]
        return min(acts, key=lambda item: item[1], default=None)

    def to_json(self, used: Sequence[int]) -> Json:
        """The PersistentResource that clients see.

        Args:
            used: How many replicas of each pool jobs have.
        """
        pools = [
            {
                **pool,
                "replicaCount": str(max(int(pool["replicaCount"]), count)),
                **({"usedReplicaCount": str(count)} if count else {}),
            }
            for pool, count in zip(self.request["resourcePools"], used, strict=True)
        ]
        message: Json = {
            "name": self.name,
            **self.request,
            "resourcePools": pools,
            "state": self.state.value,
            # As recorded: it is there and empty while nothing is wrong.
            "error": self.error or {},
            "createTime": format_timestamp(self.create_time),
            "updateTime": format_timestamp(self.update_time),
        }
        if self.start_time is not None:
            message["startTime"] = format_timestamp(self.start_time)
        return message


def most_replicas(pool: Json) -> int:
    """How many machines a pool can have: with autoscaling, its maximum."""
    scaling = pool.get("autoscalingSpec", {})
    return int(scaling.get("maxReplicaCount", pool.get("replicaCount", 0)))


def fill_defaults(request: Json, resource_id: str) -> Json:
    """The resource with what the service fills in: names, disks, replicas.

    Recorded: the display name is the ID, the ID of a pool its machine type. That of a second
    pool with the same machine type is made up.
    """
    taken = {pool["id"] for pool in request["resourcePools"] if pool.get("id")}
    pools = []
    for pool in request["resourcePools"]:
        scaling = pool.get("autoscalingSpec", {})
        replicas = pool.get("replicaCount", scaling.get("minReplicaCount"))
        pool_id = pool.get("id") or _free_id(pool["machineSpec"]["machineType"], taken)
        taken.add(pool_id)
        pools.append(fill_disk({**pool, "id": pool_id, "replicaCount": replicas}))
    name = request.get("displayName", resource_id)
    return {**request, "displayName": name, "resourcePools": pools}


def _free_id(machine_type: str, taken: set[str]) -> str:
    number, pool_id = 1, machine_type
    while pool_id in taken:
        number, pool_id = number + 1, f"{machine_type}-{number + 1}"
    return pool_id


def resource_to_json(resource: PersistentResource) -> Json:
    """A persistent resource as it is kept."""
    kept: Json = {item.name: getattr(resource, item.name) for item in fields(resource)}
    for name in _TIMES:
        kept[name] = format_time(kept[name]) if kept[name] else None
    kept["state"] = resource.state.value
    kept["script"] = [act_to_json(act) for act in resource.script]
    return kept


def resource_from_json(kept: Json) -> PersistentResource:
    """The persistent resource that was kept.

    Raises:
        ValueError: For an unknown state, or an invalid time.
        TypeError: For an unknown field, or a value of the wrong type.
        LookupError: For a missing field.
    """
    times = {name: parse_time(kept[name]) if kept[name] else None for name in _TIMES}
    state = ResourceState(kept["state"])
    script = tuple(act_from_json(act) for act in kept["script"])
    resource = PersistentResource(**{**kept, **times, "state": state, "script": script})
    # A damaged one is found here, and not in the middle of a call.
    resource.to_json([0] * len(resource.pools))
    return resource
