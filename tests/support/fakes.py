"""Stand-ins for Vertex AI, the ZenML server and the clock. They behave; they assert nothing."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from zenml_vertex.errors import JobNotFound, RequestRejected, StepRunNotFound
from zenml_vertex.following.intents import Intent, Intents
from zenml_vertex.following.protocols import JobList, StepRunNews, StepRunRecord
from zenml_vertex.job.identity import Attempt
from zenml_vertex.job.raised import Raised
from zenml_vertex.job.request import JobJson
from zenml_vertex.job.states import interpret

PARENT = "projects/123/locations/europe-west4"
SERVER = "b2a0c0f2"
# What a list has of a job, beside its name and its labels.
_LISTED = ("state", "createTime", "startTime")


class ManualClock:
    """Time that passes only when a test sleeps on this clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


@dataclass(frozen=True)
class CreateFault:
    """A create that fails for its caller.

    Args:
        error: The exception that the caller gets instead of an answer.
        has_effect: Whether the job is created nevertheless.
    """

    error: BaseException
    has_effect: bool


class InMemoryJobs:
    """Vertex AI in memory: each read of a job takes the next item of its script.

    A script's item is a state, a whole job, or an exception that a read of it raises
    (a list leaves such a job out); the last item stays.
    """

    def __init__(self, parent: str = PARENT) -> None:
        self.parent = parent
        self.created: list[JobJson] = []
        self.cancelled: list[str] = []
        self.scripts: dict[str, list[str | JobJson | Exception]] = {}
        self.labels: dict[str, dict[str, str]] = {}
        self.create_faults: list[CreateFault | None] = []
        self.list_errors: list[Exception] = []
        self.hidden_lists = 0
        self.page_size = 100
        self.reads = 0
        self.lists = 0
        self.pages = 0
        self.on_read: Callable[[int], None] = lambda _: None

    def script(
        self, *items: str | JobJson | Exception, labels: Mapping[str, str] | None = None
    ) -> str:
        """Add a job that follows a script, and return its resource name."""
        name = f"{self.parent}/customJobs/{len(self.scripts) + 1}"
        self.scripts[name] = list(items)
        self.labels[name] = dict(labels or {})
        return name

    def create(self, parent: str, job: JobJson) -> JobJson:
        assert parent == self.parent
        fault = self.create_faults.pop(0) if self.create_faults else None
        if fault and not fault.has_effect:
            raise fault.error
        self.created.append(job)
        name = self.script("JOB_STATE_QUEUED", labels=job.get("labels"))
        if fault:
            raise fault.error
        return {**job, "name": name, "state": "JOB_STATE_PENDING"}

    def get(self, name: str) -> JobJson:
        self.reads += 1
        self.on_read(self.reads)
        if name not in self.scripts:
            raise JobNotFound(f"{name} not found", code=404)
        item = self._advance(name)
        if isinstance(item, Exception):
            raise item
        return {"name": name, "labels": self.labels[name], **item}

    def list(self, parent: str, job_filter: str, *, first_page_only: bool = False) -> JobList:
        assert parent == self.parent
        self.lists += 1
        if self.list_errors:
            raise self.list_errors.pop(0)
        if self.hidden_lists:
            self.hidden_lists -= 1
            return JobList((), is_complete=True)
        found = [
            {
                "name": name,
                "createTime": name,
                "labels": labels,
                **{key: item[key] for key in _LISTED if key in item},
            }
            for name, labels in self.labels.items()
            if _has_label(labels, job_filter)
            and isinstance(item := self._advance(name), dict)
            and f'state!="{item["state"]}"' not in job_filter
        ]
        self.pages += 1
        if first_page_only and len(found) > self.page_size:
            return JobList(tuple(found[: self.page_size]), is_complete=False)
        self.pages += max(0, (len(found) - 1) // self.page_size)
        return JobList(tuple(found), is_complete=True)

    def cancel(self, name: str) -> None:
        self.cancelled.append(name)
        if name not in self.scripts:
            raise JobNotFound(f"{name} not found", code=404)
        last = self.scripts[name][-1]
        if isinstance(last, str) and interpret(last).is_terminal:
            raise RequestRejected("the job has ended", code=400)
        self.scripts[name] = ["JOB_STATE_CANCELLING", "JOB_STATE_CANCELLED"]

    def _advance(self, name: str) -> JobJson | Exception:
        script = self.scripts[name]
        item = script.pop(0) if len(script) > 1 else script[0]
        return {"state": item} if isinstance(item, str) else item


def _has_label(labels: Mapping[str, str], job_filter: str) -> bool:
    """Return whether labels match the one comparison of labels in a filter."""
    match = re.match(r'labels\.([\w-]+)="([^"]*)"', job_filter)
    assert match, job_filter
    return labels.get(match[1]) == match[2]


class InMemoryLogs:
    """The end of every job's log: lines, or an exception to raise."""

    def __init__(self, tail: list[str] | Exception) -> None:
        self.tail = tail
        self.reads = 0
        # What was asked for last.
        self.created: datetime | None = None

    def fetch_tail(self, name: str, task_name: str, created: datetime | None = None) -> list[str]:
        """Return the lines, whatever the job."""
        del name, task_name
        self.created = created
        self.reads += 1
        if isinstance(self.tail, Exception):
            raise self.tail
        return self.tail


class InMemoryNotes:
    """The notes that containers leave, in memory."""

    def __init__(self) -> None:
        self.left: set[str] = set()
        self.looks = 0
        self.error: Exception | None = None

    def take(self, run_id: str, attempts: Collection[Attempt]) -> set[Attempt]:
        del run_id
        self.looks += 1
        if self.error:
            raise self.error
        taken = {attempt for attempt in attempts if attempt.step_run_id in self.left}
        self.left -= {attempt.step_run_id for attempt in taken}
        return taken


class InMemoryStepRuns:
    """The ZenML server's step runs in memory."""

    server_id = SERVER

    def __init__(self, status: str = "running") -> None:
        self.ended: dict[str, str] = {}
        self.initial = status
        self.found: dict[str, StepRunRecord] = {}
        self.metadata: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, str] = {}
        self.record_errors: list[BaseException | None] = []
        self.questions = 0
        self.question_errors: list[Exception | None] = []
        self.deleted: set[str] = set()
        # When step runs finished, and what their code raised, or an exception of the read.
        self.end_times: dict[str, datetime] = {}
        self.raised: dict[str, Raised | Exception] = {}

    def statuses(self, run_id: str, step_run_ids: Sequence[str]) -> Mapping[str, StepRunNews]:
        del run_id
        self.questions += 1
        if self.question_errors and (error := self.question_errors.pop(0)):
            raise error
        if len(step_run_ids) > 1:
            # A poll's answer leaves out step runs that do not exist.
            step_run_ids = [name for name in step_run_ids if name not in self.deleted]
        return {
            name: StepRunNews(self.status(name), self.end_times.get(name)) for name in step_run_ids
        }

    def read_raised(self, step_run_id: str) -> Raised | None:
        raised = self.raised.get(step_run_id)
        if isinstance(raised, Exception):
            raise raised
        return raised

    def status(self, step_run_id: str) -> str:
        self._miss(step_run_id)
        return self.ended.get(step_run_id, self.initial)

    def find_many(self, step_run_ids: Sequence[str]) -> Mapping[str, StepRunRecord | None]:
        return {step_run_id: self.find(step_run_id) for step_run_id in step_run_ids}

    def find(self, step_run_id: str) -> StepRunRecord | None:
        if step_run_id in self.found or step_run_id not in self.metadata:
            return self.found.get(step_run_id)
        recorded = dict(self.metadata[step_run_id])
        return StepRunRecord(self.status(step_run_id), "running", None, metadata=recorded)

    def record(self, step_run_id: str, metadata: Mapping[str, Any]) -> None:
        if self.record_errors and (error := self.record_errors.pop(0)):
            raise error
        recorded = self.metadata.setdefault(step_run_id, {})
        for key, value in metadata.items():
            before = recorded.get(key)
            if isinstance(before, dict) and isinstance(value, dict):
                recorded[key] = {**before, **value}
            else:
                recorded[key] = value

    def announce(self, intent: Intent) -> bool:
        return Intents(self._record_all, self._find_signed).announce(intent)

    def _record_all(self, step_run_ids: Sequence[str], metadata: Mapping[str, Any]) -> None:
        for step_run_id in step_run_ids:
            self.record(step_run_id, metadata)

    def _find_signed(
        self, step_run_ids: Sequence[str], mark: str, zenml_project: str | None
    ) -> list[str]:
        del zenml_project
        clients = {each: self.metadata[each]["zenml_vertex.client"] for each in step_run_ids}
        return [each for each, client in clients.items() if set(client) != {mark}]

    def read_metadata(self, step_run_id: str) -> Mapping[str, Any]:
        return self.metadata.get(step_run_id, {})

    def record_on_run(self, run_id: str, metadata: Mapping[str, Any]) -> None:
        self.record(run_id, metadata)

    def fail(self, step_run_id: str, message: str) -> str:
        return self._end(step_run_id, "failed", message)

    def stop(self, step_run_id: str, message: str) -> str:
        return self._end(step_run_id, "stopped", message)

    def _miss(self, step_run_id: str) -> None:
        if step_run_id in self.deleted:
            raise StepRunNotFound(f"no step run {step_run_id}")

    def _end(self, step_run_id: str, status: str, message: str) -> str:
        self._miss(step_run_id)
        self.ended[step_run_id] = status
        self.messages[step_run_id] = message
        return status
