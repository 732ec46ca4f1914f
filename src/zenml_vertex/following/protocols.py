"""What following a job needs of the world."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from zenml_vertex.job.request import JobJson


@dataclass(frozen=True, slots=True)
class JobList:
    """Jobs that were listed.

    Args:
        jobs: They.
        is_complete: Whether there are no more.
    """

    jobs: tuple[JobJson, ...]
    is_complete: bool


class Jobs(Protocol):
    """Vertex AI's JobService, as far as it is needed; jobs are API JSON.

    Every method raises an error of the `VertexApiError` family.
    """

    def create(self, parent: str, job: JobJson) -> JobJson:
        """Create a job in `projects/P/locations/L`; is never repeated by itself."""
        ...

    def get(self, name: str) -> JobJson:
        """Read a job by its resource name."""
        ...

    def list(self, parent: str, job_filter: str, *, first_page_only: bool = False) -> JobList:
        """The jobs of `projects/P/locations/L` that fulfil a filter: name, state, labels, times."""
        ...

    def cancel(self, name: str) -> None:
        """Ask for a job to be cancelled; it goes on for a while."""
        ...


class Logs(Protocol):
    """What jobs have written, as far as it is needed."""

    def fetch_tail(self, name: str, task_name: str) -> list[str]:
        """The last lines of a job's replica, the oldest first.

        Args:
            name: Resource name of the job.
            task_name: The replica, such as `workerpool0-0`.

        Raises an error of the `VertexStepOperatorError` family.
        """
        ...


@dataclass(frozen=True, slots=True)
class StepRunRecord:
    """What the ZenML server says of a step run; statuses are `ExecutionStatus` values.

    Args:
        status: Status of the step run.
        run_status: Status of its pipeline run.
        end_time: When the step run was over, with a time zone; None if it is not.
    """

    status: str
    run_status: str
    end_time: datetime | None


class StepRuns(Protocol):
    """The ZenML server's record of step runs; statuses are `ExecutionStatus` values.

    Every method raises ServerUnreachable if there is no answer, and StepRunNotFound if
    the step run that it names was deleted.
    """

    def status(self, step_run_id: str) -> str:
        """The status of a step run now."""
        ...

    def statuses(self, run_id: str, step_run_ids: Sequence[str]) -> Mapping[str, str]:
        """What has changed among step runs of one pipeline run, in one question.

        Returns:
            ID of a step run -> its status; those that are not over may be left out.
        """
        ...

    def find(self, step_run_id: str) -> StepRunRecord | None:
        """A step run as it is now; None if there is none."""
        ...

    def record(self, step_run_id: str, metadata: Mapping[str, Any]) -> None:
        """Add metadata to a step run."""
        ...

    def fail(self, step_run_id: str, message: str) -> str:
        """Mark a step run as failed, with the reason; the status that results."""
        ...

    def stop(self, step_run_id: str, message: str) -> str:
        """Mark a step run as stopped, with the reason; the status that results."""
        ...
