"""Who a job is: its resource name, its display name, its labels, and which attempt it is.

A step run is tried in attempts, each of which is one job; a job runs in replicas. An
`Attempt` is (step run, number), a `Replica` is (attempt, worker pool, index in the pool).
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from zenml_vertex.errors import InvalidJobName
from zenml_vertex.job.states import TERMINAL_STATES

# Limits of CustomJob.display_name and of labels,
# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs
MAX_DISPLAY_NAME = 128
MAX_LABEL = 63
MAX_LABEL_BYTES = 127
MAX_LABELS = 64

STEP_RUN_LABEL = "zenml-step-run-id"
ATTEMPT_LABEL = "zenml-attempt"
RUN_LABEL = "zenml-run-id"
STEP_LABEL = "zenml-step"
PIPELINE_LABEL = "zenml-pipeline"
SERVER_LABEL = "zenml-server-id"
# Of a job whose environment is in a secret: the secret's ID.
SECRET_LABEL = "zenml-secret"  # noqa: S105 - the name of a label
SOURCE_LABEL = "source"
# Which process created the job. Unlike metadata, no step can change it.
CLIENT_LABEL = "zenml-client"
OWN_LABELS = (
    STEP_RUN_LABEL,
    ATTEMPT_LABEL,
    RUN_LABEL,
    STEP_LABEL,
    PIPELINE_LABEL,
    SERVER_LABEL,
    SECRET_LABEL,
    SOURCE_LABEL,
    CLIENT_LABEL,
)

# What the built-in operator labels its jobs with, such as `zenml-0_98_0`.
_BUILTIN_SOURCE = re.compile(r"zenml-[0-9][0-9a-z_]*")

# Tells a container which attempt it belongs to.
ATTEMPT_VARIABLE = "ZENML_VERTEX_ATTEMPT"
# Tells a container which replica it is,
# https://cloud.google.com/vertex-ai/docs/training/distributed-training
CLUSTER_VARIABLE = "CLUSTER_SPEC"
# Both variables can be set to anything in an image or by a step. Numbers are bounded,
# because Python refuses to convert those of thousands of digits.
_TASK_TYPE = re.compile(r"workerpool([0-9]{1,9})")
_TASK_INDEX = re.compile(r"[0-9]{1,9}")
_ATTEMPT_NUMBER = re.compile(r"[1-9][0-9]{0,8}")

# A name may come from metadata that a step has written. What it names becomes part of hosts,
# paths and commands, so each part has its own characters: a project's number or ID, that of
# a domain too (`example.com:my-project`), a region, and digits.
_PROJECT_PATTERN = r"[a-z0-9][a-z0-9.:-]{0,62}"
_REGION_PATTERN = r"[a-z][a-z0-9-]{0,62}"
_REGION = re.compile(_REGION_PATTERN)
_PARENT = re.compile(rf"projects/({_PROJECT_PATTERN})/locations/{_REGION_PATTERN}")
_RESOURCE_NAME = re.compile(
    rf"projects/({_PROJECT_PATTERN})/locations/({_REGION_PATTERN})/customJobs/([0-9]{{1,20}})"
)


def is_project(text: str) -> bool:
    """Whether a text has the form of a project's number or ID."""
    return re.fullmatch(_PROJECT_PATTERN, text or "") is not None


def is_region(text: str) -> bool:
    """Whether a text has the form of a region's name, and so is safe in the name of a host."""
    return _REGION.fullmatch(text or "") is not None


