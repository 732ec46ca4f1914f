"""Vertex AI's JobService, through Google's own client over REST.

REST and not gRPC: it passes company proxies, survives a fork, and is what the
emulator speaks, so that what ships is what is tested.
"""

from dataclasses import dataclass
from typing import Any

from google.api_core.retry import Retry, if_transient_error
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from zenml_vertex.cloud.client_import import CustomJob, JobServiceClient, ListCustomJobsRequest
from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.errors import translated
from zenml_vertex.cloud.transport import protect
from zenml_vertex.errors import RequestRejected, ServiceUnavailable
from zenml_vertex.following.protocols import JobList
from zenml_vertex.foreign_text import clean_sentence
from zenml_vertex.job.request import JobJson

# The largest page that public clients ask for; the maximum is not documented.
PAGE_SIZE = 100
# A cancel that fails is asked for again for longer than that.
_CANCEL_RETRY_SECONDS = 5.0
# A whole job has its environment, secrets included, which a list does not need.
_LISTED = FieldMask(paths=["name", "state", "labels", "create_time", "start_time"])


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that a call may wait for the next part of its response; more than 0.

    The client has no timeout of its own: without one, a call can hang forever.
    """

    create: float = 60.0
    read: float = 30.0
    # The client's own retries of a cancel get 5 s of it at most.
    cancel: float = 30.0


class VertexJobs:
    """Creates, reads and cancels jobs; implements `following.protocols.Jobs`.

    Args:
        identity: Who does it.
        endpoint: Where the API is.
        timeouts: How long each call may take.
    """

    def __init__(
        self, identity: Identity, endpoint: Endpoint, timeouts: Timeouts | None = None
    ) -> None:
        self._who = identity.description
        self._timeouts = timeouts or Timeouts()
        with translated(f"connecting to {endpoint.shown}", self._who):
            self._client = JobServiceClient(
                credentials=identity.credentials,
                transport="rest",
                client_options={"api_endpoint": endpoint.url},
            )
            # The client makes its own session, and takes none.
            transport: Any = self._client.transport
            protect(transport._session)  # noqa: SLF001
        self._cancel_retry = Retry(
            predicate=if_transient_error,
            initial=0.5,
            timeout=min(self._timeouts.cancel, _CANCEL_RETRY_SECONDS),
        )

    def create(self, parent: str, job: JobJson) -> JobJson:
        message = _to_message(job)
        action = f"creating a job in {parent}"
        with translated(action, self._who):
            created = self._client.create_custom_job(
                parent=parent, custom_job=message, timeout=self._timeouts.create
            )
            return _to_json(created, action)

    def get(self, name: str) -> JobJson:
        action = f"reading {name}"
        with translated(action, self._who):
            job = self._client.get_custom_job(name=name, timeout=self._timeouts.read)
            return _to_json(job, action)

    def list(self, parent: str, job_filter: str, *, first_page_only: bool = False) -> JobList:
        action = f"listing jobs in {parent}"
        request = ListCustomJobsRequest(
            parent=parent, filter=job_filter, page_size=PAGE_SIZE, read_mask=_LISTED
        )
        with translated(action, self._who):
            pager = self._client.list_custom_jobs(request, timeout=self._timeouts.read)
            jobs = []
            for page in pager.pages:
                jobs += [_to_json(job, action) for job in page.custom_jobs]
                if first_page_only and page.next_page_token:
                    return JobList(tuple(jobs), is_complete=False)
        return JobList(tuple(jobs), is_complete=True)

    def cancel(self, name: str) -> None:
        with translated(f"cancelling {name}", self._who):
            self._client.cancel_custom_job(
                name=name, timeout=self._timeouts.cancel, retry=self._cancel_retry
            )

    def close(self) -> None:
        """Close the connections."""
        self._client.transport.close()


def _to_message(job: JobJson) -> CustomJob:
    message = CustomJob()
    try:
        ParseDict(job, CustomJob.pb(message))
    except ParseError as error:
        raise RequestRejected(
            "The installed google-cloud-aiplatform does not know a value of this job: "
            f"{clean_sentence(str(error))} If Google has added it since, run `pip install -U "
            "google-cloud-aiplatform`."
        ) from None
    return message


def _to_json(job: CustomJob, action: str) -> JobJson:
    """API JSON of a job; a state that this client does not know is its number, as text.

    Raises:
        ServiceUnavailable: If it is not a job: a proxy's `{}` is read as an empty one.
    """
    body: dict[str, Any] = MessageToDict(CustomJob.pb(job))
    if not body.get("name"):
        raise ServiceUnavailable(f"Vertex AI's response while {action} does not name a job.")
    body["state"] = str(body.get("state", "JOB_STATE_UNSPECIFIED"))
    return body
