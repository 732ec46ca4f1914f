"""The shape of log entries: what their fields say, of the service's lines and of output. Pure.

As recorded of fourteen jobs in us-central1 and us-west1, February 2026: the public history of
`gretjia/omega`, folder `archive/audit/v62`. `structured` is the other shape that public logs
show, of a pipeline component in August 2026; what makes the service choose one is not known.
Entries in general: https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Literal

from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import format_time

LogShape = Literal["text", "structured"]
"""`text`: a line is `textPayload` without a severity, and one that is a JSON object is
`jsonPayload` as it was printed. `structured`: a line is `jsonPayload` with `message`,
`levelname` and `attrs`, INFO on stdout and ERROR on stderr."""

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
_SERVICE_TASK = "service"
# https://cloud.google.com/logging/quotas: a LogEntry has at most 256 KiB, with its labels.
MAX_TEXT_BYTES = 250_000

_STREAM_SEVERITY = {"stdout": "INFO", "stderr": "ERROR"}
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SERVICE_ID_DIGITS, _OUTPUT_ID_DIGITS = 12, 13
# Output is sent every 5 s, at times in between too: after at most 5.03 s, and 0.7 s in the median.
# The service's own lines take 0.3 to 1.7 s.
_FLUSH_SECONDS, _EARLY_FLUSH_SECONDS = 5.0, 1.4
_SERVICE_DELAYS = (0.3, 1.7)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class LogStyle:
    """How entries look.

    Args:
        shape: The shape of what containers write.
        is_received_later: Whether `receiveTimestamp` is later than `timestamp`, by as much as
            was recorded (at most 5 s), rather than the same. Entries can be read at once.
    """

    shape: LogShape = "text"
    is_received_later: bool = False


@dataclass(frozen=True, slots=True)
class LoggedJob:
    """A job, as its entries show it."""

    # Numeric ID.
    job_id: str
    # ID of its project, as its creator wrote it.
    project: str
    # Number of its project.
    number: str


@dataclass(frozen=True, slots=True)
class Writer:
    """One start of a replica's container."""

    # The replica, such as `workerpool0-0`.
    task: str
    # Which of the job's machines it runs on, from 1.
    node: int = 1
    # How often the container has been started on this machine before.
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """A line that the service writes about a job."""

    text: str
    severity: str = "INFO"
    # The state that it announces, as the label `ml.googleapis.com/job_state` has it.
    job_state: str | None = None

    def build_entry(self, job: LoggedJob, moment: datetime, number: int, style: LogStyle) -> Json:
        """The log entry.

        Args:
            job: What the line is about.
            moment: When it is written; no other entry has the same.
            number: How many entries the job's log has already.
            style: How entries look.
        """
        labels = {"ml.googleapis.com/endpoint": ""}
        if self.job_state is not None:
            labels["ml.googleapis.com/job_state"] = self.job_state
        delay = _draw(_SERVICE_DELAYS, job.job_id, number) if style.is_received_later else 0.0
        # One after the other, from a place of the job's own.
        first = _hash(job.job_id) % (36**_SERVICE_ID_DIGITS - 36**6)
        return {
            "insertId": write_base36(first + number, _SERVICE_ID_DIGITS),
            "logName": f"projects/{job.project}/logs/ml.googleapis.com%2F{job.job_id}",
            "resource": _build_resource(job, job.project, _SERVICE_TASK),
            **_build_times(job, moment, number, delay),
            "severity": self.severity,
            "labels": labels,
            "textPayload": cut_text(self.text),
        }


