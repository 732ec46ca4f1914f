"""Where jobs are kept, so that they outlive the emulator.

A job holds its environment, tokens included: folders are 0700, files 0600. A file
is replaced in one piece, so a crash leaves the old one or the new one. It is not
synced to the disk: a power failure may lose the last changes.
"""

import fcntl
import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Protocol

from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import format_time, parse_time
from vertex_emulator.jobs.events import (
    act_from_json,
    act_to_json,
    event_from_json,
    event_to_json,
    later_from_json,
    later_to_json,
)
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.states import JobState

_TIMES = ("create_time", "update_time", "stage_time", "start_time", "end_time", "due")


class DataDirInUseError(Exception):
    """Another emulator works in the same folder."""


class StoreReleasedError(Exception):
    """An emulator that has crashed still wants to keep something."""


class Store(Protocol):
    """Keeps jobs and finished operations; its caller sees to it that calls do not overlap."""

    @property
    def folder(self) -> Path:
        """Where files are."""
        ...

    def jobs(self) -> Iterator[Job]:
        """Every job."""
        ...

    def put(self, job: Job) -> None:
        """Keep a job, in place of an earlier state of it."""
        ...

    def remove_job(self, job_id: str) -> None:
        """Forget a job and everything in its folder."""
        ...

    def job_folder(self, job_id: str) -> Path:
        """The folder of a job, made where it is missing."""
        ...

    def log_file(self, job_id: str) -> Path | None:
        """Where the log of a job is kept; None for in memory."""
        ...

    def operations(self) -> Iterator[Json]:
        """Every operation."""
        ...

    def put_operation(self, operation: Json) -> None:
        """Keep a `google.longrunning.Operation`."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...

    def release(self) -> None:
        """Let another emulator have what is kept, as a crash does."""
        ...

    def close(self) -> None:
        """The same, at the end: what was temporary is gone."""
        ...


class FileStore:
    """Jobs as JSON files: `jobs/ID/job.json`, `operations/ID.json`.

    Args:
        folder: Made where it is missing. None takes a temporary one, which is gone
            when the store is closed.

    Raises:
        DataDirInUseError: If another emulator has the folder.
    """

    def __init__(self, folder: Path | None) -> None:
        self._is_temporary = folder is None
        self._folder = folder or Path(tempfile.mkdtemp(prefix="vertex-emulator-"))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_file: int | None = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self.release()
            raise DataDirInUseError(
                f"Another emulator works in {self._folder}; give this one a --data-dir of its own."
            ) from exc
        self._make_folders()

    @property
    def folder(self) -> Path:
        return self._folder

    def jobs(self) -> Iterator[Job]:
        for file in sorted(self._jobs.glob("*/job.json")):
            yield job_from_json(json.loads(file.read_text("utf-8")))

    def put(self, job: Job) -> None:
        self._refuse_released()
        _replace_file(self.job_folder(job.job_id) / "job.json", job_to_json(job))

    def remove_job(self, job_id: str) -> None:
        shutil.rmtree(self._jobs / job_id, ignore_errors=True)

    def job_folder(self, job_id: str) -> Path:
        folder = self._jobs / job_id
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def log_file(self, job_id: str) -> Path:
        return self.job_folder(job_id) / "log.jsonl"

    def operations(self) -> Iterator[Json]:
        for file in sorted(self._operations.glob("*.json")):
            yield json.loads(file.read_text("utf-8"))

    def put_operation(self, operation: Json) -> None:
        self._refuse_released()
        operation_id = operation["name"].rsplit("/", 1)[-1]
        _replace_file(self._operations / f"{operation_id}.json", operation)

    def clear(self) -> None:
        shutil.rmtree(self._jobs, ignore_errors=True)
        shutil.rmtree(self._operations, ignore_errors=True)
        self._make_folders()

    def release(self) -> None:
        # A crash in the middle of a call releases it in another thread than `close`.
        lock_file, self._lock_file = self._lock_file, None
        if lock_file is not None:
            os.close(lock_file)

    def close(self) -> None:
        self.release()
        if self._is_temporary:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _refuse_released(self) -> None:
        if self._lock_file is None:
            raise StoreReleasedError(f"{self._folder} may be another emulator's by now")

    def _make_folders(self) -> None:
        self._jobs = self._folder / "jobs"
        self._operations = self._folder / "operations"
        self._jobs.mkdir(mode=0o700, exist_ok=True)
        self._operations.mkdir(mode=0o700, exist_ok=True)


class MemoryStore:
    """Jobs in memory, for as long as the object lives: several emulators can have it in turn.

    Containers still get folders, in a temporary one, which is gone when the store is
    closed.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="vertex-emulator-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._jobs: dict[str, Job] = {}
        self._operations: dict[str, Json] = {}

    @property
    def folder(self) -> Path:
        return self._folder

    def jobs(self) -> Iterator[Job]:
        return iter(list(self._jobs.values()))

    def put(self, job: Job) -> None:
        self._jobs[job.job_id] = job

    def remove_job(self, job_id: str) -> None:
        self._jobs.pop(job_id, None)
        shutil.rmtree(self._folder / job_id, ignore_errors=True)

    def job_folder(self, job_id: str) -> Path:
        folder = self._folder / job_id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def log_file(self, job_id: str) -> None:
        del job_id

    def operations(self) -> Iterator[Json]:
        return iter(list(self._operations.values()))

    def put_operation(self, operation: Json) -> None:
        self._operations[operation["name"]] = operation

    def clear(self) -> None:
        self._jobs.clear()
        self._operations.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def release(self) -> None:
        """It can be had at any time."""

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def job_to_json(job: Job) -> Json:
    """A job as it is kept."""
    kept: Json = {field.name: getattr(job, field.name) for field in fields(job)}
    for name in _TIMES:
        kept[name] = format_time(kept[name]) if kept[name] else None
    kept["state"] = job.state.value
    kept["ending"] = job.ending.value if job.ending else None
    kept["eviction"] = event_to_json(job.eviction) if job.eviction else None
    kept["script"] = [act_to_json(act) for act in job.script]
    kept["later"] = [later_to_json(item) for item in job.later]
    kept["history"] = [[state.value, format_time(moment)] for state, moment in job.history]
    return kept


def job_from_json(kept: Json) -> Job:
    """The job that was kept."""

    def read_time(name: str) -> datetime | None:
        return parse_time(kept[name]) if kept.get(name) else None

    return Job(
        **{
            **kept,
            **{name: read_time(name) for name in _TIMES},
            "state": JobState(kept["state"]),
            "ending": JobState(kept["ending"]) if kept["ending"] else None,
            "eviction": event_from_json(kept["eviction"]) if kept.get("eviction") else None,
            "script": tuple(act_from_json(act) for act in kept.get("script", ())),
            "later": tuple(later_from_json(item) for item in kept.get("later", ())),
            "history": tuple(
                (JobState(state), parse_time(moment)) for state, moment in kept["history"]
            ),
        }
    )


def _replace_file(file: Path, content: Json) -> None:
    draft = file.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(content, stream)
    draft.replace(file)
