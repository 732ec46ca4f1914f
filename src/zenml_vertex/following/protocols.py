"""What following a job needs from outside: Vertex AI, logs, and the ZenML server."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from zenml_vertex.following.intents import Intent
from zenml_vertex.job.identity import Attempt
from zenml_vertex.job.raised import Raised
from zenml_vertex.job.request import JobJson
from zenml_vertex.job.secrets import SecretJson


@dataclass(frozen=True, slots=True)
class JobList:
    """Jobs that were listed."""

    jobs: tuple[JobJson, ...]
    # Whether these are all; False after the first page of several.
    is_complete: bool


class Jobs(Protocol):
    """The part of Vertex AI's JobService that is needed; jobs are API JSON.

    Every method raises an error of the `VertexApiError` family.
    """

    def create(self, parent: str, job: JobJson) -> JobJson:
        """Create a job in `projects/P/locations/L`; never retried by itself."""
        ...

    def get(self, name: str) -> JobJson:
        """Read a job by its resource name."""
        ...

    def list(self, parent: str, job_filter: str, *, first_page_only: bool = False) -> JobList:
        """The jobs of `projects/P/locations/L` that match a filter: name, state, labels, times."""
        ...

    def cancel(self, name: str) -> None:
        """Ask for a job to be cancelled; it keeps running for a while."""
        ...


class Secrets(Protocol):
    """The part of Secret Manager that is needed; secrets are API JSON.

    Every method raises an error of the `VertexStepOperatorError` family.
    """

    def store(self, name: str, secret: SecretJson, payload: bytes) -> None:
        """Create `projects/P/secrets/ID`, in place of one that exists, with one version.

        Args:
            name: The secret.
            secret: Replication, labels, time to live.
            payload: What is secret; at most 64 KiB.
        """
        ...

    def delete(self, name: str) -> None:
        """Delete a secret and all its versions; one that does not exist is left alone."""
        ...

    def list(self, project: str) -> tuple[SecretJson, ...]:
        """The secrets of this package in a project: name, labels, times."""
        ...


class Logs(Protocol):
    """The part of Cloud Logging that is needed."""

    def fetch_tail(self, name: str, task_name: str, created: datetime | None = None) -> list[str]:
        """The last lines of a job's replica, of its container's first start, the oldest first.

        Args:
            name: Resource name of the job.
            task_name: The replica, such as `workerpool0-0`.
            created: When the job was created; None if not known.

        Raises an error of the `VertexStepOperatorError` family.
        """
        ...


@dataclass(frozen=True, slots=True)
class StepRunRecord:
    """A step run on the ZenML server; statuses are `ExecutionStatus` values."""

    status: str
    # Status of its pipeline run.
    run_status: str
    # When the step run finished, with a time zone; None if it has not.
    end_time: datetime | None
    # ID of its pipeline run.
    run_id: str = ""
    # Metadata of the step run.
    metadata: Mapping[str, Any] = field(default_factory=dict)
    # Metadata of its pipeline run.
    run_metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepRunNews:
    """What a poll of the ZenML server says about a step run."""

    status: str
    # When it finished, with a time zone; None if it has not, or if it is not known.
    end_time: datetime | None = None


class StepRuns(Protocol):
    """The ZenML server's record of step runs; statuses are `ExecutionStatus` values.

    Every method raises ServerUnreachable if there is no response, and StepRunNotFound if
    the step run that it names was deleted.
    """

    @property
    def server_id(self) -> str:
        """ID of the ZenML server."""
        ...

    def status(self, step_run_id: str) -> str:
        """The status of a step run now."""
        ...

    def statuses(self, run_id: str, step_run_ids: Sequence[str]) -> Mapping[str, StepRunNews]:
        """What has changed among step runs of one pipeline run, in one request.

        Returns:
            ID of a step run -> its status; active ones may be left out.
        """
        ...

    def read_raised(self, step_run_id: str) -> Raised | None:
        """What the code of a step that failed has raised, without secrets; None if not known."""
        ...

    def find(self, step_run_id: str) -> StepRunRecord | None:
        """A step run as it is now; None if it does not exist."""
        ...

    def find_many(self, step_run_ids: Sequence[str]) -> Mapping[str, StepRunRecord | None]:
        """Many step runs as they are now, in few requests; None for those that do not exist."""
        ...

    def read_metadata(self, step_run_id: str) -> Mapping[str, Any]:
        """The metadata of a step run as it is now; objects under one key are joined."""
        ...

    def announce(self, intent: Intent) -> bool:
        """Record the intent to create a job; whether somebody else has signed the step run."""
        ...

    def record(self, step_run_id: str, metadata: Mapping[str, Any]) -> None:
        """Add metadata to a step run."""
        ...

    def record_on_run(self, run_id: str, metadata: Mapping[str, Any]) -> None:
        """Add metadata to a pipeline run."""
        ...

    def fail(self, step_run_id: str, message: str) -> str:
        """Mark a step run as failed, with the reason; the status that results."""
        ...

    def stop(self, step_run_id: str, message: str) -> str:
        """Mark a step run as stopped, with the reason; the status that results."""
        ...


class Notes(Protocol):
    """Where the containers of steps leave a note when they have reported their results.

    A note is a hint to ask the ZenML server: it may come late, be forged, or not come at all.
    """

    def take(self, run_id: str, attempts: Collection[Attempt]) -> Collection[Attempt]:
        """Find and remove the notes of attempts of one pipeline run, in one request.

        Args:
            run_id: The pipeline run.
            attempts: Which attempts to look for; at least one.

        Returns:
            The attempts that had one.

        Raises:
            PermissionDenied: If that is not allowed; it says what to grant.
            Exception: If the place cannot be looked into.
        """
        ...
