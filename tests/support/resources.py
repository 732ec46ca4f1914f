"""Persistent resources in memory, for what needs no HTTP."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from zenml_vertex.errors import ResourceNotFound
from zenml_vertex.resources.protocols import NamedJobs, OperationJson
from zenml_vertex.resources.resource import ResourceJson


def make_content(
    name: str, *, replicas: int = 1, used: int = 0, state: str = "RUNNING", **content: Any
) -> ResourceJson:
    """A resource with one pool, as the API has it."""
    pool = {
        "id": "n1-standard-4",
        "machineSpec": {"machineType": "n1-standard-4"},
        "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100},
        "replicaCount": str(replicas),
        "usedReplicaCount": str(used),
    }
    return {"name": name, "state": state, "resourcePools": [pool], **content}


class InMemoryResources:
    """Persistent resources that stay as they are; operations follow a script.

    Args:
        found: Resource name -> the resource.
        operations: What reads of an operation find, one after the other; the last stays.
    """

    def __init__(
        self,
        found: Mapping[str, ResourceJson],
        operations: Sequence[OperationJson | Exception] = (),
    ) -> None:
        self.found = dict(found)
        self.operations = list(operations)
        self.error: Exception | None = None
        self.reads = 0

    def get(self, name: str) -> ResourceJson:
        self.reads += 1
        if self.error:
            raise self.error
        if name not in self.found:
            raise ResourceNotFound(f"{name} not found", code=404)
        return self.found[name]

    def list(self, parent: str) -> tuple[ResourceJson, ...]:
        return tuple(one for name, one in self.found.items() if name.startswith(f"{parent}/"))

    def create(self, parent: str, resource_id: str, resource: ResourceJson) -> OperationJson:
        raise NotImplementedError

    def delete(self, name: str) -> OperationJson:
        raise NotImplementedError

    def reboot(self, name: str) -> OperationJson:
        raise NotImplementedError

    def read_operation(self, name: str) -> OperationJson:
        self.reads += 1
        found = self.operations.pop(0) if len(self.operations) > 1 else self.operations[0]
        if isinstance(found, Exception):
            raise found
        return {"name": name, **found}

    def list_jobs(self, parent: str, since: datetime | None) -> NamedJobs:
        raise NotImplementedError
