"""Reading the recorded jobs of many step runs, for a process that has submitted none of them."""

import threading
from dataclasses import dataclass, field

from zenml_vertex.errors import PermissionDenied, RequestRejected
from zenml_vertex.following.protocols import Jobs
from zenml_vertex.job.identity import RUN_LABEL, filter_live_jobs
from zenml_vertex.job.request import JobJson


@dataclass(slots=True)
class ListedJobs:
    """Jobs of pipeline runs: the first of a run is read alone, the others come from one list.

    Only for what never changes about a job, such as its labels: a list is not made again. A
    job that the list lacks, such as one that has ended, is read alone too.
    """

    jobs: Jobs
    # Project and region, as the API names them.
    parent: str
    # ID of a pipeline run -> number of a job -> the job; None before the list is needed.
    _runs: dict[str, dict[str, JobJson] | None] = field(default_factory=dict, init=False)
    # ZenML's dynamic runner submits on several threads.
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def get(self, run_id: str, name: str) -> JobJson:
        """A job by its resource name; each job of a list is given out once.

        Args:
            run_id: The pipeline run of its step.
            name: Its resource name, in `parent`.

        Raises:
            VertexApiError: As for a read; if there is no such job, JobNotFound.
        """
        with self._lock:
            if run_id not in self._runs:
                self._runs[run_id] = None
                listed: dict[str, JobJson] = {}
            else:
                known = self._runs[run_id]
                listed = self._list(run_id) if known is None else known
                self._runs[run_id] = listed
            job = listed.pop(_number_of(name), None)
        return job or self.jobs.get(name)

    def _list(self, run_id: str) -> dict[str, JobJson]:
        try:
            found = self.jobs.list(self.parent, filter_live_jobs(RUN_LABEL, run_id))
        except (PermissionDenied, RequestRejected):
            # `customJobs.get` is enough to follow a job.
            return {}
        return {_number_of(job["name"]): job for job in found.jobs}


def _number_of(name: str) -> str:
    """The last part of a job's name: some names have the project's ID, some its number."""
    return name.rpartition("/")[2]
