"""The metadata of a step run: which job belongs to it, and where to see that job."""

from collections.abc import Mapping
from typing import Any

from zenml_vertex.job.identity import JobName

JOB_NAME_KEY = "zenml_vertex.job_name"
# Recorded before a job is created: where to search for it if its name is never recorded.
PARENT_KEY = "zenml_vertex.parent"
CONSOLE_URL_KEY = "zenml_vertex.console_url"
LOGS_URL_KEY = "zenml_vertex.logs_url"
# The built-in operator's key, for those who read it. A step may overwrite it with
# metadata of its own, so `JOB_NAME_KEY` takes precedence.
BUILTIN_JOB_NAME_KEY = "job_name"


def build_job_metadata(name: JobName) -> dict[str, Any]:
    """What is recorded on the step run as soon as its job exists.

    The resource name is complete: an operator that is configured for another project or
    region finds the job by it too.
    """
    return {
        JOB_NAME_KEY: str(name),
        BUILTIN_JOB_NAME_KEY: str(name),
        CONSOLE_URL_KEY: name.console_url,
        LOGS_URL_KEY: name.logs_url,
    }


def find_recorded_name(recorded: Mapping[str, Any]) -> JobName | None:
    """The job that the metadata of a step run names; the built-in operator's key counts too."""
    found = recorded.get(JOB_NAME_KEY) or recorded.get(BUILTIN_JOB_NAME_KEY)
    return JobName.parse(str(found)).created_in(recorded.get(PARENT_KEY)) if found else None
