"""The routes of the JobService."""

from typing import Any

from vertex_emulator.core.messages import Field, Message
from vertex_emulator.core.names import Parent, parse_parent
from vertex_emulator.core.operation_documents import EMPTY_MESSAGE, OPERATION
from vertex_emulator.http.messages import ApiRequest
from vertex_emulator.http.routes import LOCATION, Api, FaultTarget, Service, route
from vertex_emulator.jobs.schema import CUSTOM_JOB
from vertex_emulator.jobs.service import JobService

_JOBS = f"{LOCATION}/customJobs"
_JOB = f"{_JOBS}/{{job}}"
_PAGE = Message(
    "google.cloud.aiplatform.v1.ListCustomJobsResponse",
    {"customJobs": Field(CUSTOM_JOB, repeated=True), "nextPageToken": Field("string")},
)


class JobApi(Api):
    """The JobService of CustomJobs over HTTP.

    Args:
        jobs: What each call does.
    """

    service = Service("Vertex AI JobService", host="aiplatform.googleapis.com")

    def __init__(self, jobs: JobService) -> None:
        self._jobs = jobs

    @route(
        "POST",
        _JOBS,
        note="Every documented rule, all violations at once; then the command really runs.",
        fault_method="create",
        permission="aiplatform.customJobs.create",
        answer=CUSTOM_JOB,
    )
    def create_job(self, request: ApiRequest) -> Any:
        """Create a job."""
        return self._jobs.create(
            _parent(request), request.read_json(), version=request.path["version"]
        )

    @route(
        "GET",
        _JOBS,
        note="`filter`, `pageSize` (at most 100: not documented), `pageToken`, `readMask`. "
        "Newest first. A job is in the list at once; whether Google's is, is not documented.",
        fault_method="list",
        permission="aiplatform.customJobs.list",
        parameters=("filter", "pageSize", "pageToken", "readMask"),
        answer=_PAGE,
    )
    def list_jobs(self, request: ApiRequest) -> Any:
        """A page of jobs."""
        return self._jobs.list(_parent(request), request.query)

    @route(
        "GET",
        _JOB,
        fault_method="get",
        permission="aiplatform.customJobs.get",
        answer=CUSTOM_JOB,
    )
    def get_job(self, request: ApiRequest) -> Any:
        """A job."""
        return self._jobs.get(_parent(request), request.path["job"])

    @route(
        "POST",
        f"{_JOB}:cancel",
        note="Asynchronous. For a job that has ended: FAILED_PRECONDITION, which is assumed.",
        fault_method="cancel",
        permission="aiplatform.customJobs.cancel",
        answer=EMPTY_MESSAGE,
    )
    def cancel_job(self, request: ApiRequest) -> Any:
        """Ask a job to end."""
        request.read_json()
        return self._jobs.cancel(_parent(request), request.path["job"])

    @route(
        "DELETE",
        _JOB,
        "simplified",
        "The operation is done at once. For a job that has not ended: FAILED_PRECONDITION, which "
        "is assumed.",
        fault_method="delete",
        permission="aiplatform.customJobs.delete",
        answer=OPERATION,
    )
    def delete_job(self, request: ApiRequest) -> Any:
        """Delete a job; a long-running operation."""
        return self._jobs.delete(
            _parent(request), request.path["job"], version=request.path["version"]
        )

    def describe_target(self, request: ApiRequest) -> FaultTarget:
        job_id = request.path.get("job")
        project, location = request.path["project"], request.path["location"]
        resource = f"projects/{project}/locations/{location}"
        if job_id is None:
            body = request.peek_json()
            labels, names = body.get("labels"), (body.get("displayName"), body.get("display_name"))
            return FaultTarget(
                resource=resource,
                labels=labels if isinstance(labels, dict) else {},
                display_name=names[0] or names[1],
            )
        job = self._jobs.driver.get(job_id)
        return FaultTarget(
            resource=f"{resource}/customJobs/{job_id}",
            job_id=job_id,
            labels=job.labels if job else {},
            display_name=job.request["displayName"] if job else None,
        )

    def start(self) -> None:
        self._jobs.driver.start()

    def reset(self) -> None:
        self._jobs.driver.clear()

    def crash(self) -> None:
        self._jobs.driver.crash()

    def stop(self) -> None:
        self._jobs.driver.stop()


def _parent(request: ApiRequest) -> Parent:
    return parse_parent(request.path["project"], request.path["location"])
