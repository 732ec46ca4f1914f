"""What the tests of the emulator share: calls over HTTP, and the types of fixtures."""

from collections.abc import Callable
from typing import Any

import requests

from vertex_emulator import Timings, VertexEmulator

Json = dict[str, Any]
Submit = Callable[[VertexEmulator, Json], Json]
JobOf = Callable[..., Json]

NO_WAITING = Timings(queueing=0, provisioning=0, teardown=0, cleanup=0)
PARENT = "projects/my-project/locations/us-central1"
AS_JSON = {"Content-Type": "application/json; charset=UTF-8"}
# Seconds that a process may take to start on a busy machine.
PATIENCE = 120.0


def call(emulator: VertexEmulator, method: str, path: str, **options: Any) -> requests.Response:
    """Send a request."""
    return requests.request(method, f"{emulator.url}{path}", timeout=10, **options)


def error_of(answer: requests.Response) -> Json:
    """Return the error of an answer, whose code has to be the HTTP status."""
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    error: Json = answer.json()["error"]
    assert error["code"] == answer.status_code
    return error
