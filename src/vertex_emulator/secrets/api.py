"""The routes of Secret Manager."""

from typing import Any

from vertex_emulator.core.errors import ApiError
from vertex_emulator.core.operation_documents import EMPTY_MESSAGE
from vertex_emulator.http.messages import ApiRequest
from vertex_emulator.http.routes import Api, FaultTarget, Service, route
from vertex_emulator.identity.metadata_server import SERVICE_ACCOUNT
from vertex_emulator.secrets.messages import (
    ACCESS,
    SECRET,
    SECRETS_PAGE,
    VERSION,
    VERSIONS_PAGE,
)
from vertex_emulator.secrets.service import Secrets

_SECRETS = "/v1/projects/{project}/secrets"
_SECRET = f"{_SECRETS}/{{secret}}"


class SecretApi(Api):
    """Secret Manager over HTTP.

    Args:
        secrets: What each call does.
    """

    service = Service("Secret Manager", host="secretmanager.googleapis.com")

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    @route(
        "POST",
        _SECRETS,
        "simplified",
        "`replication`, `labels`, `ttl` or `expireTime`.",
        fault_method="create_secret",
        permission="secretmanager.secrets.create",
        parameters=("secretId",),
        answer=SECRET,
    )
    def create_secret(self, request: ApiRequest) -> Any:
        """Create a secret."""
        secret_id = request.query.get("secretId", "")
        return self._secrets.create(request.path["project"], secret_id, request.read_json())

    @route(
        "GET",
        _SECRETS,
        "simplified",
        "`filter` with a part of the name alone (`name:PART`), `pageSize`, `pageToken`.",
        fault_method="list_secrets",
        permission="secretmanager.secrets.list",
        parameters=("filter", "pageSize", "pageToken"),
        answer=SECRETS_PAGE,
    )
    def list_secrets(self, request: ApiRequest) -> Any:
        """A page of secrets."""
        return self._secrets.list(request.path["project"], request.query)

    @route(
        "GET",
        _SECRET,
        fault_method="get_secret",
        permission="secretmanager.secrets.get",
        answer=SECRET,
    )
    def get_secret(self, request: ApiRequest) -> Any:
        """A secret without its payload."""
        return self._secrets.get(request.path["project"], request.path["secret"])

    @route(
        "DELETE",
        _SECRET,
        fault_method="delete_secret",
        permission="secretmanager.secrets.delete",
        parameters=("etag",),
        answer=EMPTY_MESSAGE,
    )
    def delete_secret(self, request: ApiRequest) -> Any:
        """Delete a secret with all its versions."""
        return self._secrets.delete(request.path["project"], request.path["secret"])

    @route(
        "POST",
        f"{_SECRET}:addVersion",
        note="At most 64 KiB.",
        fault_method="add_secret_version",
        permission="secretmanager.versions.add",
        answer=VERSION,
    )
    def add_version(self, request: ApiRequest) -> Any:
        """Add a version."""
        body = request.read_json()
        return self._secrets.add_version(request.path["project"], request.path["secret"], body)

    @route(
        "GET",
        f"{_SECRET}/versions",
        "simplified",
        "`pageSize`, `pageToken`; `gcloud secrets delete` counts them.",
        fault_method="list_secret_versions",
        permission="secretmanager.versions.list",
        parameters=("filter", "pageSize", "pageToken"),
        answer=VERSIONS_PAGE,
    )
    def list_versions(self, request: ApiRequest) -> Any:
        """A page of the versions of a secret."""
        path = request.path
        return self._secrets.list_versions(path["project"], path["secret"], request.query)

    @route(
        "GET",
        f"{_SECRET}/versions/{{secret_version}}:access",
        "simplified",
        "A number or `latest`. Only the account of the metadata server, which jobs run as, may "
        "read secrets.",
        fault_method="access_secret_version",
        permission="secretmanager.versions.access",
        answer=ACCESS,
    )
    def access_version(self, request: ApiRequest) -> Any:
        """The payload of a version."""
        path = request.path
        if request.caller.identity != SERVICE_ACCOUNT:
            name = f"projects/{path['project']}/secrets/{path['secret']}"
            raise ApiError(
                "PERMISSION_DENIED",
                "Permission 'secretmanager.versions.access' denied for resource "
                f"'{name}/versions/{path['secret_version']}' (or it may not exist).",
            )
        return self._secrets.access(path["project"], path["secret"], path["secret_version"])

    def describe_target(self, request: ApiRequest) -> FaultTarget:
        project, secret = request.path.get("project", ""), request.path.get("secret")
        if secret:
            name = f"projects/{project}/secrets/{secret}"
            return FaultTarget(resource=name, labels=self._secrets.find_labels(project, secret))
        given = request.peek_json().get("labels")
        labels = given if isinstance(given, dict) else {}
        return FaultTarget(resource=f"projects/{project}", labels=labels)

    def reset(self) -> None:
        self._secrets.clear()
