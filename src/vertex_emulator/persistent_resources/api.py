"""The routes of the PersistentResourceService."""

from typing import Any

from vertex_emulator.core.names import Parent, parse_parent
from vertex_emulator.core.operation_documents import OPERATION
from vertex_emulator.http.messages import ApiRequest
from vertex_emulator.http.routes import LOCATION, Api, FaultTarget, Service, route
from vertex_emulator.persistent_resources.messages import PAGE
from vertex_emulator.persistent_resources.resource import COLLECTION
from vertex_emulator.persistent_resources.schema import PERSISTENT_RESOURCE
from vertex_emulator.persistent_resources.service import PersistentResourceService

_ALL = f"{LOCATION}/{COLLECTION}"
_ONE = f"{_ALL}/{{resource}}"


class PersistentResourceApi(Api):
    """The PersistentResourceService over HTTP.

    Args:
        resources: What each call does.
    """

    service = Service("Vertex AI PersistentResourceService", host="aiplatform.googleapis.com")

    def __init__(self, resources: PersistentResourceService) -> None:
        self._resources = resources

    @route(
        "POST",
        _ALL,
        note="Every documented rule, all violations at once. Without `raySpec`.",
        fault_method="create_persistent_resource",
        permission="aiplatform.persistentResources.create",
        parameters=("persistentResourceId",),
        answer=OPERATION,
    )
    def create_resource(self, request: ApiRequest) -> Any:
        """Create a persistent resource; a long-running operation."""
        return self._resources.create(
            _parent(request),
            request.query.get("persistentResourceId", ""),
            request.read_json(),
            version=request.path["version"],
        )

    @route(
        "GET",
        _ALL,
        note="`pageSize` (at most 100: not documented), `pageToken`. Newest first, which is "
        "assumed.",
        fault_method="list_persistent_resources",
        permission="aiplatform.persistentResources.list",
        parameters=("pageSize", "pageToken"),
        answer=PAGE,
    )
    def list_resources(self, request: ApiRequest) -> Any:
        """A page of persistent resources."""
        return self._resources.list(_parent(request), request.query)

    @route(
        "GET",
        _ONE,
        fault_method="get_persistent_resource",
        permission="aiplatform.persistentResources.get",
        answer=PERSISTENT_RESOURCE,
    )
    def get_resource(self, request: ApiRequest) -> Any:
        """A persistent resource."""
        return self._resources.get(_parent(request), request.path["resource"])

    @route(
        "PATCH",
        _ONE,
        "simplified",
        "`displayName`, `labels` and `resourcePools` with other numbers of replicas: assumed.",
        fault_method="update_persistent_resource",
        permission="aiplatform.persistentResources.update",
        parameters=("updateMask",),
        answer=OPERATION,
    )
    def update_resource(self, request: ApiRequest) -> Any:
        """Change a persistent resource; a long-running operation."""
        return self._resources.update(
            _parent(request),
            request.path["resource"],
            request.query.get("updateMask", ""),
            request.read_json(),
            version=request.path["version"],
        )

    @route(
        "DELETE",
        _ONE,
        note="Cancels the jobs on it. The operation is done at once if there are none.",
        fault_method="delete_persistent_resource",
        permission="aiplatform.persistentResources.delete",
        answer=OPERATION,
    )
    def delete_resource(self, request: ApiRequest) -> Any:
        """Delete a persistent resource; a long-running operation."""
        return self._resources.delete(
            _parent(request), request.path["resource"], version=request.path["version"]
        )

    @route(
        "POST",
        f"{_ONE}:reboot",
        note="Refused while jobs are on it.",
        fault_method="reboot_persistent_resource",
        permission="aiplatform.persistentResources.update",
        answer=OPERATION,
    )
    def reboot_resource(self, request: ApiRequest) -> Any:
        """Reboot a persistent resource; a long-running operation."""
        request.read_json()
        return self._resources.reboot(
            _parent(request), request.path["resource"], version=request.path["version"]
        )

    def describe_target(self, request: ApiRequest) -> FaultTarget:
        resource_id = request.path.get("resource")
        project, location = request.path["project"], request.path["location"]
        place = f"projects/{project}/locations/{location}"
        if resource_id is None:
            body = request.peek_json()
            labels, names = body.get("labels"), (body.get("displayName"), body.get("display_name"))
            return FaultTarget(
                resource=place,
                labels=labels if isinstance(labels, dict) else {},
                display_name=names[0] or names[1] or request.query.get("persistentResourceId"),
            )
        found = self._resources.find_resource(resource_id)
        return FaultTarget(
            resource=f"{place}/{COLLECTION}/{resource_id}",
            labels=found.labels if found else {},
            display_name=found.request["displayName"] if found else resource_id,
        )

    def start(self) -> None:
        self._resources.start()

    def reset(self) -> None:
        self._resources.clear()

    def crash(self) -> None:
        self._resources.crash()


def _parent(request: ApiRequest) -> Parent:
    return parse_parent(request.path["project"], request.path["location"])
