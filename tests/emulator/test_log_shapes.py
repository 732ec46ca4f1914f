"""Log entries look as they were recorded of real jobs."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from vertex_emulator import ManualClock
from vertex_emulator.core.times import parse_time
from vertex_emulator.logs.entries import JobLogs
from vertex_emulator.logs.log_store import LogStore
from vertex_emulator.logs.shapes import (
    MAX_TEXT_BYTES,
    LoggedJob,
    LogShape,
    LogStyle,
    OutputLine,
    ServiceLine,
    Writer,
    cut_text,
    read_text,
)

NOW = datetime(2026, 2, 19, 12, 58, 7, 908657, tzinfo=timezone.utc)
JOB = LoggedJob("320740100306632704", "example-project", "123456789012")
FIRST = Writer("workerpool0-0")


def write(
    line: str, shape: LogShape = "text", stream: str = "stdout", writer: Writer = FIRST
) -> dict[str, Any]:
    """Return the entry of a line of output."""
    return OutputLine(writer, stream, line).build_entry(JOB, NOW, 5, LogStyle(shape))


def test_an_entry_of_the_service_is_as_recorded() -> None:
    """It is a text with a severity, under the job's own log name and the project's ID."""
    line = ServiceLine("Waiting for job to be provisioned.", job_state="QUEUED")
    entry = line.build_entry(JOB, NOW, 0, LogStyle())
    assert len(entry.pop("insertId")) == 12
    stamp = entry.pop("timestamp")
    assert stamp == entry.pop("receiveTimestamp")
    assert parse_time(stamp) == NOW
    assert entry == {
        "labels": {"ml.googleapis.com/endpoint": "", "ml.googleapis.com/job_state": "QUEUED"},
        "logName": "projects/example-project/logs/ml.googleapis.com%2F320740100306632704",
        "resource": {
            "labels": {
                "job_id": "320740100306632704",
                "project_id": "example-project",
                "task_name": "service",
            },
            "type": "ml_job",
        },
        "severity": "INFO",
        "textPayload": "Waiting for job to be provisioned.",
    }
    plain = ServiceLine("Vertex AI is setting up this job.").build_entry(JOB, NOW, 1, LogStyle())
    assert plain["labels"] == {"ml.googleapis.com/endpoint": ""}


def test_an_entry_of_a_replica_is_as_recorded() -> None:
    """It is a text without a severity, with five labels, under the project's number."""
    entry = write("  line 5")
    assert entry.pop("insertId")
    stamp = entry.pop("timestamp")
    assert stamp == entry.pop("receiveTimestamp")
    # Nanoseconds, which not every reader of times takes.
    assert len(stamp) == len("2026-02-19T13:00:27.702692626Z")
    labels = entry.pop("labels")
    assert labels.pop("compute.googleapis.com/resource_id").isdigit()
    assert labels.pop("compute.googleapis.com/resource_name").startswith("gk3-cml-")
    assert labels == {
        "log.file.name": "0.log",
        "ml.googleapis.com/job_id": "320740100306632704",
        "ml.googleapis.com/task_name": "workerpool0-0",
    }
    assert entry == {
        "logName": "projects/example-project/logs/workerpool0-0",
        "resource": {
            "labels": {
                "job_id": "320740100306632704",
                "project_id": "123456789012",
                "task_name": "workerpool0-0",
            },
            "type": "ml_job",
        },
        "textPayload": "line 5",
    }


def test_starts_are_counted_for_each_machine() -> None:
    """A second start on a machine writes `1.log`; one on another machine `0.log` again."""
    starts = [FIRST, Writer(FIRST.task, restarts=1), Writer(FIRST.task, node=2)]
    entries = [write("x", writer=writer) for writer in starts]
    assert [entry["labels"]["log.file.name"] for entry in entries] == ["0.log", "1.log", "0.log"]
    nodes = [entry["labels"]["compute.googleapis.com/resource_name"] for entry in entries]
    assert nodes[0] == nodes[1] != nodes[2]


@pytest.mark.parametrize(
    ("line", "payload"),
    [
        ("hello", {"textPayload": "hello"}),
        (" \tindented, and blanks behind  ", {"textPayload": "indented, and blanks behind  "}),
        ('{"step":40,"share":0.5}', {"jsonPayload": {"step": 40, "share": 0.5}}),
        ('  {"message": "m"}', {"jsonPayload": {"message": "m"}}),
        ('{"message": {"a": [1]}}', {"jsonPayload": {"message": {"a": [1]}}}),
        ('{"severity": "warning", "message": "m"}',
         {"severity": "WARNING", "jsonPayload": {"message": "m"}}),
        ('{"severity": "LOUD"}', {"jsonPayload": {"severity": "LOUD"}}),
        ('{"severity": {"a": 1}}', {"jsonPayload": {"severity": {"a": 1}}}),
        ("{}", {"jsonPayload": {}}),
        ('{"not json', {"textPayload": '{"not json'}),
        ('{"loss": NaN}', {"textPayload": '{"loss": NaN}'}),
        ('{"loss": 1e999}', {"textPayload": '{"loss": 1e999}'}),
        ('{"severity": "default", "a": 1}', {"jsonPayload": {"a": 1}}),
        ("[1]", {"textPayload": "[1]"}),
        ("{" * 50_000, {"textPayload": "{" * 50_000}),
    ],
)  # fmt: skip
def test_output_is_text_or_the_object_that_was_printed(line: str, payload: dict[str, Any]) -> None:
    """Neither stream has a severity, and nothing is added to an object."""
    for stream in ("stdout", "stderr"):
        entry = write(line, stream=stream)
        fields = ("severity", "textPayload", "jsonPayload")
        assert {key: entry[key] for key in fields if key in entry} == payload


