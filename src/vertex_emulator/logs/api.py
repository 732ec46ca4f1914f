"""The routes of Cloud Logging."""

from typing import Any

from vertex_emulator.core.clock import Clock
from vertex_emulator.core.documents import DocumentStore
from vertex_emulator.http.messages import ApiRequest
from vertex_emulator.http.routes import Api, FaultTarget, Service, route
from vertex_emulator.logs.log_store import LogStore
from vertex_emulator.logs.messages import ENTRIES_PAGE, WRITTEN
from vertex_emulator.logs.queries import list_entries, read_query
from vertex_emulator.logs.written_logs import WrittenLogs


class LogApi(Api):
    """Cloud Logging, as far as entries go.

    Args:
        logs: The logs.
        documents: Keeps what clients write.
        clock: Stamps it.
    """

    service = Service("Cloud Logging", host="logging.googleapis.com")

    def __init__(self, logs: LogStore, documents: DocumentStore, clock: Clock) -> None:
        self._logs = logs
        self._written = WrittenLogs(logs, documents, clock)

    @route(
        "POST",
        "/v2/entries:list",
        note="The whole query language but the functions `cast` and `regexp_extract`, which are "
        "refused. Entries are there at once: no figure for Google's delay is documented.",
        fault_method="entries:list",
        permission="logging.logEntries.list",
        answer=ENTRIES_PAGE,
    )
    def list_entries(self, request: ApiRequest) -> Any:
        """A page of log entries."""
        return list_entries(self._logs.select, read_query(request.read_json()))

    @route(
        "POST",
        "/v2/entries:write",
        "simplified",
        "Logs of projects; `textPayload` and `jsonPayload`.",
        fault_method="entries:write",
        permission="logging.logEntries.create",
        answer=WRITTEN,
    )
    def write_entries(self, request: ApiRequest) -> Any:
        """Write log entries."""
        self._written.write(request.read_json())
        return {}

    def describe_target(self, request: ApiRequest) -> FaultTarget:
        body = request.peek_json()
        names = body.get("resourceNames") or [body.get("logName") or ""]
        return FaultTarget(resource=str(names[0]) if isinstance(names, list) else "")

    def start(self) -> None:
        self._written.start()

    def reset(self) -> None:
        self._written.clear()