@dataclass(frozen=True, slots=True)
class OutputLine:
    """A line of a container's output, without its line break."""

    writer: Writer
    # `stdout` or `stderr`.
    stream: str
    text: str

    def build_entry(self, job: LoggedJob, moment: datetime, number: int, style: LogStyle) -> Json:
        """The log entry; the arguments are those of `ServiceLine.build_entry`."""
        task, node = self.writer.task, self.writer.node
        delay = _wait_for_flush(job.job_id, node, moment) if style.is_received_later else 0.0
        times = _build_times(job, moment, number, delay)
        severity, payload = self._build_payload(style.shape, times["timestamp"])
        return {
            "insertId": write_base36(_hash(job.job_id, number), _OUTPUT_ID_DIGITS),
            "logName": f"projects/{job.project}/logs/{task}",
            "resource": _build_resource(job, job.number, task),
            **times,
            **({"severity": severity} if severity not in {None, "DEFAULT"} else {}),
            "labels": {
                **_build_node_labels(job.job_id, node),
                "log.file.name": f"{self.writer.restarts}.log",
                "ml.googleapis.com/job_id": job.job_id,
                "ml.googleapis.com/task_name": task,
            },
            **payload,
        }

    def _build_payload(self, shape: LogShape, timestamp: str) -> tuple[str | None, Json]:
        fields = _read_object(self.text)
        severity = _take_severity(fields) if fields else None
        if shape == "structured":
            severity = severity or _STREAM_SEVERITY[self.stream]
            said = {"message": cut_text(self.text)} if fields is None else fields
            tag = {"levelname": severity, "attrs": {"tag": self.writer.task}}
            return severity, {"jsonPayload": {**said, **tag}}
        if fields is not None:
            return severity, {"jsonPayload": fields}
        text = self.text.lstrip(" \t")
        if not text.strip():
            # What is left is the header of the container runtime: one public report.
            return None, {"textPayload": f"{timestamp} {self.stream} F"}
        return None, {"textPayload": cut_text(text)}


def read_text(entry: Mapping[str, Any]) -> str:
    """What an entry says in its shape: its text or its `message`, else its object as JSON."""
    payload = entry.get("jsonPayload")
    if not isinstance(payload, dict):
        return str(entry.get("textPayload", ""))
    said = payload.get("message", payload)
    return said if isinstance(said, str) else json.dumps(said)


def cut_text(text: str) -> str:
    """The text, or as much of it as an entry holds, with a mark at the end."""
    if 4 * len(text) <= MAX_TEXT_BYTES:
        return text
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) <= MAX_TEXT_BYTES:
        return text
    mark = f" [...] ({len(encoded)} bytes)"
    return encoded[: MAX_TEXT_BYTES - len(mark)].decode("utf-8", "ignore") + mark


def _take_severity(fields: Json) -> str | None:
    """The severity that an object names, which is no longer in it; None without one.

    https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
    """
    named = fields.get("severity")
    if not isinstance(named, str) or named.upper() not in SEVERITIES:
        return None
    del fields["severity"]
    return named.upper()


def _read_object(line: str) -> Json | None:
    """The JSON object that a line is; None for any other line."""
    if not line.lstrip().startswith("{") or len(line) > MAX_TEXT_BYTES:
        return None
    try:
        fields = json.loads(line)
        # Python reads and writes numbers that JSON does not have.
        json.dumps(fields, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _build_resource(job: LoggedJob, project: str, task: str) -> Json:
    labels = {"job_id": job.job_id, "project_id": project, "task_name": task}
    return {"type": "ml_job", "labels": labels}


@lru_cache(maxsize=1000)
def _build_node_labels(job_id: str, node: int) -> Mapping[str, str]:
    """The labels of a machine, whose name looks like Google's."""
    name = write_base36(_hash("node", job_id, node), 12)
    return {
        "compute.googleapis.com/resource_id": str(_hash("id", job_id, node)),
        "compute.googleapis.com/resource_name": f"gk3-cml-nap-{name[:8]}-{name[8:]}",
    }


def _build_times(job: LoggedJob, moment: datetime, number: int, delay: float) -> Json:
    # Google's have nanoseconds, which many a reader of times does not expect.
    nanoseconds = 1 + _hash(job.job_id, number) % 999
    received = moment + timedelta(seconds=delay)
    stamps = {"timestamp": moment, "receiveTimestamp": received}
    return {
        key: f"{format_time(stamp).removesuffix('Z')}{nanoseconds:03d}Z"
        for key, stamp in stamps.items()
    }


def _wait_for_flush(job_id: str, node: int, moment: datetime) -> float:
    """Seconds until a machine sends its output."""
    phase = _draw((0.0, _FLUSH_SECONDS), "flush", job_id, node)
    number, since = divmod((moment - _EPOCH).total_seconds() + phase, _FLUSH_SECONDS)
    if number % 2 and since < _EARLY_FLUSH_SECONDS:
        return _EARLY_FLUSH_SECONDS - since
    return _FLUSH_SECONDS - since


def _draw(bounds: tuple[float, float], *parts: object) -> float:
    low, high = bounds
    return low + (high - low) * (_hash(*parts) / 2**64)


def _hash(*parts: object) -> int:
    """The same 64 bits for the same parts, so that a run can be repeated."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def write_base36(number: int, digits: int) -> str:
    """A number in base 36, with so many digits."""
    text = ""
    for _ in range(digits):
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text
