"""What the service says of a job: errors, log lines, limits of restarts. Pure.

Texts and codes: recorded jobs (the public history of `gretjia/omega`, folder
`archive/audit/v62`), https://cloud.google.com/vertex-ai/docs/general/troubleshooting
and public reports. Restarts:
https://cloud.google.com/vertex-ai/docs/training/understanding-training-service
"""

import re
from urllib.parse import quote

from vertex_emulator.core.errors import Json
from vertex_emulator.runtimes.contract import KILLED, PRIMARY, Exit

# SIGABRT and SIGSEGV, as a program and as a shell report them: "may be transient".
TRANSIENT_EXIT_STATUSES = frozenset({6, 11, 134, 139})
MAX_EXIT_RESTARTS = 3
MAX_INTERNAL_RESTARTS = 2
MAX_STOCKOUT_RESTARTS = 3
MAX_PREEMPTION_RESTARTS = 6

WAITING = "Waiting for job to be provisioned."
PROVISIONING = (
    "Vertex AI is provisioning job running framework. First time usage might take couple of "
    "minutes, and subsequent runs can be much faster."
)
SETTING_UP = "Vertex AI is setting up this job."
STARTING = "Waiting for training program to start."
PREPARING = "Job is preparing."
RUNNING = "Job is running."
TEARING_DOWN = "Tearing down training program."
TORN_DOWN = "Finished tearing down training program."
SUCCEEDED = "Job completed successfully."
FAILED = "Job failed."
CANCELLED = "Job cancelled."
INTERNAL_ERROR = "Internal error occurred for the current attempt."
NOT_RETRIED = "Job will not be retried, max error retry attempts reached."
# Lines -> the state that each announces, in a label of its own.
ANNOUNCED = {
    WAITING: "QUEUED",
    PREPARING: "PREPARING",
    RUNNING: "RUNNING",
    SUCCEEDED: "SUCCEEDED",
    FAILED: "FAILED",
    CANCELLED: "CANCELLED",
}

# google.rpc.Code
_CANCELLED, _INVALID_ARGUMENT, _RESOURCE_EXHAUSTED, _INTERNAL = 1, 3, 8, 13

_ARTIFACT_REGISTRY = re.compile(r"([a-z0-9-]+)-docker\.pkg\.dev/([^/]+)/([^/@]+)/")


def exit_error(end: Exit, *, number: str, job_id: str, replica: str = PRIMARY) -> Json:
    """The `google.rpc.Status` of a job a container of which ended with a status other than 0.

    Args:
        end: How it ended.
        number: Number of the project.
        job_id: Numeric ID of the job.
        replica: Which replica it was.
    """
    if end.is_out_of_memory:
        return memory_error(replica)
    text = f"The replica {replica} exited with a non-zero status of {end.status}. "
    if end.start_error is not None:
        text += f"Termination reason: StartError. Termination log message: {end.start_error}"
    else:
        text += (
            "Termination reason: Error. To find out more about why your job exited please check "
            f"the logs: {logs_url(number, job_id)}"
        )
    return {"code": _INVALID_ARGUMENT, "message": text}


def cancelled_error() -> Json:
    """The `google.rpc.Status` of a job that was cancelled or ran into its timeout.

    Recorded of cancelled jobs. What a timeout says is not known, so that it says the
    same, and no test can come to rely on a difference.
    """
    return {"code": _CANCELLED, "message": "CANCELED"}


def internal_error() -> Json:
    """The `google.rpc.Status` of a job after too many internal errors."""
    return {"code": _INTERNAL, "message": INTERNAL_ERROR}


def stockout_error(location: str) -> Json:
    """The `google.rpc.Status` of a job for which no machine was available."""
    return {
        "code": _RESOURCE_EXHAUSTED,
        "message": f"Resources are insufficient in region: {location}. Please try a different "
        "region or use a different accelerator.",
    }


def memory_error(replica: str = PRIMARY, *, is_container_named: bool = False) -> Json:
    """The `google.rpc.Status` of a job that has used up its memory.

    Args:
        replica: Which replica of the job it was.
        is_container_named: The text of the documentation, whose code is not documented;
            here it is that of any exit status. Else the recorded text and code.
    """
    if is_container_named:
        return {
            "code": _INVALID_ARGUMENT,
            "message": f"The replica {replica} ran out of memory and exited with a non-zero status "
            f"of {KILLED}.",
        }
    pool = replica.partition("-")[0]
    return {
        "code": _RESOURCE_EXHAUSTED,
        "message": f"Replicas low on memory: {pool}. Specify a machine with larger memory and try "
        "again.",
    }


def image_error(reason: str) -> Json:
    """The `google.rpc.Status` of a job whose image could not be pulled.

    Neither its code nor its text is documented. The text is the emulator's own, with
    the registry's words in it.
    """
    return {"code": _INVALID_ARGUMENT, "message": reason}


def repository_refused(image_uri: str, number: str) -> str | None:
    """The service's refusal of an image in an Artifact Registry repository that it cannot read.

    Text: public reports.

    Args:
        image_uri: URI of the image.
        number: Number of the project.

    Returns:
        None for an image of another registry, for which no such refusal is documented.
    """
    match = _ARTIFACT_REGISTRY.match(image_uri)
    if match is None:
        return None
    location, project, repository = match.groups()
    return (
        f"Vertex AI Service Agent service-{number}@gcp-sa-aiplatform-cc.iam.gserviceaccount.com "
        "does not have permission to access Artifact Registry repository "
        f"projects/{project}/locations/{location}/repositories/{repository}"
    )


def logs_url(number: str, job_id: str) -> str:
    """The link to a job's logs that the service prints.

    Args:
        number: Number of the project.
        job_id: Numeric ID of the job.
    """
    query = f'resource.type="ml_job"\nresource.labels.job_id="{job_id}"'
    return (
        f"https://console.cloud.google.com/logs/viewer?project={number}"
        f"&resource=ml_job%2Fjob_id%2F{job_id}&advancedFilter={quote(query, safe='')}"
    )
