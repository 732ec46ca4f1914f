"""Secret Manager over REST: a few calls, for which Google's client would be one more package.

https://cloud.google.com/secret-manager/docs/reference/rest
"""

import base64

from requests import Response

from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.transport import OK, RestService
from zenml_vertex.errors import (
    PermissionDenied,
    QuotaExceeded,
    RequestRejected,
    ServiceUnavailable,
)
from zenml_vertex.job.secrets import PREFIX, SecretJson, SecretName

_GOOGLE = "https://secretmanager.googleapis.com"
_UNAUTHENTICATED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _TOO_MANY = 401, 403, 404, 409, 429
_FIRST_SERVER_ERROR = 500
_PAGE_SIZE = 250
_FIRST_VERSION = "/versions/1"
# The thread on which the steps of a dynamic pipeline end waits for a delete.
_DELETE_SECONDS = 5.0


class SecretManager:
    """Stores, lists and deletes secrets; implements `following.protocols.Secrets`.

    Args:
        identity: Who does it.
        endpoint: Where Vertex AI is; an emulator serves secrets itself.
    """

    def __init__(self, identity: Identity, endpoint: Endpoint) -> None:
        self._service = RestService("Secret Manager", endpoint.choose_address(_GOOGLE), identity)

    def store(self, name: str, secret: SecretJson, payload: bytes) -> None:
        parsed = SecretName.parse(name)
        action = f"storing the environment of a step in {name}"
        created = self._create(parsed, secret, action)
        if created.status_code == _CONFLICT:
            # Of an earlier try, or of whoever has put it there to give containers an environment,
            # or to read this one: its versions and its policy are not known.
            self.delete(name)
            created = self._create(parsed, secret, action)
            if created.status_code == _CONFLICT:
                # A delete may take a moment to be seen.
                raise ServiceUnavailable(
                    f"{self._service.describe(created, action)} It was deleted just before.",
                    code=_CONFLICT,
                )
        self._check(created, action, parsed.project)
        body = {"payload": {"data": base64.b64encode(payload).decode("ascii")}}
        added = self._service.call("POST", f"/v1/{name}:addVersion", action, body=body)
        self._check(added, action, parsed.project)
        if not str(self._service.read(added, action).get("name")).endswith(_FIRST_VERSION):
            # Containers read the first version.
            self.delete(name)
            raise ServiceUnavailable(
                f"Secret Manager has a version of another client in {name}, which was added before "
                "the environment of the step was. The secret was deleted. If this happens again, "
                "see in the project's audit log who has added it."
            )

    def delete(self, name: str) -> None:
        action = f"deleting {name}"
        answer = self._service.call("DELETE", f"/v1/{name}", action, read_seconds=_DELETE_SECONDS)
        if answer.status_code != _NOT_FOUND:
            self._check(answer, action, SecretName.parse(name).project)

    def list(self, project: str) -> tuple[SecretJson, ...]:
        action = f"listing secrets in projects/{project}"
        # A part of a name is what the documentation shows of filters:
        # https://cloud.google.com/secret-manager/docs/filtering
        query = {"filter": f"name:{PREFIX}", "pageSize": str(_PAGE_SIZE)}
        path = f"/v1/projects/{project}/secrets"
        found: list[SecretJson] = []
        while True:
            answer = self._service.call("GET", path, action, query=query)
            self._check(answer, action, project)
            page = self._service.read(answer, action)
            found += self._service.read_items(page, "secrets", action)
            if not (token := page.get("nextPageToken")):
                return tuple(found)
            query["pageToken"] = str(token)

    def _create(self, name: SecretName, secret: SecretJson, action: str) -> Response:
        path, query = f"/v1/projects/{name.project}/secrets", {"secretId": name.secret_id}
        return self._service.call("POST", path, action, body=secret, query=query)

    def _check(self, answer: Response, action: str, project: str) -> None:
        """Raise the error of this package that fits an answer.

        Raises:
            VertexApiError: If the answer is not 200.
        """
        code = answer.status_code
        if code == OK:
            return
        message = self._service.describe(answer, action)
        if code >= _FIRST_SERVER_ERROR:
            raise ServiceUnavailable(message, code=code)
        if code == _TOO_MANY:
            raise QuotaExceeded(message, code=code)
        if code in (_UNAUTHENTICATED, _FORBIDDEN):
            cure = (
                "Enable it with `gcloud services enable secretmanager.googleapis.com "
                f"--project={project}`."
                if "SERVICE_DISABLED" in answer.text
                else "The submitting identity needs the permissions secretmanager.secrets.create, "
                ".list and .delete and secretmanager.versions.add, which "
                "roles/secretmanager.admin has."
            )
            raise PermissionDenied(f"{message} {cure}", code=code)
        raise RequestRejected(message, code=code)
