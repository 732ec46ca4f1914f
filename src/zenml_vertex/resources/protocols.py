"""What persistent resources need from Vertex AI."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from zenml_vertex.job.request import JobJson
from zenml_vertex.resources.resource import ResourceJson

OperationJson = dict[str, Any]
"""A long-running operation, https://google.aip.dev/151, as API JSON."""


@dataclass(frozen=True, slots=True)
class NamedJobs:
    """Jobs with the persistent resources that they name."""

    jobs: tuple[JobJson, ...]
    # Whether these are all; there may be more of them than are worth reading.
    is_complete: bool


class PersistentResources(Protocol):
    """The part of Vertex AI's PersistentResourceService that is needed; all is API JSON.

    Every method raises an error of the `VertexStepOperatorError` family, and those that name a
    resource ResourceNotFound.
    """

    def get(self, name: str) -> ResourceJson:
        """Read a persistent resource."""
        ...

    def list(self, parent: str) -> tuple[ResourceJson, ...]:
        """The persistent resources of `projects/P/locations/L`."""
        ...

    def create(self, parent: str, resource_id: str, resource: ResourceJson) -> OperationJson:
        """Create a persistent resource; the operation that does it."""
        ...

    def delete(self, name: str) -> OperationJson:
        """Delete a persistent resource, and cancel the jobs on it; the operation that does it."""
        ...

    def reboot(self, name: str) -> OperationJson:
        """Reboot a persistent resource; the operation that does it."""
        ...

    def read_operation(self, name: str) -> OperationJson:
        """Read an operation."""
        ...

    def list_jobs(self, parent: str, since: datetime | None) -> NamedJobs:
        """The jobs that were created since a time, with the persistent resources they name."""
        ...
