"""`/emulator/*`: health, the calls so far, and a reset."""

import importlib.metadata
from collections.abc import Callable
from typing import Any

from vertex_emulator.http.calls import Calls
from vertex_emulator.http.messages import ApiRequest
from vertex_emulator.http.routes import EMULATOR, Api, route


class ControlApi(Api):
    """The routes that control the emulator; those of the fault plan are in `faults.api`.

    Args:
        calls: The calls of clients so far.
        reset_all: Resets every service of the emulator.
    """

    service = EMULATOR

    def __init__(self, calls: Calls, reset_all: Callable[[], object]) -> None:
        self._calls = calls
        self._reset_all = reset_all

    @route("GET", "/emulator/health", "emulator only", "Version.")
    def read_health(self, request: ApiRequest) -> Any:
        """Tell that the emulator is up, and its version."""
        del request
        return {"status": "ok", "version": importlib.metadata.version("zenml-vertex")}

    @route(
        "GET", "/emulator/requests", "emulator only", "Every call with the identity of its token."
    )
    def list_calls(self, request: ApiRequest) -> Any:
        """The calls so far, the oldest first."""
        del request
        return {"requests": [call.to_json() for call in self._calls]}

    @route(
        "POST",
        "/emulator/reset",
        "emulator only",
        "Ends and forgets all jobs, logs, tokens, calls and faults.",
    )
    def reset_emulator(self, request: ApiRequest) -> Any:
        """Reset every service; answered when it is done."""
        del request
        self._reset_all()
        return {}

    def reset(self) -> None:
        self._calls.clear()
