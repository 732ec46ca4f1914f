"""Reads jobs over Vertex AI's REST API: the emulator's, or Google's own.

Shares no code with the operator: what shows that a job ran should not be what ran it.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from zenml_vertex.local_stack.processes.loopback import send_request

Json = dict[str, Any]

_OK = 200
_POLL_SECONDS = 0.1
TERMINAL_STATES = frozenset(
    f"JOB_STATE_{state}"
    for state in ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED")
)


@dataclass(frozen=True, slots=True)
class StateChange:
    """The moment when a job took a state."""

    # Without the prefix that all states share, e.g. `PENDING`.
    state: str
    time: datetime


class JobsError(Exception):
    """Vertex AI refused a request."""


@dataclass(frozen=True, slots=True)
class VertexJobsView:
    """Reads the jobs of one project and region.

    Args:
        url: Address of the API.
        project: Project ID.
        region: Region.
    """

    url: str
    project: str
    region: str

    def fetch(self, name: str) -> Json:
        """A CustomJob as the API has it.

        Args:
            name: Resource name.

        Raises:
            JobsError: If the API refuses.
            OSError: If it does not answer.
        """
        return self._ask(f"/v1/{name}")

    def wait_until_terminal(self, name: str, seconds: float) -> Json:
        """Wait until a job can no longer change; the job as it is then.

        Args:
            name: Resource name.
            seconds: At most so long.

        Raises:
            TimeoutError: If it can still change then.
            JobsError: If the API refuses.
            OSError: If it does not answer.
        """
        deadline = time.monotonic() + seconds
        while not is_terminal(job := self.fetch(name)):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{name} is {short_state(job)} after {seconds:.0f} s.")
            time.sleep(_POLL_SECONDS)
        return job

    def fetch_all(self) -> list[Json]:
        """Every CustomJob, the newest first; at most 100.

        Raises:
            JobsError: If the API refuses.
            OSError: If it does not answer.
        """
        listed = self._ask(f"/v1/projects/{self.project}/locations/{self.region}/customJobs")
        jobs: list[Json] = listed.get("customJobs", [])
        return jobs

    def fetch_log(self, name: str, task: str) -> list[Json]:
        """Log entries of a job, the oldest first.

        Args:
            name: Resource name of the job.
            task: `service`, or a replica such as `workerpool0-0`.

        Raises:
            JobsError: If the API refuses.
            OSError: If it does not answer.
        """
        job_id = name.rsplit("/", 1)[-1]
        query = {
            "resourceNames": [f"projects/{self.project}"],
            "filter": f'resource.type="ml_job" AND resource.labels.job_id="{job_id}" '
            f'AND resource.labels.task_name="{task}"',
            "orderBy": "timestamp asc",
            "pageSize": 1000,
        }
        entries: list[Json] = self._ask("/v2/entries:list", query).get("entries", [])
        return entries

    def fetch_lines(self, name: str, task: str) -> list[str]:
        """What the log of a job says, the oldest line first; the arguments are `fetch_log`'s.

        Raises:
            JobsError: If the API refuses.
            OSError: If it does not answer.
        """
        return [read_text(entry) for entry in self.fetch_log(name, task)]

    def fetch_history(self, name: str) -> list[StateChange]:
        """The states of a job with the times when it took them.

        Raises:
            JobsError: If the API refuses.
            OSError: If it does not answer.
        """
        return build_history(self.fetch(name))

    def _ask(self, path: str, body: Json | None = None) -> Json:
        method = "GET" if body is None else "POST"
        answer = send_request(self.url + path, method=method, body=body)
        if answer.status != _OK:
            raise JobsError(f"{method} {path}: {answer.status} {answer.content}")
        content: Json = answer.content
        return content


def build_history(job: Mapping[str, Any]) -> list[StateChange]:
    """The states of a job, from what the job itself says.

    A job is created PENDING. QUEUED is there only while a job waits for quota, and CANCELLING
    is left out: nothing says when they began or ended.

    Args:
        job: The CustomJob.
    """
    first = "QUEUED" if short_state(job) == "QUEUED" else "PENDING"
    changes = [StateChange(first, read_time(job["createTime"]))]
    if "startTime" in job:
        changes.append(StateChange("RUNNING", read_time(job["startTime"])))
    if "endTime" in job:
        changes.append(StateChange(short_state(job), read_time(job["endTime"])))
    return sorted(changes, key=lambda change: change.time)


def short_state(job: Mapping[str, Any]) -> str:
    """The state of a job without the prefix that all states share."""
    return str(job["state"]).removeprefix("JOB_STATE_")


def is_terminal(job: Mapping[str, Any]) -> bool:
    """Whether a job can no longer change."""
    return job.get("state") in TERMINAL_STATES


def read_text(entry: Mapping[str, Any]) -> str:
    """What a log entry says, whether it is a text or an object with a message."""
    payload = entry.get("jsonPayload") or {}
    return str(payload.get("message", payload) if payload else entry.get("textPayload", ""))


def read_time(text: str) -> datetime:
    """Read RFC 3339 as the API writes it, with up to nine digits of a second."""
    plain = text.replace("Z", "+00:00")
    head, dot, rest = plain.partition(".")
    if dot:
        digits, plus, zone = rest.partition("+")
        plain = f"{head}.{digits[:6].ljust(6, '0')}{plus}{zone}"
    return datetime.fromisoformat(plain)
