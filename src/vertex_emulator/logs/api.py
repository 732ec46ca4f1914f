"""The routes of Cloud Logging."""

from typing import Any

from vertex_emulator.core.errors import invalid_argument
from vertex_emulator.core.names import parse_project
from vertex_emulator.http.messages import ApiRequest
from vertex_emulator.http.routes import Api, FaultTarget, Service, route
from vertex_emulator.logs.entries import JobLogs
from vertex_emulator.logs.queries import list_entries, read_query, wanted_job_ids


class LogApi(Api):
    """Cloud Logging, as far as reading goes.

    Args:
        logs: The logs of the jobs.
    """

    service = Service("Cloud Logging", host="logging.googleapis.com")

    def __init__(self, logs: JobLogs) -> None:
        self._logs = logs

    @route(
        "POST",
        "/v2/entries:list",
        note="Comparisons, `:`, `=~`, AND, OR, NOT, texts; no functions. Entries are there at "
        "once: no figure for Google's delay is documented.",
        fault_method="entries:list",
        permission="logging.logEntries.list",
    )
    def list_entries(self, request: ApiRequest) -> Any:
        """A page of log entries."""
        query = read_query(request.read_json())
        names = query.get("resourceNames", []) + [
            f"projects/{project}" for project in query.get("projectIds", [])
        ]
        if not names:
            raise invalid_argument("The `resourceNames` of the request are empty.")
        numbers = {
            parse_project(parts[1])
            for name in names
            if (parts := name.split("/"))[0] == "projects" and len(parts) > 1
        }
        job_ids = wanted_job_ids(query.get("filter", ""))
        return list_entries(self._logs.entries_in(numbers, job_ids), query)

    def describe_target(self, request: ApiRequest) -> FaultTarget:
        names = request.peek_json().get("resourceNames")
        return FaultTarget(resource=str(names[0]) if isinstance(names, list) and names else "")
