"""Vertex AI's JobService, through Google's own client over REST.

REST and not gRPC: it passes company proxies, survives a fork, and is what the
emulator speaks, so that what ships is what is tested.
"""

from typing import Any

from google.api_core.retry import Retry, if_transient_error
from google.cloud.aiplatform_v1 import JobServiceClient
from google.cloud.aiplatform_v1.types import CustomJob
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.errors import translated
from zenml_vertex.errors import RequestRejected
from zenml_vertex.job.request import JobJson

# The client has no timeout of its own: without one, a call can hang for ever.
CREATE_TIMEOUT_SECONDS = 60.0
READ_TIMEOUT_SECONDS = 30.0
CANCEL_TIMEOUT_SECONDS = 30.0

_CANCEL_RETRY = Retry(predicate=if_transient_error, initial=0.5, maximum=5.0, timeout=30.0)


class VertexJobs:
    """Creates, reads and cancels jobs; implements `following.protocols.Jobs`.

    Args:
        identity: Who does it.
        endpoint: Where the API is.
    """

    def __init__(self, identity: Identity, endpoint: Endpoint) -> None:
        self._client = JobServiceClient(
            credentials=identity.credentials,
            transport="rest",
            client_options={"api_endpoint": endpoint.url},
        )

    def create(self, parent: str, job: JobJson) -> JobJson:
        message = _to_message(job)
        with translated(f"creating a job in {parent}"):
            return _to_json(
                self._client.create_custom_job(
                    parent=parent, custom_job=message, timeout=CREATE_TIMEOUT_SECONDS
                )
            )

    def get(self, name: str) -> JobJson:
        with translated(f"reading {name}"):
            return _to_json(self._client.get_custom_job(name=name, timeout=READ_TIMEOUT_SECONDS))

    def cancel(self, name: str) -> None:
        with translated(f"cancelling {name}"):
            self._client.cancel_custom_job(
                name=name, timeout=CANCEL_TIMEOUT_SECONDS, retry=_CANCEL_RETRY
            )


def _to_message(job: JobJson) -> CustomJob:
    message = CustomJob()
    try:
        ParseDict(job, CustomJob.pb(message))
    except ParseError as error:
        raise RequestRejected(
            f"The installed google-cloud-aiplatform does not know a value of this job: {error}. "
            "If Google has added it since, run `pip install -U google-cloud-aiplatform`."
        ) from None
    return message


def _to_json(job: CustomJob) -> JobJson:
    """API JSON of a job; a state that this client does not know is its number, as text."""
    body: dict[str, Any] = MessageToDict(CustomJob.pb(job))
    body["state"] = str(body.get("state", "JOB_STATE_UNSPECIFIED"))
    return body
