"""The end of a job's log, from Cloud Logging.

It is read once, for a job that failed and whose step did not report why: Cloud Logging
allows 60 reads a minute in a project, for all clients together.
https://cloud.google.com/logging/quotas#api-limits
"""

from google.auth.transport.requests import AuthorizedSession

from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.errors import translated
from zenml_vertex.cloud.transport import protect
from zenml_vertex.errors import VertexApiError

_GOOGLE = "https://logging.googleapis.com"
_PATH = "/v2/entries:list"
_OK = 200
# A traceback of ZenML's has a hundred lines where its import fails.
MAX_LINES = 200
_CONNECT_SECONDS, _READ_SECONDS = 5.0, 15.0


class VertexLogs:
    """Reads the logs of jobs; implements `following.protocols.Logs`.

    Args:
        identity: Who reads; needs `logging.logEntries.list` (roles/logging.viewer).
        endpoint: Where Vertex AI is; an emulator serves the logs of its jobs itself.
    """

    def __init__(self, identity: Identity, endpoint: Endpoint) -> None:
        self._identity = identity
        is_here = endpoint.is_emulator or endpoint.url.startswith("http://")
        self._url = (endpoint.url if is_here else _GOOGLE) + _PATH

    def fetch_tail(self, name: str, task_name: str) -> list[str]:
        """The last lines that a job's replica has written, the oldest first.

        Args:
            name: Resource name of the job.
            task_name: The replica, such as `workerpool0-0`.

        Raises:
            VertexApiError: If they cannot be read.
            CredentialsError: If there is no access token.
        """
        job_id = name.rsplit("/", 1)[-1]
        query = {
            "resourceNames": [f"projects/{self._identity.project}"],
            "filter": f'resource.type="ml_job" AND resource.labels.job_id="{job_id}" '
            f'AND resource.labels.task_name="{task_name}"',
            "orderBy": "timestamp desc",
            "pageSize": MAX_LINES,
        }
        action = f"reading the log of {name}"
        with translated(action, self._identity.description):
            session = AuthorizedSession(self._identity.credentials)
            protect(session)
            try:
                answer = session.post(
                    self._url, json=query, timeout=(_CONNECT_SECONDS, _READ_SECONDS)
                )
                content = answer.json() if answer.status_code == _OK else {}
            finally:
                session.close()
        if answer.status_code != _OK:
            raise VertexApiError(
                f"Cloud Logging answered {answer.status_code} while {action}. Reading logs needs "
                "the role roles/logging.viewer.",
                code=answer.status_code,
            )
        return [read_line(entry) for entry in reversed(content.get("entries") or [])]


def read_line(entry: dict[str, object]) -> str:
    """The text of a log entry."""
    payload = entry.get("jsonPayload")
    text = payload.get("message") if isinstance(payload, dict) else entry.get("textPayload")
    return str(text or "")