@pytest.mark.parametrize("line", ["", "  \t "])
def test_an_empty_line_is_an_entry(line: str) -> None:
    """As was reported once: what the container runtime puts before a line is all that is left."""
    entry = write(line, stream="stderr")
    assert entry["textPayload"] == f"{entry['timestamp']} stderr F"
    assert write(line, "structured")["jsonPayload"]["message"] == line


@pytest.mark.parametrize(
    ("stream", "line", "severity", "said"),
    [
        ("stdout", "  hello", "INFO", {"message": "  hello"}),
        ("stderr", "oh", "ERROR", {"message": "oh"}),
        ("stdout", '{"severity": "warning", "message": "m", "epoch": 3}', "WARNING",
         {"message": "m", "epoch": 3}),
        ("stderr", '{"message": {"a": 1}}', "ERROR", {"message": {"a": 1}}),
        ("stdout", '{"epoch": 3}', "INFO", {"epoch": 3}),
    ],
)  # fmt: skip
def test_the_other_shape_has_messages_and_severities(
    stream: str, line: str, severity: str, said: dict[str, Any]
) -> None:
    """Stdout is INFO, stderr is ERROR, and the object carries the replica and the level."""
    entry = write(line, "structured", stream)
    tag = {"levelname": severity, "attrs": {"tag": "workerpool0-0"}}
    assert entry["severity"] == severity
    assert entry["jsonPayload"] == {**said, **tag}
    assert "textPayload" not in entry


def test_insert_ids_are_never_repeated() -> None:
    """Those of the service count up in base 36; those of replicas have no order to rely on."""
    ids: dict[str, list[str]] = {"service": [], "replica": []}
    for job_id in ("1324903728989339648", "320740100306632704"):
        job = LoggedJob(job_id, "p", "1")
        for number in range(200):
            service = ServiceLine("x").build_entry(job, NOW, number, LogStyle())
            replica = OutputLine(FIRST, "stdout", "x").build_entry(job, NOW, number, LogStyle())
            ids["service"].append(service["insertId"])
            ids["replica"].append(replica["insertId"])
    numbers = [int(text, 36) for text in ids["service"][:200]]
    assert numbers == list(range(numbers[0], numbers[0] + 200))
    assert sorted(ids["service"][:200]) == ids["service"][:200]
    assert sorted(ids["replica"][:200]) != ids["replica"][:200]
    assert len({*ids["service"], *ids["replica"]}) == 800


def test_entries_can_be_received_as_late_as_recorded() -> None:
    """A line reaches Cloud Logging when its machine next sends: at once, or up to 5 s later."""
    style = LogStyle(is_received_later=True)

    def delays(line: OutputLine | ServiceLine) -> list[float]:
        found = []
        for number in range(500):
            moment = NOW + timedelta(seconds=0.137 * number)
            entry = line.build_entry(JOB, moment, number, style)
            received = parse_time(entry["receiveTimestamp"])
            found.append((received - parse_time(entry["timestamp"])).total_seconds())
        return found

    output, service = delays(OutputLine(FIRST, "stdout", "x")), delays(ServiceLine("x"))
    assert 0 <= min(output) < 0.2
    assert 4.5 < max(output) <= 5.07
    assert 0.29 < min(service) < max(service) < 1.84


def test_no_two_entries_have_the_same_time() -> None:
    """On a clock that stands still too, lines are in order by their times alone."""
    logs = JobLogs(ManualClock(), LogStore())
    logs.open(JOB, None)
    for number in range(100):
        logs.write(JOB.job_id, OutputLine(FIRST, "stdout", f"line {number}"))
    entries = sorted(logs.entries_of(JOB.job_id), key=lambda entry: str(entry["timestamp"]))
    assert [read_text(entry) for entry in entries] == [f"line {number}" for number in range(100)]
    assert len({parse_time(entry["timestamp"]) for entry in entries}) == 100


def test_what_is_too_long_for_an_entry_is_cut_visibly() -> None:
    """An entry stays below Cloud Logging's 256 KiB, and says how long its text was."""
    for text in ("x" * 300_000, "é" * 150_000, "\U0001f600" * 75_000):
        entry = write(text)
        assert entry["textPayload"].endswith(" [...] (300000 bytes)")
        assert len(json.dumps(entry, ensure_ascii=False).encode()) < 256 * 1024
    fits = "x" * MAX_TEXT_BYTES
    assert cut_text(fits) == fits
