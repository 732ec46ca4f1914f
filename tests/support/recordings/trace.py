"""What a recorded job shows, as lines that can be compared: names, numbers and pace left out. Pure.

A recording is `{"job": CustomJob, "entries": [LogEntry, ...]}`, as the API gives them once the
job is torn down.
"""

import json
import re
from collections.abc import Iterator
from difflib import unified_diff
from typing import TYPE_CHECKING, Any

from vertex_emulator.core.times import parse_time

if TYPE_CHECKING:
    from datetime import datetime

Json = dict[str, Any]

_TIMES = ("createTime", "startTime", "endTime", "updateTime")
_NODE = "compute.googleapis.com/resource_"
# The container runtime's header, without the text of a line that was empty.
RUNTIME_HEADER = re.compile(r"\S+Z (stdout|stderr) [FP]")


def trace(recording: Json) -> list[str]:
    """A job's document, and then its times and log entries in the order of their times."""
    job = recording["job"]
    return [*_trace_document(job), *_trace_order(recording)]


def find_differences(recorded: Json, other: Json) -> list[str]:
    """The differences of two recordings, as lines of a diff; empty if there are none."""
    return list(
        unified_diff(trace(recorded), trace(other), "recorded", "emulated", lineterm="", n=2)
    )


def is_of_service(entry: Json) -> bool:
    """Whether an entry is a line of the service, rather than one of a container."""
    return bool(entry["resource"]["labels"]["task_name"] == "service")


def _trace_document(job: Json) -> Iterator[str]:
    yield f"fields: {' '.join(sorted(job))}"
    yield f"state: {job['state']}"
    yield f"spec: {json.dumps(job['jobSpec'], sort_keys=True)}"
    if "error" in job:
        yield f"error: {job['error']['code']} {_hide_names(job['error']['message'], job)}"


def _trace_order(recording: Json) -> Iterator[str]:
    job = recording["job"]
    found: list[tuple[datetime, int, str]] = []
    for place, name in enumerate(_TIMES):
        if name in job:
            digits = len(job[name].partition(".")[2].rstrip("Z"))
            found.append((parse_time(job[name]), place, f"{name}, digits: {digits}"))
    if job.get("endTime") == job.get("updateTime"):
        found.append((parse_time(job["endTime"]), len(found), "endTime is updateTime"))
    for place, entry in enumerate(recording["entries"], start=len(found)):
        found.append((parse_time(entry["timestamp"]), place, _trace_entry(entry, job)))
    for _, _, line in sorted(found):
        yield line


def _trace_entry(entry: Json, job: Json) -> str:
    labels = {
        key: "..." if key.startswith(_NODE) else value for key, value in entry["labels"].items()
    }
    shape = {
        "fields": sorted(set(entry) - {"textPayload", "jsonPayload"}),
        "logName": entry["logName"],
        "resource": entry["resource"],
        "labels": labels,
        "severity": entry.get("severity"),
    }
    return _hide_names(f"{_trace_payload(entry)} {json.dumps(shape, sort_keys=True)}", job)


def _trace_payload(entry: Json) -> str:
    if "jsonPayload" in entry:
        return f"json: {json.dumps(entry['jsonPayload'], sort_keys=True)}"
    text = entry["textPayload"]
    return "text: a runtime's header" if RUNTIME_HEADER.fullmatch(text) else f"text: {text}"


def _hide_names(text: str, job: Json) -> str:
    _, number, *_, job_id = job["name"].split("/")
    text = re.sub(r"projects/[a-z][a-z0-9-]+/logs", "projects/PROJECT/logs", text)
    text = re.sub(r'"project_id": "[a-z][^"]*"', '"project_id": "PROJECT"', text)
    return text.replace(number, "NUMBER").replace(job_id, "JOB")
