"""A persistent resource as Vertex AI shows it. Pure.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.persistentResources
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.foreign_text import clean_line
from zenml_vertex.job.identity import is_parent
from zenml_vertex.job.times import read_timestamp

ResourceJson = dict[str, Any]
"""A PersistentResource in the spelling of the REST API, as `json.dumps` takes it."""

COLLECTION = "persistentResources"
RUNNING = "RUNNING"
UPDATING = "UPDATING"
UNKNOWN = "STATE_UNSPECIFIED"
# States in which a resource takes no jobs, and what to do then.
CURES: Mapping[str, str] = {
    "PROVISIONING": "Wait until it is RUNNING: `{show}`.",
    "REBOOTING": "Wait until it is RUNNING again: `{show}`.",
    "STOPPING": "It is being deleted. Create it again when it is gone: `{create}`.",
    "ERROR": "Reboot it with `{reboot}`, or delete it with `{delete}` and create it again.",
}

_NAME = re.compile(rf"(?P<parent>.+)/{COLLECTION}/(?P<id>[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?)")


def parse_name(text: str) -> tuple[str, str]:
    """Project and region, and the ID, of `projects/P/locations/L/persistentResources/ID`.

    Raises:
        VertexStepOperatorError: If it is anything else.
    """
    match = _NAME.fullmatch(text)
    if match is None or not is_parent(match["parent"]):
        raise VertexStepOperatorError(
            f"`{clean_line(text, 200)}` is not the name of a persistent resource. Write its ID (it "
            "starts with a letter and has lower-case letters, digits and hyphens, 63 at most), or "
            f"`projects/P/locations/L/{COLLECTION}/ID`."
        )
    return match["parent"], match["id"]


def build_command(verb: str, name: str) -> str:
    """The command that does something with a resource: `show`, `delete`, `reboot`, `create`."""
    return f"zenml-vertex persistent-resource {verb} {name}"


@dataclass(frozen=True, slots=True)
class Pool:
    """Machines of one kind."""

    pool_id: str
    # MachineSpec and DiskSpec.
    machine: Mapping[str, Any]
    disk: Mapping[str, Any]
    # How many there are, how many of them jobs have, and how many there can be.
    replicas: int
    used: int
    most: int
    # The least number of them, with autoscaling; None without.
    least: int | None = None

    @property
    def free(self) -> int:
        """How many a new job could have at once, or after the pool has grown."""
        return max(0, self.most - self.used)

    @property
    def kind(self) -> str:
        """The machine, for people."""
        machine = clean_line(str(self.machine.get("machineType", "?")), 100)
        count = _count(self.machine.get("acceleratorCount"))
        kind = clean_line(str(self.machine.get("acceleratorType", "?")), 100)
        return f"{machine} with {count} x {kind}" if count else machine

    @property
    def scale(self) -> str:
        """How many there are, for people."""
        return str(self.replicas) if self.least is None else f"{self.least} to {self.most}"

    def __str__(self) -> str:
        return f"{self.scale} x {self.kind}"


@dataclass(frozen=True, slots=True)
class PersistentResource:
    """A persistent resource, as it was read."""

    # Resource name, with the number of the project.
    name: str
    state: str
    pools: tuple[Pool, ...]
    # All that was read.
    content: Mapping[str, Any] = field(repr=False)
    # Why it is in ERROR or STOPPING; empty if nothing is said.
    error: str = ""
    created: datetime | None = None
    # When it was RUNNING first; None if it has not been.
    started: datetime | None = None

    @property
    def resource_id(self) -> str:
        """Its ID."""
        return self.name.rpartition("/")[2]

    @property
    def has_custom_account(self) -> bool:
        """Whether each job on it has to name a service account; if not, none may."""
        runtime = _object(self.content, "resourceRuntimeSpec")
        return bool(_object(runtime, "serviceAccountSpec").get("enableCustomServiceAccount"))

    @property
    def machines(self) -> str:
        """Its machines, for people."""
        return ", ".join(map(str, self.pools))

    @property
    def used(self) -> int:
        """How many machines jobs have."""
        return sum(pool.used for pool in self.pools)

    @property
    def replicas(self) -> int:
        """How many machines there are now."""
        return sum(pool.replicas for pool in self.pools)


def read_resource(content: ResourceJson) -> PersistentResource:
    """Read a PersistentResource, as API JSON; what cannot be read counts as not there."""
    error = _object(content, "error")
    pools = content.get("resourcePools")
    return PersistentResource(
        name=str(content.get("name", "")),
        state=str(content.get("state") or UNKNOWN),
        pools=tuple(_read_pool(pool) for pool in pools if isinstance(pool, dict))
        if isinstance(pools, list)
        else (),
        content=content,
        error=clean_line(str(error.get("message", ""))),
        created=read_timestamp(content.get("createTime")),
        started=read_timestamp(content.get("startTime")),
    )


def _read_pool(pool: Mapping[str, Any]) -> Pool:
    scaling = _object(pool, "autoscalingSpec")
    replicas = _count(pool.get("replicaCount"))
    return Pool(
        pool_id=str(pool.get("id", "")),
        machine=_object(pool, "machineSpec"),
        disk=_object(pool, "diskSpec"),
        replicas=replicas,
        used=_count(pool.get("usedReplicaCount")),
        most=max(replicas, _count(scaling.get("maxReplicaCount"))),
        least=_count(scaling.get("minReplicaCount")) if scaling else None,
    )


def _object(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key)
    return value if isinstance(value, Mapping) else {}


def _count(value: object) -> int:
    """A number that the API's JSON spells as one, or as a string; 0 for none."""
    text = str(value or 0)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0  # noqa: PLR2004
