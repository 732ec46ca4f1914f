"""Lets the emulator play a recorded job again, and records that."""

import json
from datetime import datetime, timedelta
from typing import Any

import requests

from tests.support.recordings.recorder import Service, read_recording
from tests.support.recordings.trace import RUNTIME_HEADER, Json, is_of_service
from vertex_emulator import (
    Container,
    ManualClock,
    Script,
    ScriptedRuntime,
    SecondStart,
    Timings,
    VertexEmulator,
)
from vertex_emulator.core.times import parse_time

_EXIT = timedelta(milliseconds=1)
_CANCEL_SECONDS = 1.0
_OUT_OF_MEMORY, _KILLED = 8, 137
_LONG_SECONDS = 3600.0


class _Story:
    """When what happened to a recorded job."""

    def __init__(self, recording: Json) -> None:
        job = recording["job"]
        service = [entry for entry in recording["entries"] if is_of_service(entry)]
        self.lines = {entry["textPayload"]: parse_time(entry["timestamp"]) for entry in service}
        self.output = [
            [
                entry
                for entry in recording["entries"]
                if entry["labels"].get("log.file.name") == file
            ]
            for file in ("0.log", "1.log")
        ]
        self.created = parse_time(job["createTime"])
        self.ended = parse_time(job["updateTime"])
        self.running = self.lines["Job is running."]
        self.started = min(self.running, _time_of(self.output[0][0]))
        # No recording has the exit: here, it comes shortly after the last line.
        self.exited = max(self.running, _time_of(self.output[0][-1])) + _EXIT
        self.is_cancelled = job["state"] == "JOB_STATE_CANCELLED"
        self.error = job.get("error", {})
        self.is_reason_logged = self.error.get("message") in self.lines
        self.noticed = self._find_notice(parse_time(job["endTime"]))

    def _find_notice(self, end: datetime) -> datetime:
        """When the service saw the end, which the job has in whole seconds."""
        said = self.lines.get("Tearing down training program.")
        said = said or self.lines.get(self.error.get("message", ""))
        return said or (end if self.is_cancelled else end + timedelta(milliseconds=500))

    def build_timings(self) -> Timings:
        """What lets the emulator take as long for each phase."""
        first, *_ = self.lines.values()
        second = None
        if self.output[1]:
            begun, over = _time_of(self.output[1][0]), _time_of(self.output[1][-1])
            after = begun - self.exited
            second = SecondStart(after.total_seconds(), (over - begun + _EXIT).total_seconds())
        torn_down = self.lines["Finished tearing down training program."]
        exited = self.noticed if self.is_cancelled else self.exited
        return Timings(
            provisioning=(self.started - self.created).total_seconds(),
            teardown=_CANCEL_SECONDS
            if self.is_cancelled
            else (self.ended - self.noticed).total_seconds(),
            cleanup=(torn_down - self.ended).total_seconds(),
            announcing=(first - self.created).total_seconds(),
            preparing=(self.lines["Job is preparing."] - first).total_seconds(),
            head_start=(self.running - self.started).total_seconds(),
            noticing=(self.noticed - exited).total_seconds(),
            second_start=second,
            is_reason_logged=self.is_reason_logged,
        )

    def play(self, container: Container) -> Script:
        """What a container writes, and how it ends."""
        entries = self.output[container.start - 1]
        begun = self.started if container.start == 1 else _time_of(entries[0])
        written = tuple(((_time_of(one) - begun).total_seconds(), _print(one)) for one in entries)
        if container.start > 1 or self.is_cancelled:
            return Script(None, later_lines=written)
        is_out_of_memory = self.error.get("code") == _OUT_OF_MEMORY
        status = _KILLED if is_out_of_memory else int(bool(self.error))
        return Script(
            (self.exited - begun).total_seconds(),
            status,
            is_out_of_memory=is_out_of_memory,
            later_lines=written,
        )


def replay(recording: Json) -> Json:
    """What the emulator shows of a job that comes to the same end, at the same pace."""
    story = _Story(recording)
    clock = ManualClock(story.created)
    with VertexEmulator(
        clock=clock, runtime=ScriptedRuntime(story.play), timings=story.build_timings()
    ) as emulator:
        parent = "projects/example-project/locations/us-central1"
        jobs = f"{emulator.url}/v1/{parent}/customJobs"
        answer = requests.post(jobs, json=_build_request(recording["job"]), timeout=10)
        answer.raise_for_status()
        name = answer.json()["name"]
        if story.is_cancelled:
            before = story.noticed - timedelta(seconds=_CANCEL_SECONDS) - story.created
            clock.advance(before.total_seconds())
            requests.post(f"{emulator.url}/v1/{name}:cancel", json={}, timeout=10)
        clock.advance((story.ended - clock.now()).total_seconds() + _LONG_SECONDS)
        return read_recording(Service(requests.Session(), emulator.url, emulator.url), name)


def _build_request(job: Json) -> Json:
    """The job as its creator may have sent it: without what the service fills in."""
    spec: Json = json.loads(json.dumps(job["jobSpec"]))
    for pool in spec["workerPoolSpecs"]:
        del pool["diskSpec"]
    return {"displayName": job["displayName"], "jobSpec": spec}


def _print(entry: Json) -> str:
    """The line that has become an entry."""
    if "jsonPayload" in entry:
        return json.dumps(entry["jsonPayload"])
    text: str = entry["textPayload"]
    return "" if RUNTIME_HEADER.fullmatch(text) else text


def _time_of(entry: Any) -> datetime:
    return parse_time(entry["timestamp"])
