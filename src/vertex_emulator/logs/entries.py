"""What jobs write to Cloud Logging.

https://cloud.google.com/vertex-ai/docs/training/code-requirements (stdout is INFO,
stderr is ERROR, a line that is a JSON object is taken apart) and the Logging API
reference, `LogEntry`. The `logName` of a replica's entries is not documented; the
one here is made up, and readers go by resource labels.
"""

import json
import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from vertex_emulator.core.clock import Clock
from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import format_time
from vertex_emulator.logs.log_store import LogStore, Mark
from vertex_emulator.logs.texts import read_texts

# https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry#LogSeverity
SEVERITIES = {
    "DEFAULT": 0,
    "DEBUG": 100,
    "INFO": 200,
    "NOTICE": 300,
    "WARNING": 400,
    "ERROR": 500,
    "CRITICAL": 600,
    "ALERT": 700,
    "EMERGENCY": 800,
}
# https://cloud.google.com/logging/quotas: a LogEntry has at most 256 KiB. What is
# longer is cut here; what Google does with such a line of a job is not documented.
MAX_MESSAGE_CHARACTERS = 60_000

_STREAM_SEVERITY = {"stdout": "INFO", "stderr": "ERROR"}


@dataclass(frozen=True, slots=True)
class _Origin:
    """Whose log it is.

    Args:
        project: ID of the job's project as its creator wrote it.
        number: Number of the project.
    """

    project: str
    number: str


class JobLogs:
    """The entries of every job, in order; safe to use from several threads.

    A log is known by the ID of its job. Lines for a log that is not open are
    dropped.

    Args:
        clock: Stamps the entries.
        store: Keeps them.
    """

    def __init__(self, clock: Clock, store: LogStore) -> None:
        self._clock = clock
        self._store = store
        self._origins: dict[str, _Origin] = {}
        self._last = clock.now()
        self._lock = threading.Lock()

    def open(self, job_id: str, *, project: str, number: str, file: Path | None) -> None:
        """Open the log of a job.

        Args:
            job_id: Numeric ID of the job.
            project: ID of its project, as entries show it.
            number: Number of its project.
            file: Keeps the entries, and may have earlier ones; None for a temporary one.
        """
        with self._lock:
            self._origins[job_id] = _Origin(project, number)
        self._store.open(job_id, number=number, file=file, job_id=job_id)

    def write_line(self, job_id: str, task: str, text: str, severity: str) -> None:
        """Write a line as it is.

        Args:
            job_id: Numeric ID of the job that it is about.
            task: `service`, or the replica.
            text: The line.
            severity: One of `SEVERITIES`.
        """
        self._append(job_id, task, severity, {"message": text[:MAX_MESSAGE_CHARACTERS]})

    def write_output(
        self,
        job_id: str,
        task: str,
        stream: str,
        line: str,
        mark: Mark | None = None,
    ) -> None:
        """Write a line of a container's output.

        Args:
            job_id: Numeric ID of the job.
            task: The replica.
            stream: `stdout` or `stderr`.
            line: The line, without its line break.
            mark: Which line it is; kept for `count_lines`.
        """
        severity, payload = parse_output(stream, line)
        self._append(job_id, task, severity, payload, mark)

    def count_lines(self, job_id: str, attempt: int) -> dict[str, int]:
        """How many lines of a container are in its job's log, by stream.

        Args:
            job_id: Numeric ID of the job.
            attempt: Number of the container's start.
        """
        counts = self._store.count_lines(job_id)
        return {stream: number for (one, stream), number in counts.items() if one == attempt}

    def entries_of(self, job_id: str) -> list[Json]:
        """The entries of a job, the oldest first."""
        return self._store.entries_of(job_id)

    def wait_for(self, job_id: str, text: str, seconds: float) -> bool:
        """Wait for a line that contains a text.

        Args:
            job_id: Numeric ID of the job.
            text: The text to wait for.
            seconds: How long to wait at most, by the machine's own clock.

        Returns:
            Whether the line is there.
        """
        return self._store.wait_for(job_id, lambda entry: _has_text(entry, text), seconds)

    def forget(self, job_id: str) -> None:
        """Drop the log of a deleted job."""
        with self._lock:
            self._origins.pop(job_id, None)
        self._store.forget(job_id)

    def close(self) -> None:
        """Write nothing from now on."""
        self._store.close()

    def _append(
        self,
        job_id: str,
        task: str,
        severity: str,
        payload: Json,
        mark: Mark | None = None,
    ) -> None:
        with self._lock:
            origin = self._origins.get(job_id)
            if origin is None:
                return
            # No two entries at the same microsecond, so that their order is certain.
            moment = max(self._clock.now(), self._last + timedelta(microseconds=1))
            self._last = moment
            written = format_time(moment)
            entry: Json = {
                "insertId": f"{self._store.count(job_id):012d}",
                "logName": f"projects/{origin.project}/logs/{task}",
                "resource": {
                    "type": "ml_job",
                    "labels": {
                        "job_id": job_id,
                        "project_id": origin.project,
                        "task_name": task,
                    },
                },
                "timestamp": written,
                "receiveTimestamp": written,
                "severity": severity,
                "labels": {"ml.googleapis.com/task_name": task},
                "jsonPayload": {**payload, "levelname": severity, "attrs": {"tag": task}},
            }
            self._store.append(job_id, entry, mark)


def parse_output(stream: str, line: str) -> tuple[str, Json]:
    """The severity and payload of a line of output.

    `severity` and `message` of a JSON object are the entry's own; its other fields
    stay in the payload.
    """
    severity = _STREAM_SEVERITY[stream]
    if line.lstrip().startswith("{") and len(line) <= MAX_MESSAGE_CHARACTERS:
        try:
            fields: Any = json.loads(line)
        except (ValueError, RecursionError):
            fields = None
        if isinstance(fields, dict):
            named = str(fields.pop("severity", severity)).upper()
            severity = named if named in SEVERITIES else severity
            return severity, {**fields, "message": str(fields.get("message", ""))}
    return severity, {"message": line[:MAX_MESSAGE_CHARACTERS]}


def _has_text(entry: Json, text: str) -> bool:
    """Whether the payload of an entry has a text, whatever its shape."""
    payloads = (value for key, value in entry.items() if key.endswith("Payload"))
    return any(text in found for payload in payloads for found in read_texts(payload))