def is_parent(text: str) -> bool:
    """Whether a text is the name of a project and region: `projects/P/locations/L`."""
    return _PARENT.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class JobName:
    """The resource name of a CustomJob, taken apart.

    Args:
        project: Project number or ID.
        location: Region.
        job_id: The numeric ID that the service chose.
        project_id: ID of the project, if known. Vertex AI puts its number into names, and
            some commands of gcloud take the ID only.
        has_console: Whether Google's console shows it, which it does not for an emulator's.
    """

    project: str
    location: str
    job_id: str
    project_id: str = field(default="", compare=False)
    has_console: bool = field(default=True, compare=False)

    @classmethod
    def parse(cls, name: str) -> "JobName":
        """Read `projects/P/locations/L/customJobs/ID`.

        Raises:
            InvalidJobName: If it is anything else.
        """
        match = _RESOURCE_NAME.fullmatch(name)
        if match is None:
            raise InvalidJobName(
                f"{name[:200]!r} is not the name of a Vertex AI job: expected "
                "`projects/P/locations/L/customJobs/ID`."
            )
        return cls(match[1], match[2], match[3])

    def __str__(self) -> str:
        return f"{self.parent}/customJobs/{self.job_id}"

    def created_in(self, parent: object, *, has_console: bool = True) -> "JobName":
        """The same name, and the ID of the project if the job was created by it.

        Args:
            parent: `projects/P/locations/L`, as the create named it; anything else is ignored.
            has_console: Whether Google's console shows the job.
        """
        match = _PARENT.fullmatch(str(parent))
        project_id = match[1] if match else self.project_id
        return replace(self, project_id=project_id, has_console=has_console)

    @property
    def parent(self) -> str:
        """The project and region, as the API names them."""
        return f"projects/{self.project}/locations/{self.location}"

    @property
    def console_url(self) -> str:
        """The job's page in the Google Cloud console, as google-cloud-aiplatform 2.7 prints it.

        Empty if it has none.
        """
        if not self.has_console:
            return ""
        return (
            "https://console.cloud.google.com/agent-platform/locations/"
            f"{self.location}/training/{self.job_id}?project={self.project}"
        )

    @property
    def logs_url(self) -> str:
        """The job's log lines in the Google Cloud console; empty if it has none."""
        if not self.has_console:
            return ""
        query = f'resource.type="ml_job"\nresource.labels.job_id="{self.job_id}"'
        return (
            "https://console.cloud.google.com/logs/query;query="
            f"{quote(query, safe='')}?project={self.project}"
        )

    def build_command(self, verb: str) -> str:
        """The gcloud command that does something with the job: `describe`, `cancel`, ..."""
        return shlex.join(
            [
                *("gcloud", "ai", "custom-jobs", verb, self.job_id),
                f"--region={self.location}",
                f"--project={self.project_id or self.project}",
            ]
        )

    @property
    def stream_logs_command(self) -> str:
        """The command that prints the job's log lines as they come."""
        return self.build_command("stream-logs")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a step run, which is one job.

    A retry by ZenML is a step run of its own, and so has attempts of its own.
    """

    step_run_id: str
    # Attempts at a step run count from 1.
    number: int = 1

    @classmethod
    def read(cls, labels: Mapping[str, str]) -> "Attempt | None":
        """Read the labels of a job; None if they name no attempt.

        A job with the label of a step run but without one of an attempt is the first.
        """
        step_run_id = labels.get(STEP_RUN_LABEL, "")
        number = labels.get(ATTEMPT_LABEL, "1")
        is_ours = 0 < len(step_run_id) <= MAX_LABEL and _ATTEMPT_NUMBER.fullmatch(number)
        return cls(step_run_id, int(number)) if is_ours else None

    @property
    def as_labelled(self) -> "Attempt":
        """The attempt as labels have it, to compare it with what `read` returns."""
        return Attempt(clean_label_value(self.step_run_id), self.number)

    @property
    def primary(self) -> "Replica":
        """The replica that every job has: the only one, unless the job has more machines."""
        return Replica(self)


@dataclass(frozen=True, slots=True)
class Replica:
    """One container of an attempt; started again, it is the same replica."""

    attempt: Attempt
    # Index of the worker pool; the primary replica is alone in pool 0.
    pool: int = 0
    # Index in the pool, from 0.
    index: int = 0

    @classmethod
    def read(cls, step_run_id: str, environ: Mapping[str, str]) -> "Replica":
        """Read the environment of a container.

        What is not told there, or cannot be read, is the first of its kind: a container
        without a number still needs its claim.
        """
        number = environ.get(ATTEMPT_VARIABLE, "")
        attempt = Attempt(step_run_id, int(number) if _ATTEMPT_NUMBER.fullmatch(number) else 1)
        try:
            task = json.loads(environ.get(CLUSTER_VARIABLE, ""))["task"]
            pool = _TASK_TYPE.fullmatch(str(task["type"]))
            index = _TASK_INDEX.fullmatch(str(task["index"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return cls(attempt)
        return cls(attempt, int(pool[1]), int(index[0])) if pool and index else cls(attempt)

    def __str__(self) -> str:
        return f"{self.attempt.step_run_id}-{self.attempt.number}-{self.task_name}"

    @property
    def task_name(self) -> str:
        """What Cloud Logging calls the replica in the label `task_name`."""
        return f"workerpool{self.pool}-{self.index}"


def is_job_of(job: Mapping[str, Any], attempt: Attempt, server_id: str) -> bool:
    """Whether a job, as API JSON, bears the labels of an attempt at a step run of a ZenML server.

    A copy of a server's database has step runs of the same IDs, so the server counts too.
    """
    labels = job.get("labels", {})
    is_of_server = labels.get(SERVER_LABEL) == clean_label_value(server_id)
    return is_of_server and Attempt.read(labels) == attempt.as_labelled


def is_builtin_job(job: Mapping[str, Any], run_name: str, step_name: str) -> bool:
    """Whether ZenML's built-in operator created a job for a step of a pipeline run.

    Its jobs have no label but `source`; the name of a run is unique in its ZenML project.
    """
    labels = job.get("labels", {})
    source = _BUILTIN_SOURCE.fullmatch(labels.get(SOURCE_LABEL, ""))
    is_builtin = source is not None and STEP_RUN_LABEL not in labels
    return is_builtin and job.get("displayName") == f"{run_name}-{step_name}"


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
    attempt: Attempt,
    step_name: str,
    pipeline_name: str,
    version: str,
    client: str,
) -> dict[str, str]:
    """The labels by which a job is found again, and told from everyone else's.

    Those of the step run and the attempt are together unique to the job: they stand in
    for the request ID that CreateCustomJob does not have.
    """
    labels = {
        SOURCE_LABEL: f"zenml-vertex-{version}",
        SERVER_LABEL: server_id,
        RUN_LABEL: run_id,
        STEP_RUN_LABEL: attempt.step_run_id,
        ATTEMPT_LABEL: str(attempt.number),
        STEP_LABEL: step_name,
        PIPELINE_LABEL: pipeline_name,
        CLIENT_LABEL: client,
    }
    return {key: clean_label_value(value) for key, value in labels.items()}


def clean_label_value(value: str) -> str:
    """Make a value that the API takes: at most 63 of `[a-z0-9_-]`."""
    return re.sub(r"[^a-z0-9_-]+", "_", value.lower())[:MAX_LABEL]


# Filters of `customJobs.list` have only comparisons joined by AND: what parentheses mean
# there is not documented
# (https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs/list).


def filter_label(label: str, value: str) -> str:
    """Filter of the jobs with a label, in any state."""
    return f'labels.{label}="{clean_label_value(value)}"'


def filter_live_jobs(label: str, value: str) -> str:
    """Filter of the jobs with a label that have not ended; an unknown state has not ended."""
    is_live = (f'state!="{state}"' for state in TERMINAL_STATES)
    return " AND ".join([filter_label(label, value), *is_live])
