"""The route of Cloud Logging that reads entries."""

from typing import Any

from vertex_emulator.http.messages import ApiRequest
from vertex_emulator.http.routes import Api, FaultTarget, Service, route
from vertex_emulator.logs.log_store import LogStore
from vertex_emulator.logs.messages import ENTRIES_PAGE
from vertex_emulator.logs.queries import list_entries, read_query


class LogApi(Api):
    """Cloud Logging, as far as reading goes.

    Args:
        store: The logs.
    """

    service = Service("Cloud Logging", host="logging.googleapis.com")

    def __init__(self, store: LogStore) -> None:
        self._store = store

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
        return list_entries(self._store.select, read_query(request.read_json()))

    def describe_target(self, request: ApiRequest) -> FaultTarget:
        names = request.peek_json().get("resourceNames")
        return FaultTarget(resource=str(names[0]) if isinstance(names, list) and names else "")
