"""What a job is called: its resource name, its display name, its labels."""

import re
from dataclasses import dataclass
from urllib.parse import quote

from zenml_vertex.errors import VertexStepOperatorError

# Limits of CustomJob.display_name and of labels,
# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs
MAX_DISPLAY_NAME = 128
MAX_LABEL = 63

STEP_RUN_LABEL = "zenml-step-run-id"
RUN_LABEL = "zenml-run-id"
STEP_LABEL = "zenml-step"
PIPELINE_LABEL = "zenml-pipeline"
SERVER_LABEL = "zenml-server-id"
SOURCE_LABEL = "source"

_RESOURCE_NAME = re.compile(r"projects/([^/]+)/locations/([^/]+)/customJobs/([^/]+)")


@dataclass(frozen=True, slots=True)
class JobName:
    """The resource name of a CustomJob, taken apart.

    Args:
        project: Project number or ID.
        location: Region.
        job_id: The numeric ID that the service chose.
    """

    project: str
    location: str
    job_id: str

    @classmethod
    def parse(cls, name: str) -> "JobName":
        """Read `projects/P/locations/L/customJobs/ID`.

        Raises:
            VertexStepOperatorError: If it is anything else.
        """
        match = _RESOURCE_NAME.fullmatch(name)
        if match is None:
            raise VertexStepOperatorError(
                f"`{name}` is not the name of a Vertex AI job: expected "
                "`projects/P/locations/L/customJobs/ID`."
            )
        return cls(*match.groups())

    def __str__(self) -> str:
        return f"{self.parent}/customJobs/{self.job_id}"

    @property
    def parent(self) -> str:
        """The project and region, as the API names them."""
        return f"projects/{self.project}/locations/{self.location}"

    @property
    def console_url(self) -> str:
        """The job's page in the Google Cloud console, as google-cloud-aiplatform 2.7 prints it."""
        return (
            "https://console.cloud.google.com/agent-platform/locations/"
            f"{self.location}/training/{self.job_id}?project={self.project}"
        )

    @property
    def logs_url(self) -> str:
        """The job's log lines in Cloud Logging."""
        query = f'resource.type="ml_job"\nresource.labels.job_id="{self.job_id}"'
        return (
            "https://console.cloud.google.com/logs/query;query="
            f"{quote(query, safe='')}?project={self.project}"
        )

    @property
    def stream_logs_command(self) -> str:
        """The command that prints the job's log lines as they come."""
        return (
            f"gcloud ai custom-jobs stream-logs {self.job_id} "
            f"--region={self.location} --project={self.project}"
        )


def build_display_name(run_name: str, step_name: str) -> str:
    """`<run name>-<step name>`, cut to 128 characters at the run name's end first."""
    room = MAX_DISPLAY_NAME - len(step_name) - 1
    if room < 1:
        return step_name[:MAX_DISPLAY_NAME]
    return f"{run_name[:room]}-{step_name}"


def build_labels(
    *,
    server_id: str,
    run_id: str,
    step_run_id: str,
    step_name: str,
    pipeline_name: str,
    version: str,
) -> dict[str, str]:
    """The labels by which a job is found again, and told from everyone else's.

    The step-run label is unique to one attempt at one step: it stands in for
    the request ID that CreateCustomJob does not have.
    """
    labels = {
        SOURCE_LABEL: f"zenml-vertex-{version}",
        SERVER_LABEL: server_id,
        RUN_LABEL: run_id,
        STEP_RUN_LABEL: step_run_id,
        STEP_LABEL: step_name,
        PIPELINE_LABEL: pipeline_name,
    }
    return {key: clean_label_value(value) for key, value in labels.items()}


def clean_label_value(value: str) -> str:
    """Make a value that the API takes: at most 63 of `[a-z0-9_-]`."""
    return re.sub(r"[^a-z0-9_-]+", "_", value.lower())[:MAX_LABEL]
