"""What jobs write to Cloud Logging: entries, and the files that keep them.

https://cloud.google.com/vertex-ai/docs/training/code-requirements (stdout is INFO,
stderr is ERROR, a line that is a JSON object is taken apart) and the Logging API
reference, `LogEntry`. The `logName` of a replica's entries is not documented; the
one here is made up, and readers go by resource labels.
"""

import json
import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from vertex_emulator.core.clock import Clock
from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import format_time
from vertex_emulator.jobs.job import Job

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


class JobLogs:
    """The entries of every job, in order; safe to use from several threads.

    Args:
        file_of: Gives the file of a job's log by its ID; None for in memory.
        clock: Stamps the entries.
    """

    def __init__(self, file_of: Callable[[str], Path | None], clock: Clock) -> None:
        self._file_of = file_of
        self._clock = clock
        self._entries: dict[str, list[Json]] = {}
        self._last = clock.now()
        self._is_closed = False
        self._lock = threading.Condition()

    def write_line(self, job: Job, task: str, text: str, severity: str) -> None:
        """Write a line as it is.

        Args:
            job: The job that it is about.
            task: `service`, or the replica.
            text: The line.
            severity: One of `SEVERITIES`.
        """
        self._append(job, task, severity, {"message": text[:MAX_MESSAGE_CHARACTERS]})

    def write_output(self, job: Job, task: str, stream: str, line: str) -> None:
        """Write a line of a container's output.

        Args:
            job: The job.
            task: The replica.
            stream: `stdout` or `stderr`.
            line: Without its end.
        """
        severity, payload = parse_output(stream, line)
        self._append(job, task, severity, payload)

    def entries_of(self, job_id: str) -> list[Json]:
        """The entries of a job, the oldest first."""
        with self._lock:
            return list(self._load(job_id))

    def wait_for(self, job_id: str, text: str, seconds: float) -> bool:
        """Wait for a line that contains a text.

        Args:
            job_id: Numeric ID of the job.
            text: What to wait for.
            seconds: Of the machine's own clock; at most so long.

        Returns:
            Whether the line is there.
        """
        with self._lock:
            return self._lock.wait_for(
                lambda: any(
                    text in entry["jsonPayload"]["message"] for entry in self._load(job_id)
                ),
                seconds,
            )

    def forget(self, job_id: str) -> None:
        """Drop the entries of a job whose folder is gone."""
        with self._lock:
            self._entries.pop(job_id, None)

    def clear(self) -> None:
        """Drop the entries of every job."""
        with self._lock:
            self._entries.clear()

    def close(self) -> None:
        """Write nothing any more."""
        with self._lock:
            self._is_closed = True

    def _append(self, job: Job, task: str, severity: str, payload: Json) -> None:
        with self._lock:
            if self._is_closed:
                return
            entries = self._load(job.job_id)
            # No two entries at the same microsecond, so that their order is certain.
            moment = max(self._clock.now(), self._last + timedelta(microseconds=1))
            self._last = moment
            written = format_time(moment)
            entry: Json = {
                "insertId": f"{len(entries):012d}",
                "logName": f"projects/{job.project}/logs/{task}",
                "resource": {
                    "type": "ml_job",
                    "labels": {
                        "job_id": job.job_id,
                        "project_id": job.project,
                        "task_name": task,
                    },
                },
                "timestamp": written,
                "receiveTimestamp": written,
                "severity": severity,
                "labels": {"ml.googleapis.com/task_name": task},
                "jsonPayload": {**payload, "levelname": severity, "attrs": {"tag": task}},
            }
            entries.append(entry)
            if file := self._file_of(job.job_id):
                _append_line(file, json.dumps(entry))
            self._lock.notify_all()

    def _load(self, job_id: str) -> list[Json]:
        if job_id not in self._entries:
            file = self._file_of(job_id)
            self._entries[job_id] = _read_file(file) if file else []
        return self._entries[job_id]


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


def _append_line(file: Path, line: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as stream:
        stream.write(line + "\n")


def _read_file(file: Path) -> list[Json]:
    """The entries of a file; a line that a crash cut off is removed."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return []
    whole, _, rest = content.rpartition(b"\n")
    if rest:
        os.truncate(file, len(content) - len(rest))
    return [json.loads(line) for line in whole.splitlines()]
