"""Long-running operations: what a call has begun, and how it ends.

`google.longrunning.Operation`, https://google.aip.dev/151.
"""

import secrets
import threading

from vertex_emulator.core.clock import Clock
from vertex_emulator.core.documents import DocumentStore
from vertex_emulator.core.errors import ApiError, Json
from vertex_emulator.core.names import parse_id
from vertex_emulator.core.times import format_time

COLLECTION = "operations"
EMPTY: Json = {"@type": "type.googleapis.com/google.protobuf.Empty"}
"""The response of an operation without a result."""

# IDs look like Google's: 19 digits.
_FIRST_ID = 10**18
_IDS = 8 * 10**18


class Operations:
    """The long-running operations of every service; safe to use from several threads.

    They are kept: a service that loads its resources after a restart can finish the
    operations that it has begun before.

    Args:
        store: Keeps them.
        clock: Stamps them.
    """

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()

    def begin(self, parent: str, metadata_type: str) -> Json:
        """Begin an operation.

        Args:
            parent: Resource name of the project and region: `projects/P/locations/L`.
            metadata_type: Full name of the message that its metadata is, such as
                `google.cloud.aiplatform.v1.DeleteOperationMetadata`.

        Returns:
            The operation, which is not done.
        """
        now = format_time(self._clock.now())
        operation: Json = {
            "name": f"{parent}/{COLLECTION}/{_FIRST_ID + secrets.randbelow(_IDS)}",
            "metadata": {
                "@type": f"type.googleapis.com/{metadata_type}",
                "genericMetadata": {"createTime": now, "updateTime": now},
            },
        }
        self._store.put(operation["name"], operation)
        return operation

    def finish(self, name: str, response: Json) -> Json:
        """End an operation with its result.

        Args:
            name: Resource name of the operation.
            response: A message with its `@type`.

        Returns:
            The operation, which is done.
        """
        return self._end(name, {"response": response})

    def fail(self, name: str, error: Json) -> Json:
        """End an operation with an error.

        Args:
            name: Resource name of the operation.
            error: A `google.rpc.Status`.

        Returns:
            The operation, which is done.
        """
        return self._end(name, {"error": error})

    def get(self, parent: str, operation_id: str) -> Json:
        """An operation.

        Raises:
            ApiError: NOT_FOUND.
        """
        name = f"{parent}/{COLLECTION}/{parse_id(operation_id, 'Operation')}"
        operation = self._store.get(name)
        if operation is None:
            raise ApiError("NOT_FOUND", f"The Operation {name} does not exist.")
        return operation

    def clear(self) -> None:
        """Forget every operation."""
        with self._lock:
            for name, _ in list(self._store.items(COLLECTION)):
                self._store.remove(name)

    def _end(self, name: str, result: Json) -> Json:
        with self._lock:
            operation = self._store.get(name)
            if operation is None or operation.get("done"):
                # Forgotten by a reset in the meantime, or ended already.
                return operation or {"name": name, "done": True, **result}
            generic = operation["metadata"]["genericMetadata"]
            generic = {**generic, "updateTime": format_time(self._clock.now())}
            metadata = {**operation["metadata"], "genericMetadata": generic}
            operation = {**operation, "metadata": metadata, "done": True, **result}
            self._store.put(name, operation)
            return operation
