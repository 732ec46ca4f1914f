"""Vertex AI's PersistentResourceService over REST: a few calls, without Google's client for it.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.persistentResources
"""

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from requests import Response

from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.transport import OK, RestService
from zenml_vertex.errors import (
    PermissionDenied,
    QuotaExceeded,
    RequestRejected,
    ResourceNotFound,
    ServiceUnavailable,
)
from zenml_vertex.resources.protocols import NamedJobs, OperationJson
from zenml_vertex.resources.resource import COLLECTION, ResourceJson

_UNAUTHENTICATED, _FORBIDDEN, _NOT_FOUND, _TIMEOUT, _TOO_MANY = 401, 403, 404, 408, 429
_FIRST_SERVER_ERROR = 500
# The largest page that public clients ask for of jobs; the maximum is not documented.
_PAGE_SIZE = 100
_MOST_PAGES = 50
# A step waits for this read before its job is created.
_GET_SECONDS = 10.0
# Not the rest of a job, which has its environment.
_NAMED = (
    "name,displayName,state,labels,createTime,startTime,endTime,updateTime,"
    "jobSpec.persistentResourceId"
)


class VertexPersistentResources:
    """Creates, reads and deletes persistent resources.

    Implements `resources.protocols.PersistentResources`.

    Args:
        identity: Who does it.
        endpoint: Where the API is.
    """

    def __init__(self, identity: Identity, endpoint: Endpoint) -> None:
        url = endpoint.url if "://" in endpoint.url else f"https://{endpoint.url}"
        self._service = RestService("Vertex AI", url, identity)

    def get(self, name: str) -> ResourceJson:
        return self._call("GET", name, f"reading {name}", "get", seconds=_GET_SECONDS)

    def list(self, parent: str) -> tuple[ResourceJson, ...]:
        action = f"listing persistent resources in {parent}"
        found, _ = self._list(f"{parent}/{COLLECTION}", COLLECTION, action, "list", {})
        return found

    def create(self, parent: str, resource_id: str, resource: ResourceJson) -> OperationJson:
        action = f"creating persistent resource {resource_id} in {parent}"
        query = {"persistentResourceId": resource_id}
        path = f"{parent}/{COLLECTION}"
        return self._call("POST", path, action, "create", body=resource, query=query)

    def delete(self, name: str) -> OperationJson:
        return self._call("DELETE", name, f"deleting {name}", "delete")

    def reboot(self, name: str) -> OperationJson:
        # https://cloud.google.com/vertex-ai/docs/training/persistent-resource-reboot
        return self._call("POST", f"{name}:reboot", f"rebooting {name}", "update", body={})

    def read_operation(self, name: str) -> OperationJson:
        return self._call("GET", name, f"reading {name}", "get")

    def list_jobs(self, parent: str, since: datetime | None) -> NamedJobs:
        query = {"readMask": _NAMED}
        if since:
            moment = since.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            query["filter"] = f'create_time>="{moment}"'
        action = f"listing jobs in {parent}"
        jobs, is_complete = self._list(f"{parent}/customJobs", "customJobs", action, "", query)
        named = [job for job in jobs if job.get("name") and job.get("state")]
        return NamedJobs(tuple(named), is_complete)

    def _list(
        self, path: str, key: str, action: str, verb: str, query: Mapping[str, str]
    ) -> tuple[tuple[dict[str, Any], ...], bool]:
        """What all pages list, and whether these are all."""
        asked = {**query, "pageSize": str(_PAGE_SIZE)}
        found: list[dict[str, Any]] = []
        for _ in range(_MOST_PAGES):
            page = self._call("GET", path, action, verb, query=asked)
            found += self._service.read_items(page, key, action)
            if not (token := page.get("nextPageToken")):
                return tuple(found), True
            asked["pageToken"] = str(token)
        return tuple(found), False

    def _call(
        self,
        method: str,
        path: str,
        action: str,
        verb: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        seconds: float = 30.0,
    ) -> dict[str, Any]:
        """What the service answers; `verb` is that of the permission, empty for jobs."""
        answer = self._service.call(
            method, f"/v1/{path}", action, body=body, query=query, read_seconds=seconds
        )
        self._check(answer, action, verb)
        return self._service.read(answer, action)

    def _check(self, answer: Response, action: str, verb: str) -> None:
        """Raise the error of this package that fits an answer.

        Raises:
            VertexApiError: If the answer is not 200.
        """
        code = answer.status_code
        if code == OK:
            return
        message = self._service.describe(answer, action)
        if code >= _FIRST_SERVER_ERROR or code == _TIMEOUT:
            raise ServiceUnavailable(message, code=code)
        if code == _TOO_MANY:
            # Of requests per minute, or of machines: a person reads which.
            raise QuotaExceeded(message, code=code)
        if code in (_UNAUTHENTICATED, _FORBIDDEN):
            permission = f"persistentResources.{verb}" if verb else "customJobs.list"
            raise PermissionDenied(
                f"{message} The permission that this needs is aiplatform.{permission}.", code=code
            )
        if code == _NOT_FOUND:
            # A proxy has pages that are not there, too; a step must not fail for that.
            self._service.read(answer, action)
            raise ResourceNotFound(message, code=code)
        raise RequestRejected(message, code=code)
