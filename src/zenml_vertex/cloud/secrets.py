"""Secret Manager over REST: a few calls, for which Google's client would be one more package.

https://cloud.google.com/secret-manager/docs/reference/rest
"""

import base64
from typing import Any

from google.auth.transport.requests import AuthorizedSession
from requests import Response

from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.errors import translated
from zenml_vertex.cloud.transport import protect
from zenml_vertex.errors import (
    PermissionDenied,
    QuotaExceeded,
    RequestRejected,
    ServiceUnavailable,
)
from zenml_vertex.foreign_text import clean_line
from zenml_vertex.job.secrets import PREFIX, SecretJson, SecretName

_GOOGLE = "https://secretmanager.googleapis.com"
_OK, _UNAUTHENTICATED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _TOO_MANY = 200, 401, 403, 404, 409, 429
_FIRST_SERVER_ERROR = 500
_PAGE_SIZE = 250
_CONNECT_SECONDS, _READ_SECONDS = 5.0, 15.0


class SecretManager:
    """Stores, lists and deletes secrets; implements `following.protocols.Secrets`.

    Args:
        identity: Who does it.
        endpoint: Where Vertex AI is; an emulator serves secrets itself.
    """

    def __init__(self, identity: Identity, endpoint: Endpoint) -> None:
        self._identity = identity
        is_here = endpoint.is_emulator or endpoint.url.startswith("http://")
        self._url = f"{endpoint.url if is_here else _GOOGLE}/v1/"

    def store(self, name: str, secret: SecretJson, payload: bytes) -> None:
        parsed = SecretName.parse(name)
        action = f"storing the environment of a step in {name}"
        query = {"secretId": parsed.secret_id}
        created = self._call("POST", f"projects/{parsed.project}/secrets", action, secret, query)
        # It exists after a create whose response was lost.
        if created.status_code != _CONFLICT:
            _check(created, action, parsed.project)
        data = base64.b64encode(payload).decode("ascii")
        added = self._call("POST", f"{name}:addVersion", action, {"payload": {"data": data}})
        _check(added, action, parsed.project)

    def delete(self, name: str) -> None:
        action = f"deleting {name}"
        answer = self._call("DELETE", name, action)
        if answer.status_code != _NOT_FOUND:
            _check(answer, action, SecretName.parse(name).project)

    def list(self, project: str) -> tuple[SecretJson, ...]:
        action = f"listing secrets in projects/{project}"
        # A part of a name is what the documentation shows of filters:
        # https://cloud.google.com/secret-manager/docs/filtering
        query = {"filter": f"name:{PREFIX}", "pageSize": str(_PAGE_SIZE)}
        found: list[SecretJson] = []
        while True:
            answer = self._call("GET", f"projects/{project}/secrets", action, query=query)
            _check(answer, action, project)
            page = _read_object(answer, action)
            found += page.get("secrets") or []
            if not (token := page.get("nextPageToken")):
                return tuple(found)
            query["pageToken"] = str(token)

    def _call(
        self,
        method: str,
        path: str,
        action: str,
        body: SecretJson | None = None,
        query: dict[str, str] | None = None,
    ) -> Response:
        with translated(action, self._identity.description):
            session = AuthorizedSession(self._identity.credentials)
            protect(session)
            try:
                answer: Response = session.request(
                    method,
                    self._url + path,
                    json=body,
                    params=query,
                    timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                )
            finally:
                session.close()
        return answer


def _check(answer: Response, action: str, project: str) -> None:
    """Raise the error of this package that fits an answer.

    Raises:
        VertexApiError: If the answer is not 200.
    """
    code = answer.status_code
    if code == _OK:
        return
    error = _read_error(answer)
    text = clean_line(str(error.get("message") or ""))
    message = f"Secret Manager answered {code} while {action}{': ' if text else '.'}{text}"
    if code >= _FIRST_SERVER_ERROR:
        raise ServiceUnavailable(message, code=code)
    if code == _TOO_MANY:
        raise QuotaExceeded(message, code=code)
    if code in (_UNAUTHENTICATED, _FORBIDDEN):
        cure = (
            f" Enable it with `gcloud services enable secretmanager.googleapis.com "
            f"--project={project}`."
            if "SERVICE_DISABLED" in answer.text
            else " The submitting identity needs the permissions secretmanager.secrets.create, "
            ".list and .delete and secretmanager.versions.add, which "
            "roles/secretmanager.admin has."
        )
        raise PermissionDenied(message + cure, code=code)
    raise RequestRejected(message, code=code)


def _read_error(answer: Response) -> SecretJson:
    try:
        error = answer.json()["error"]
    except (ValueError, LookupError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def _read_object(answer: Response, action: str) -> SecretJson:
    try:
        content: Any = answer.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ServiceUnavailable(f"Got a response that is not Secret Manager's while {action}.")
    return content
