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
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Protocol

from zenml_vertex.emulator.api_errors import Json
from zenml_vertex.emulator.lifecycle import Job, JobState
from zenml_vertex.emulator.times import format_time, parse_time

_TIMES = ("create_time", "update_time", "start_time", "end_time", "due")


class DataDirInUseError(Exception):
    """Another emulator works in the same folder."""


class Store(Protocol):
    """Keeps jobs and finished operations; its caller sees to it that calls do not overlap."""

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

    def operations(self) -> Iterator[Json]:
        """Every operation."""
        ...

    def put_operation(self, operation: Json) -> None:
        """Keep a `google.longrunning.Operation`."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...

    def close(self) -> None:
        """Let another emulator have the folder."""
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
        self.folder = folder or Path(tempfile.mkdtemp(prefix="vertex-emulator-"))
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_file = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(self._lock_file)
            raise DataDirInUseError(
                f"Another emulator works in {self.folder}; give this one a --data-dir of its own."
            ) from exc
        self._make_folders()

    def jobs(self) -> Iterator[Job]:
        for file in sorted(self._jobs.glob("*/job.json")):
            yield job_from_json(json.loads(file.read_text("utf-8")))

    def put(self, job: Job) -> None:
        _replace_file(self.job_folder(job.job_id) / "job.json", job_to_json(job))

    def remove_job(self, job_id: str) -> None:
        shutil.rmtree(self._jobs / job_id, ignore_errors=True)

    def job_folder(self, job_id: str) -> Path:
        folder = self._jobs / job_id
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def operations(self) -> Iterator[Json]:
        for file in sorted(self._operations.glob("*.json")):
            yield json.loads(file.read_text("utf-8"))

    def put_operation(self, operation: Json) -> None:
        operation_id = operation["name"].rsplit("/", 1)[-1]
        _replace_file(self._operations / f"{operation_id}.json", operation)

    def clear(self) -> None:
        shutil.rmtree(self._jobs, ignore_errors=True)
        shutil.rmtree(self._operations, ignore_errors=True)
        self._make_folders()

    def close(self) -> None:
        os.close(self._lock_file)
        if self._is_temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _make_folders(self) -> None:
        self._jobs = self.folder / "jobs"
        self._operations = self.folder / "operations"
        self._jobs.mkdir(mode=0o700, exist_ok=True)
        self._operations.mkdir(mode=0o700, exist_ok=True)


def job_to_json(job: Job) -> Json:
    """A job as it is kept."""
    kept: Json = {field.name: getattr(job, field.name) for field in fields(job)}
    for name in _TIMES:
        kept[name] = format_time(kept[name]) if kept[name] else None
    kept["state"] = job.state.value
    kept["ending"] = job.ending.value if job.ending else None
    kept["history"] = [[state.value, format_time(moment)] for state, moment in job.history]
    return kept


def job_from_json(kept: Json) -> Job:
    """The job that was kept."""

    def read_time(name: str) -> datetime | None:
        return parse_time(kept[name]) if kept[name] else None

    return Job(
        **{
            **kept,
            **{name: read_time(name) for name in _TIMES},
            "state": JobState(kept["state"]),
            "ending": JobState(kept["ending"]) if kept["ending"] else None,
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
