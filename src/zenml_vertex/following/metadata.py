"""The metadata of a step run: which job belongs to it, and where to see that job."""

from collections.abc import Mapping
from typing import Any

from zenml_vertex.job.identity import JobName

JOB_NAME_KEY = "zenml_vertex.job_name"
# Recorded before a job is created: there may be one, even if its name is never recorded. Where it
# is searched for, the settings say.
PARENT_KEY = "zenml_vertex.parent"
# Who follows the job, see `clients`. With the intent, it has the submission too.
CLIENT_KEY = "zenml_vertex.client"
SUBMISSION_PREFIX = "submission "
CONSOLE_URL_KEY = "zenml_vertex.console_url"
LOGS_URL_KEY = "zenml_vertex.logs_url"
# The built-in operator's key, for those who read it. A step may overwrite it with
# metadata of its own, so it counts only for a step run that the built-in submitted.
BUILTIN_JOB_NAME_KEY = "job_name"


def build_job_metadata(name: JobName) -> dict[str, Any]:
    """What is recorded on the step run as soon as its job exists.

    It is for people to read too; `Submission` believes none of it without reading the job.
    """
    links = {CONSOLE_URL_KEY: name.console_url, LOGS_URL_KEY: name.logs_url}
    return {
        JOB_NAME_KEY: str(name),
        BUILTIN_JOB_NAME_KEY: str(name),
        **{key: url for key, url in links.items() if url},
    }


def is_submitted_here(recorded: Mapping[str, Any]) -> bool:
    """Whether this operator has submitted a step run, or was about to.

    A step can overwrite its metadata, but not remove any.
    """
    return PARENT_KEY in recorded or JOB_NAME_KEY in recorded


def find_submissions(recorded: Mapping[str, Any]) -> list[str]:
    """The submissions of a step run, the first one first.

    The ZenML server joins what is written to one key, if it is objects, in the order in which it
    was written.
    """
    client = recorded.get(CLIENT_KEY)
    names = client if isinstance(client, Mapping) else ()
    return [name for name in names if str(name).startswith(SUBMISSION_PREFIX)]


def find_recorded_name(recorded: Mapping[str, Any]) -> JobName | None:
    """The job that the metadata of a step run names, which whoever writes to it can choose.

    Raises:
        VertexStepOperatorError: If it names something else.
    """
    key = JOB_NAME_KEY if is_submitted_here(recorded) else BUILTIN_JOB_NAME_KEY
    found = recorded.get(key)
    return JobName.parse(str(found)) if found else None
