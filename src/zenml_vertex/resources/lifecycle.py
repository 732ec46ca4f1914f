"""Waiting for what takes minutes: a resource that is created, rebooted or deleted."""

from collections.abc import Callable
from typing import Any

from zenml_vertex.clock import Clock
from zenml_vertex.errors import RequestRejected, VertexStepOperatorError
from zenml_vertex.foreign_text import clean_line, end_sentence
from zenml_vertex.job.times import format_duration
from zenml_vertex.resources.protocols import OperationJson, PersistentResources

# A create takes 4 to 5 minutes in Google's examples.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 15.0
# How long reads may fail in a row.
OUTAGE_SECONDS = 10 * 60.0


def wait_for_operation(
    resources: PersistentResources,
    operation: OperationJson,
    clock: Clock,
    *,
    say: Callable[[str], object],
) -> OperationJson:
    """Wait until an operation is done, and say what it says of itself.

    Args:
        resources: Vertex AI.
        operation: The operation, as it was answered.
        clock: Where time comes from.
        say: Gets each new message, with the time that has passed.

    Raises:
        RequestRejected: If the operation fails; with what it says.
        VertexStepOperatorError: If it cannot be read for ten minutes.
    """
    start = last_read = clock.monotonic()
    pause = FIRST_PAUSE_SECONDS
    said = failure = ""
    while True:
        message = _read_message(operation)
        if message and message != said:
            say(f"{format_duration(clock.monotonic() - start)}: {message}")
            said = message
        if operation.get("done"):
            return _check(operation)
        clock.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
        try:
            operation = resources.read_operation(str(operation.get("name", "")))
            last_read = clock.monotonic()
        except VertexStepOperatorError as error:
            if not error.retryable or clock.monotonic() - last_read >= OUTAGE_SECONDS:
                raise
            if str(error) != failure:
                say(str(error))
                failure = str(error)


def _read_message(operation: OperationJson) -> str:
    metadata: Any = operation.get("metadata")
    text = metadata.get("progressMessage") if isinstance(metadata, dict) else None
    return clean_line(str(text or ""))


def _check(operation: OperationJson) -> OperationJson:
    error = operation.get("error")
    if not isinstance(error, dict) or not error:
        return operation
    text = end_sentence(clean_line(str(error.get("message") or "")))
    raise RequestRejected(
        f"Vertex AI has given up with code {error.get('code', '?')}: {text or 'it says no more.'}"
    )
