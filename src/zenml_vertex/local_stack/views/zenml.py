"""Reads runs and steps from a ZenML server, as plain data.

Over its REST API: importing ZenML's client takes a second, and its state belongs
to the process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from zenml_vertex.local_stack.environment import USER_NAME
from zenml_vertex.local_stack.processes.loopback import send_request

_OK = 200
# The operator's own key, then that of ZenML's built-in one.
_JOB_NAME_KEYS = ("zenml_vertex.job_name", "job_name")
# The server's own limit for a page.
_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step run."""

    id: str
    # Name of the step in the pipeline.
    name: str
    # ZenML's status, e.g. `completed`.
    status: str
    # None before it has started, and before it has finished.
    start_time: datetime | None = None
    end_time: datetime | None = None
    # Run metadata.
    metadata: Mapping[str, Any] = field(default_factory=dict)
    # Message of its exception.
    error: str | None = None
    # 1, and one more for each retry.
    version: int = 1

    @property
    def job_name(self) -> str | None:
        """Resource name of its Vertex AI job; None without a job."""
        for key in _JOB_NAME_KEYS:
            if found := self.metadata.get(key):
                return str(found)
        return None

    @property
    def seconds(self) -> float | None:
        """How long it took; None before it has finished."""
        if self.start_time is None or self.end_time is None:
            return None
        return (self.end_time - self.start_time).total_seconds()


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A pipeline run."""

    id: str
    name: str
    # ZenML's status, e.g. `completed`.
    status: str
    # The oldest first; a retried step has several.
    steps: tuple[StepRecord, ...]
    # Run metadata.
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def step(self, name: str) -> StepRecord:
        """The last step run of a step.

        Raises:
            LookupError: If the run has no such step.
        """
        for step in reversed(self.steps):
            if step.name == name:
                return step
        known = ", ".join(step.name for step in self.steps) or "none"
        raise LookupError(f"The run has no step `{name}`. Its steps: {known}.")


class RecordsError(Exception):
    """The ZenML server refused a request."""


class ZenMLRecords:
    """Reads from a ZenML server, and creates what a stack is made of.

    Args:
        url: Its address.
        password: Of the default user.
    """

    def __init__(self, url: str, password: str) -> None:
        self._url = f"{url}/api/v1"
        self._password = password
        self._token = ""

    def fetch_run(self, run_id: str) -> RunRecord:
        """A run with its steps as they are now.

        Raises:
            RecordsError: If the server refuses.
            OSError: If it does not answer.
        """
        run = self.fetch(f"/runs/{run_id}", {"hydrate": "true"})
        steps = self.fetch(
            "/steps",
            {
                "pipeline_run_id": run_id,
                "hydrate": "true",
                "size": str(_PAGE_SIZE),
                "sort_by": "asc:created",
                "exclude_retried": "false",
            },
        )
        return build_run_record(run, steps["items"])

    def fetch(self, path: str, query: Mapping[str, str]) -> Any:
        """The JSON at a path below `/api/v1`.

        Raises:
            RecordsError: If the server refuses.
            OSError: If it does not answer.
        """
        return self._send("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def create(self, path: str, body: Mapping[str, Any]) -> Any:
        """Create what a JSON body describes, at a path below `/api/v1`; returns it.

        Raises:
            RecordsError: If the server refuses.
            OSError: If it does not answer.
        """
        return self._send("POST", path, body)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        answer = send_request(
            f"{self._url}{path}",
            method=method,
            body=body,
            headers={"Authorization": f"Bearer {self.log_in()}"},
            seconds=30.0,
        )
        if answer.status != _OK:
            raise RecordsError(
                f"{method} {path.partition('?')[0]}: {answer.status} {answer.content}"
            )
        return answer.content

    def log_in(self) -> str:
        """Log in, once; returns the token, which is valid as long as the server runs.

        Raises:
            RecordsError: If the server refuses.
            OSError: If it does not answer.
        """
        if not self._token:
            form = {"username": USER_NAME, "password": self._password}
            answer = send_request(f"{self._url}/login", method="POST", form=form, seconds=30.0)
            if answer.status != _OK:
                raise RecordsError(f"The ZenML server refused the login: {answer.status}")
            self._token = str(answer.content["access_token"])
        return self._token


def build_run_record(run: Mapping[str, Any], steps: list[Mapping[str, Any]]) -> RunRecord:
    """A run from the server's JSON."""
    return RunRecord(
        id=run["id"],
        name=run["name"],
        status=run["body"]["status"],
        steps=tuple(build_step_record(step) for step in steps),
        metadata=(run.get("metadata") or {}).get("run_metadata") or {},
    )


def build_step_record(step: Mapping[str, Any]) -> StepRecord:
    """A step run from the server's JSON."""
    body, metadata = step["body"], step.get("metadata") or {}
    exception = metadata.get("exception_info") or {}
    return StepRecord(
        id=step["id"],
        name=step["name"],
        status=body["status"],
        start_time=_read_time(body.get("start_time")),
        end_time=_read_time(body.get("end_time")),
        metadata=metadata.get("run_metadata") or {},
        error=exception.get("message"),
        version=body.get("version", 1),
    )


def _read_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
