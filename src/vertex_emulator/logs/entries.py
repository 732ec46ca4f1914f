"""What jobs write to Cloud Logging: entries, and the files that keep them.

https://cloud.google.com/vertex-ai/docs/training/code-requirements (stdout is INFO,
stderr is ERROR, a line that is a JSON object is taken apart) and the Logging API
reference, `LogEntry`. The `logName` of a replica's entries is not documented; the
one here is made up, and readers go by resource labels.
"""

import errno
import json
import logging
import os
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from vertex_emulator.core.clock import Clock
from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import format_time

logger = logging.getLogger(__name__)

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

# Which line of a container's output an entry is; in files alone.
_MARK = "line"
_STREAM_SEVERITY = {"stdout": "INFO", "stderr": "ERROR"}


@dataclass(slots=True)
class _Log:
    """The log of a job."""

    # ID of the job's project as its creator wrote it, and the project's number.
    project: str
    number: str
    # Keeps the entries; None for in memory.
    file: Path | None
    # Oldest first; None until they are read from the file.
    entries: list[Json] | None = field(default=None, repr=False)
    # (attempt, stream) -> how many lines of a container's output are in the file.
    counts: dict[tuple[int, str], int] = field(default_factory=dict)
    # Whether the last entry could not be written to the file.
    has_failed: bool = False

    def load(self) -> list[Json]:
        """The entries, to be appended to."""
        if self.entries is None:
            self.entries = _read_file(self.file) if self.file else []
            for entry in self.entries:
                if mark := entry.pop(_MARK, None):
                    attempt, stream, number = mark
                    self.counts[attempt, stream] = number
        return self.entries

    def write(self, line: str) -> None:
        """Add a line to the file; without room for it, its entry is in memory only."""
        if self.file is None:
            return
        try:
            _append_line(self.file, line)
        except OSError as error:
            if not self.has_failed:
                logger.error("Cannot write to %s: %s.", self.file, error.strerror)  # noqa: TRY400
            self.has_failed = True
        else:
            self.has_failed = False


class JobLogs:
    """The entries of every job, in order; safe to use from several threads.

    A log is known by the ID of its job. Lines for a log that is not open are
    dropped.

    Args:
        clock: Stamps the entries.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._logs: dict[str, _Log] = {}
        self._last = clock.now()
        self._is_closed = False
        self._lock = threading.Condition()

    def open(self, job_id: str, *, project: str, number: str, file: Path | None) -> None:
        """Open the log of a job.

        Args:
            job_id: Numeric ID of the job.
            project: ID of its project, as entries show it.
            number: Number of its project.
            file: Keeps the entries, and may have earlier ones; None keeps them in memory.
        """
        with self._lock:
            self._logs[job_id] = _Log(project, number, file)

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
        mark: tuple[int, str, int] | None = None,
    ) -> None:
        """Write a line of a container's output.

        Args:
            job_id: Numeric ID of the job.
            task: The replica.
            stream: `stdout` or `stderr`.
            line: The line, without its line break.
            mark: Attempt, stream, and number of the line, from 1; kept for `count_lines`.
        """
        severity, payload = parse_output(stream, line)
        self._append(job_id, task, severity, payload, mark)

    def count_lines(self, job_id: str, attempt: int) -> dict[str, int]:
        """How many lines of a container are in its job's log, by stream.

        Args:
            job_id: Numeric ID of the job.
            attempt: Number of the container's start.
        """
        with self._lock:
            log = self._logs[job_id]
            log.load()
            return {
                stream: number for (one, stream), number in log.counts.items() if one == attempt
            }

    def entries_of(self, job_id: str) -> list[Json]:
        """The entries of a job, the oldest first."""
        with self._lock:
            log = self._logs.get(job_id)
            return list(log.load()) if log else []

    def entries_in(
        self, numbers: Collection[str], job_ids: Collection[str] | None = None
    ) -> list[Json]:
        """The entries of several jobs, job by job.

        Args:
            numbers: Numbers of their projects.
            job_ids: Numeric IDs of the jobs; None for all of the projects.
        """
        with self._lock:
            return [
                entry
                for job_id, log in self._logs.items()
                if log.number in numbers and (job_ids is None or job_id in job_ids)
                for entry in log.load()
            ]

    def wait_for(self, job_id: str, text: str, seconds: float) -> bool:
        """Wait for a line that contains a text.

        Args:
            job_id: Numeric ID of the job.
            text: The text to wait for.
            seconds: How long to wait at most, by the machine's own clock.

        Returns:
            Whether the line is there.
        """
        with self._lock:
            return self._lock.wait_for(
                lambda: any(
                    text in entry["jsonPayload"]["message"] for entry in self.entries_of(job_id)
                ),
                seconds,
            )

    def forget(self, job_id: str) -> None:
        """Drop the log of a deleted job."""
        with self._lock:
            self._logs.pop(job_id, None)

    def close(self) -> None:
        """Write nothing from now on."""
        with self._lock:
            self._is_closed = True

    def _append(
        self,
        job_id: str,
        task: str,
        severity: str,
        payload: Json,
        mark: tuple[int, str, int] | None = None,
    ) -> None:
        with self._lock:
            log = self._logs.get(job_id)
            if self._is_closed or log is None:
                return
            entries = log.load()
            # No two entries at the same microsecond, so that their order is certain.
            moment = max(self._clock.now(), self._last + timedelta(microseconds=1))
            self._last = moment
            written = format_time(moment)
            entry: Json = {
                "insertId": f"{len(entries):012d}",
                "logName": f"projects/{log.project}/logs/{task}",
                "resource": {
                    "type": "ml_job",
                    "labels": {
                        "job_id": job_id,
                        "project_id": log.project,
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
            log.write(json.dumps({**entry, _MARK: mark} if mark else entry))
            self._lock.notify_all()


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
    data = f"{line}\n".encode()
    try:
        written = os.write(descriptor, data)
        if written < len(data):
            # Without room for the whole line, none of it stays: the next one would continue it.
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)


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
