"""The JobService of CustomJobs: what each call does, without HTTP.

Vertex API reference, `projects.locations.customJobs`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vertex_emulator.core.errors import (
    ApiError,
    Json,
    Violation,
    found_errors,
    invalid_argument,
)
from vertex_emulator.core.names import Parent
from vertex_emulator.core.operation_documents import EMPTY
from vertex_emulator.core.operations import Operations
from vertex_emulator.core.pages import read_page_size, read_page_token, take_page
from vertex_emulator.core.proto_json import mask_message
from vertex_emulator.jobs import outcome
from vertex_emulator.jobs.creation_order import position_of
from vertex_emulator.jobs.defaults import fill_defaults
from vertex_emulator.jobs.driver import Driver
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.list_filter import compile_filter
from vertex_emulator.jobs.messages import read_custom_job, read_mask
from vertex_emulator.jobs.rules import find_violations
from vertex_emulator.runtimes.contract import AnyRuntime, ImageError, ImageRuntime

# Not documented; what public clients ask for.
MAX_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class JobService:
    """The calls of the service."""

    # Runs the jobs.
    driver: Driver
    # Says which jobs it can run.
    runtime: AnyRuntime
    operations: Operations
    # Gives the IDs of those jobs that a list does not have yet.
    find_unlisted: Callable[[Sequence[Job]], frozenset[str]] = lambda _: frozenset()

    def create(self, parent: Parent, body: Json, *, version: str) -> Json:
        """Create a job; it is started at once.

        Raises:
            ApiError: INVALID_ARGUMENT for a job that breaks rules, UNIMPLEMENTED for one
                that this emulator cannot run; for one that does not fit the persistent
                resource that it names, see `persistent_resources/fitting.py`.
        """
        request = read_custom_job(body, beta=version == "v1beta1")
        if violations := find_violations(request, parent.location):
            raise found_errors(violations)
        request = fill_defaults(request)
        if unserved := self.runtime.find_unserved(request["jobSpec"]):
            raise ApiError(
                "UNIMPLEMENTED",
                f"The emulator's {self.runtime.name} runtime does not serve {'; '.join(unserved)}.",
            )
        self._check_image(parent, request["jobSpec"])
        return self.driver.create(parent, request).to_json()

    def get(self, parent: Parent, job_id: str) -> Json:
        """A job.

        Raises:
            ApiError: NOT_FOUND.
        """
        return self._find(parent, job_id).to_json()

    def list(self, parent: Parent, query: Mapping[str, str]) -> Json:
        """A page of jobs, the newest first.

        Raises:
            ApiError: INVALID_ARGUMENT for an invalid filter, page size, page token or mask.
        """
        text, mask = query.get("filter", ""), read_mask(query.get("readMask", ""))
        matches = compile_filter(text)
        size = read_page_size(query.get("pageSize") or 0, MAX_PAGE_SIZE, MAX_PAGE_SIZE)
        last = read_page_token(query.get("pageToken", ""), str(parent), text)
        chosen = (
            job
            for job in self.driver.iter_newest(str(parent), last)
            if matches(job) and not self.find_unlisted([job])
        )
        page, token = take_page(chosen, size, position_of, str(parent), text)
        answer: Json = {}
        if page:
            answer["customJobs"] = [mask_message(job.to_json(), mask) for job in page]
        if token:
            answer["nextPageToken"] = token
        return answer

    def cancel(self, parent: Parent, job_id: str) -> Json:
        """Cancel a job; returns before it has ended.

        A job that has ended is refused in the words that were reported for a training
        pipeline (GoogleCloudPlatform/java-docs-samples #9281).

        Raises:
            ApiError: NOT_FOUND, or FAILED_PRECONDITION.
        """
        job = self._find(parent, job_id)
        if job.is_terminal:
            raise _not_in_state(parent, job, "canceled")
        self.driver.cancel(job_id)
        return {}

    def delete(self, parent: Parent, job_id: str, *, version: str) -> Json:
        """Delete a job; the operation is already done.

        A job that has not ended is refused: Google's own samples cancel a job and wait for
        its end before they delete it (googleapis/python-aiplatform,
        `samples/snippets/job_service/create_custom_job_sample_test.py`). The words are those
        of a refused cancel.

        Raises:
            ApiError: NOT_FOUND, or FAILED_PRECONDITION.
        """
        job = self._find(parent, job_id)
        if not job.is_terminal:
            raise _not_in_state(parent, job, "deleted")
        metadata = f"google.cloud.aiplatform.{version}.DeleteOperationMetadata"
        operation = self.operations.begin(str(parent), metadata)
        self.driver.delete(job_id)
        return self.operations.finish(operation["name"], EMPTY)

    def _check_image(self, parent: Parent, job_spec: Json) -> None:
        """Refuse a repository that cannot be read, as the service does before it creates a job.

        Raises:
            ApiError: INVALID_ARGUMENT.
        """
        if not isinstance(self.runtime, ImageRuntime):
            return
        pools = [pool for pool in job_spec["workerPoolSpecs"] if pool]
        for image_uri in dict.fromkeys(pool["containerSpec"]["imageUri"] for pool in pools):
            refusal = outcome.repository_refused(image_uri, parent.number)
            if refusal is None:
                continue
            try:
                self.runtime.check_image(image_uri)
            except ImageError as error:
                if error.is_refused:
                    raise invalid_argument(refusal) from error

    def _find(self, parent: Parent, job_id: str) -> Job:
        if not (job_id.isascii() and job_id.isdigit()):
            # Recorded, without the usual details (GoogleCloudPlatform/k8s-config-connector).
            found = found_errors([Violation("name", "Invalid CustomJob resource name.")])
            raise invalid_argument(found.message)
        job = self.driver.get(job_id)
        if job is None or job.parent != str(parent):
            raise ApiError("NOT_FOUND", "The CustomJob does not exist.")
        return job


def _not_in_state(parent: Parent, job: Job, done: str) -> ApiError:
    # With the project as the caller wrote it, as in the report.
    name = f"projects/{parent.project}/locations/{job.location}/customJobs/{job.job_id}"
    return ApiError(
        "FAILED_PRECONDITION",
        f'The CustomJob "{name}" is in state {job.state.value} and cannot be {done}.',
    )
