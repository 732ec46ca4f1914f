"""The end of a job's log, from Cloud Logging.

It is read once, for a job that failed and whose step did not report why: Cloud Logging
allows 60 reads a minute in a project, for all clients together.
https://cloud.google.com/logging/quotas#api-limits
"""

from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.transport import OK, RestService
from zenml_vertex.errors import VertexApiError

_GOOGLE = "https://logging.googleapis.com"
_REFUSALS = (401, 403)
# A traceback of ZenML's has a hundred lines where its import fails.
MAX_LINES = 200


class VertexLogs:
    """Reads the logs of jobs; implements `following.protocols.Logs`.

    Args:
        identity: Who reads; needs `logging.logEntries.list` (roles/logging.viewer).
        endpoint: Where Vertex AI is; an emulator serves the logs of its jobs itself.
    """

    def __init__(self, identity: Identity, endpoint: Endpoint) -> None:
        self._project = identity.project
        self._service = RestService("Cloud Logging", endpoint.choose_address(_GOOGLE), identity)

    def fetch_tail(self, name: str, task_name: str) -> list[str]:
        """The last lines that a job's replica has written, the oldest first.

        Args:
            name: Resource name of the job.
            task_name: The replica, such as `workerpool0-0`.

        Raises:
            VertexApiError: If they cannot be read.
            CredentialsError: If no access token is available.
        """
        job_id = name.rsplit("/", 1)[-1]
        query = {
            "resourceNames": [f"projects/{self._project}"],
            "filter": f'resource.type="ml_job" AND resource.labels.job_id="{job_id}" '
            f'AND resource.labels.task_name="{task_name}"',
            "orderBy": "timestamp desc",
            "pageSize": MAX_LINES,
        }
        action = f"reading the log of {name}"
        answer = self._service.call("POST", "/v2/entries:list", action, body=query)
        if answer.status_code != OK:
            cure = (
                " Reading logs needs the role roles/logging.viewer."
                if answer.status_code in _REFUSALS
                else ""
            )
            raise VertexApiError(
                f"{self._service.describe(answer, action)}{cure}", code=answer.status_code
            )
        content = self._service.read(answer, action)
        entries = self._service.read_items(content, "entries", action)
        return [read_line(entry) for entry in reversed(entries)]


def read_line(entry: dict[str, object]) -> str:
    """The text of a log entry."""
    payload = entry.get("jsonPayload")
    text = payload.get("message") if isinstance(payload, dict) else entry.get("textPayload")
    return str(text or "")
