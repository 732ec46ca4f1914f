"""What jobs write to Cloud Logging."""

import threading
from datetime import timedelta
from pathlib import Path

from vertex_emulator.core.clock import Clock
from vertex_emulator.core.errors import Json
from vertex_emulator.logs.log_store import LogStore, Mark
from vertex_emulator.logs.shapes import LoggedJob, LogStyle, OutputLine, ServiceLine
from vertex_emulator.logs.texts import read_texts


class JobLogs:
    """The entries of every job, in order; safe to use from several threads.

    A log is known by the ID of its job. Lines for a log that is not open are
    dropped.

    Args:
        clock: Stamps the entries.
        store: Keeps them.
        style: How they look.
    """

    def __init__(self, clock: Clock, store: LogStore, style: LogStyle | None = None) -> None:
        self._clock = clock
        self._store = store
        self._style = style or LogStyle()
        self._jobs: dict[str, LoggedJob] = {}
        self._last = clock.now()
        self._lock = threading.Lock()

    def open(self, job: LoggedJob, file: Path | None) -> None:
        """Open the log of a job.

        Args:
            job: The job.
            file: Keeps the entries, and may have earlier ones; None for a temporary one.
        """
        with self._lock:
            self._jobs[job.job_id] = job
        self._store.open(job.job_id, number=job.number, file=file, job_id=job.job_id)

    def write(
        self,
        job_id: str,
        line: ServiceLine | OutputLine,
        mark: Mark | None = None,
    ) -> None:
        """Write a line.

        Args:
            job_id: Numeric ID of the job.
            line: The line.
            mark: Which line of a container's output it is; kept for `count_lines`.
        """
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None:
                return
            # No two entries at the same microsecond, so that their order is certain.
            moment = max(self._clock.now(), self._last + timedelta(microseconds=1))
            self._last = moment
            number = self._store.count(job_id)
            self._store.append(job_id, line.build_entry(job, moment, number, self._style), mark)

    def count_lines(self, job_id: str, attempt: int, replica: str) -> dict[str, int]:
        """How many lines of a container are in its job's log, by stream.

        Args:
            job_id: Numeric ID of the job.
            attempt: Number of the container's start.
            replica: Which replica of the job it is.
        """
        counts = self._store.count_lines(job_id)
        return {
            stream: number
            for (one, task, stream), number in counts.items()
            if (one, task) == (attempt, replica)
        }

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
            self._jobs.pop(job_id, None)
        self._store.forget(job_id)

    def close(self) -> None:
        """Write nothing from now on."""
        self._store.close()


def _has_text(entry: Json, text: str) -> bool:
    """Whether the payload of an entry has a text, whatever its shape."""
    payloads = (value for key, value in entry.items() if key.endswith("Payload"))
    return any(text in found for payload in payloads for found in read_texts(payload))
