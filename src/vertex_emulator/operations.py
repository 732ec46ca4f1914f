"""The routes of long-running operations, of whatever kind of resource.

`google.longrunning.Operations`, at the addresses that Google's client of Vertex AI has for it.
"""

import re
from datetime import timedelta
from typing import Any

from vertex_emulator.core.errors import Json, invalid_argument, unserved
from vertex_emulator.core.names import parse_parent
from vertex_emulator.core.operation_documents import (
    EMPTY_MESSAGE,
    OPERATION,
    OPERATIONS_PAGE,
    position_of,
)
from vertex_emulator.core.operations import Operations
from vertex_emulator.core.pages import read_page_size, read_page_token, write_page_token
from vertex_emulator.core.times import parse_duration
from vertex_emulator.http.messages import ApiRequest
from vertex_emulator.http.routes import Api, FaultTarget, Service, route

# Not documented; that of jobs.
MAX_PAGE_SIZE = 100

_PAGE = "/{version}/{parent:path}/operations"
_ONE = f"{_PAGE}/{{operation}}"
_UI_PAGE = "/ui/{parent:path}/operations"
_UI_ONE = f"{_UI_PAGE}/{{operation}}"
_PARENT = re.compile(
    r"projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)"
    r"(?P<resource>/[A-Za-z]+/[A-Za-z0-9_-]+)?"
)
# How long a client waits that does not say for how long.
_DEFAULT_WAIT = timedelta(minutes=1)


class OperationApi(Api):
    """Long-running operations over HTTP.

    Args:
        operations: The operations.
    """

    service = Service("Vertex AI operations", host="aiplatform.googleapis.com")

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    @route(
        "GET",
        _ONE,
        note="`{parent}` is a project and region, or a resource there: "
        "`projects/P/locations/L/customJobs/ID`.",
        fault_method="operation",
        permission="aiplatform.customJobs.get",
        answer=OPERATION,
    )
    @route(
        "GET",
        _UI_ONE,
        note="Where Google's REST clients read operations.",
        fault_method="operation",
        permission="aiplatform.customJobs.get",
        answer=OPERATION,
    )
    def get_operation(self, request: ApiRequest) -> Any:
        """An operation."""
        return self._operations.get(_parent(request), request.path["operation"])

    @route(
        "GET",
        _PAGE,
        "simplified",
        "Without `filter`. Newest first; those of a region with those of the resources there, "
        "which is an assumption.",
        fault_method="list_operations",
        permission="aiplatform.customJobs.list",
        parameters=("filter", "pageSize", "pageToken", "returnPartialSuccess"),
        answer=OPERATIONS_PAGE,
    )
    @route(
        "GET",
        _UI_PAGE,
        "simplified",
        "As above.",
        fault_method="list_operations",
        permission="aiplatform.customJobs.list",
        parameters=("filter", "pageSize", "pageToken", "returnPartialSuccess"),
        answer=OPERATIONS_PAGE,
    )
    def list_operations(self, request: ApiRequest) -> Any:
        """A page of operations."""
        parent = _parent(request)
        if request.query.get("filter"):
            raise invalid_argument("The emulator does not support filters of operations.")
        size = read_page_size(request.query.get("pageSize") or 0, MAX_PAGE_SIZE, MAX_PAGE_SIZE)
        last = read_page_token(request.query.get("pageToken", ""), parent)
        found = [
            operation
            for operation in self._operations.find_all(parent)
            if last is None or position_of(operation) < last
        ]
        answer: Json = {"operations": found[:size]} if found else {}
        if len(found) > size:
            answer["nextPageToken"] = write_page_token(position_of(found[size - 1]), parent)
        return answer

    @route(
        "POST",
        f"{_ONE}:wait",
        note="`timeout`; a minute at most.",
        fault_method="wait_operation",
        permission="aiplatform.customJobs.get",
        parameters=("timeout",),
        answer=OPERATION,
    )
    @route(
        "POST",
        f"{_UI_ONE}:wait",
        note="As above.",
        fault_method="wait_operation",
        permission="aiplatform.customJobs.get",
        parameters=("timeout",),
        answer=OPERATION,
    )
    def wait_operation(self, request: ApiRequest) -> Any:
        """An operation when it is done, or when the time is over."""
        parent, text = _parent(request), request.query.get("timeout")
        try:
            timeout = _DEFAULT_WAIT if text is None else parse_duration(text)
        except ValueError as exc:
            raise invalid_argument(
                "Invalid value at 'timeout' (type.googleapis.com/google.protobuf.Duration), "
                f'"{text}"'
            ) from exc
        seconds = max(timeout.total_seconds(), 0.0)
        return self._operations.wait(parent, request.path["operation"], seconds)

    @route(
        "POST",
        f"{_ONE}:cancel",
        "simplified",
        "Does nothing to one that is done, as each of a CustomJob is.",
        fault_method="cancel_operation",
        permission="aiplatform.customJobs.cancel",
        answer=EMPTY_MESSAGE,
    )
    @route(
        "POST",
        f"{_UI_ONE}:cancel",
        "simplified",
        "As above.",
        fault_method="cancel_operation",
        permission="aiplatform.customJobs.cancel",
        answer=EMPTY_MESSAGE,
    )
    def cancel_operation(self, request: ApiRequest) -> Any:
        """Cancel an operation."""
        self._operations.cancel(_parent(request), request.path["operation"])
        return {}

    @route(
        "DELETE",
        _ONE,
        note="The operation is forgotten, and not cancelled.",
        fault_method="delete_operation",
        permission="aiplatform.customJobs.delete",
        answer=EMPTY_MESSAGE,
    )
    @route(
        "DELETE",
        _UI_ONE,
        note="As above.",
        fault_method="delete_operation",
        permission="aiplatform.customJobs.delete",
        answer=EMPTY_MESSAGE,
    )
    def delete_operation(self, request: ApiRequest) -> Any:
        """Forget an operation."""
        self._operations.delete(_parent(request), request.path["operation"])
        return {}

    def describe_target(self, request: ApiRequest) -> FaultTarget:
        return FaultTarget(resource=request.path["parent"])

    def start(self) -> None:
        self._operations.start()

    def reset(self) -> None:
        self._operations.clear()

    def crash(self) -> None:
        self._operations.release()


def _parent(request: ApiRequest) -> str:
    """The project and region of a request, or the resource there."""
    parts = _PARENT.fullmatch(request.path["parent"])
    if parts is None:
        raise unserved(request.path["method"], f"/{request.path['parent']}/operations")
    return f"{parse_parent(parts['project'], parts['location'])}{parts['resource'] or ''}"
