"""The persistent resources of an emulator: kept in the store, and read by the driver of jobs."""

from collections.abc import Callable, Sequence

from vertex_emulator.core.documents import DOCUMENT, DocumentStore, unreadable
from vertex_emulator.core.errors import Json
from vertex_emulator.core.names import Parent
from vertex_emulator.jobs.warm_machines import WarmPool
from vertex_emulator.persistent_resources import fitting
from vertex_emulator.persistent_resources.resource import (
    COLLECTION,
    PersistentResource,
    resource_from_json,
    resource_to_json,
)
from vertex_emulator.persistent_resources.states import USABLE


class ResourceTable:
    """All persistent resources; the `WarmMachines` of the driver of jobs.

    It has no lock: the driver reads under its own, and a resource is replaced in one piece by
    `PersistentResourceService`, one call at a time.

    Args:
        store: Keeps them.
    """

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self._resources: dict[str, PersistentResource] = {}
        self.on_left: Callable[[str], object] = lambda _: None
        """Called with the name of a resource that a job has left; must not call the driver."""

    def load(self) -> None:
        """Read what is kept.

        Raises:
            DataDirError: If a document cannot be read.
        """
        loaded = (self._load(*item) for item in self._store.items(COLLECTION))
        self._resources = {resource.name: resource for resource in loaded}

    def get(self, name: str) -> PersistentResource | None:
        """A persistent resource by its resource name."""
        return self._resources.get(name)

    def all(self) -> list[PersistentResource]:
        """Every one, in no order."""
        return list(self._resources.values())

    def put(self, resource: PersistentResource) -> None:
        """Keep a persistent resource, in place of an earlier state of it.

        Raises:
            DataDirError: If it cannot be written; then nothing has changed.
        """
        self._store.put(resource.name, resource_to_json(resource))
        self._resources[resource.name] = resource

    def remove(self, name: str) -> None:
        """Forget a persistent resource."""
        self._resources.pop(name, None)
        self._store.remove(name)

    def refuse_unfit(self, parent: Parent, request: Json) -> None:
        """Refuse a job that cannot run on the persistent resource that it names."""
        resource_id = request["jobSpec"].get("persistentResourceId")
        if resource_id:
            fitting.refuse_unfit(self.get(f"{parent}/{COLLECTION}/{resource_id}"), request)

    def pools_of(self, resource: str) -> Sequence[WarmPool]:
        """The machines that jobs can use now."""
        found = self.get(resource)
        return found.pools if found and found.state in USABLE else ()

    def left(self, resource: str) -> None:
        """Tell whoever listens that a job has left a resource."""
        self.on_left(resource)

    def _load(self, name: str, document: Json) -> PersistentResource:
        try:
            resource = resource_from_json(document)
        except (AttributeError, LookupError, TypeError, ValueError) as exc:
            reason = f"it is not a persistent resource of this version ({type(exc).__name__})"
        else:
            if resource.name == name:
                return resource
            reason = "it belongs to another persistent resource"
        raise unreadable(self._store.file_of(name, DOCUMENT) or name, reason)
