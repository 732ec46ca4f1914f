"""The ZenML server's record of step runs: the edge to ZenML's client."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from requests.exceptions import RequestException
from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.models.v2.misc.exception_info import ExceptionInfo
from zenml.orchestrators.publish_utils import (
    publish_step_run_metadata,
    publish_step_run_status_update,
)

from zenml_vertex.errors import ServerUnreachable


class ZenMLStepRuns:
    """Step runs on the active ZenML server; implements `following.protocols.StepRuns`.

    Args:
        component_id: The step operator, to which the metadata belongs.
    """

    def __init__(self, component_id: UUID) -> None:
        self._component_id = component_id

    def status(self, step_run_id: str) -> str:
        with _server_errors():
            return Client().get_run_step(UUID(step_run_id), hydrate=False).status.value

    def record(self, step_run_id: str, metadata: Mapping[str, Any]) -> None:
        with _server_errors():
            publish_step_run_metadata(UUID(step_run_id), {self._component_id: dict(metadata)})

    def fail(self, step_run_id: str, message: str) -> str:
        return _end(step_run_id, ExecutionStatus.FAILED, message)

    def stop(self, step_run_id: str, message: str) -> str:
        return _end(step_run_id, ExecutionStatus.STOPPED, message)


def _end(step_run_id: str, status: ExecutionStatus, message: str) -> str:
    with _server_errors():
        step_run = publish_step_run_status_update(
            UUID(step_run_id),
            status,
            exception_info=ExceptionInfo(traceback=message, message=message),
        )
    return step_run.status.value


@contextmanager
def _server_errors() -> Iterator[None]:
    """Turn a server that cannot be reached into an error that says so."""
    try:
        yield
    except RequestException as error:
        raise ServerUnreachable(
            f"The ZenML server cannot be reached ({type(error).__name__}). "
            "`zenml status` shows which server it is and whether it answers."
        ) from error
