"""Jobs and secrets as the commands show them."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from zenml_vertex.clock import read_time

if TYPE_CHECKING:
    from zenml_vertex.following.orphans import InspectedJob, OrphanSecret


def read_id(job: Mapping[str, Any]) -> str:
    """The number of a job."""
    return str(job["name"]).rsplit("/", 1)[-1]


def read_step(job: Mapping[str, Any]) -> str:
    """The name of a job's step."""
    from zenml_vertex.job.identity import STEP_LABEL

    return str(job.get("labels", {}).get(STEP_LABEL, "?"))


def describe_age(time: datetime) -> str:
    """How long ago something was."""
    from zenml_vertex.job.times import format_duration

    return f"{format_duration((read_time() - time).total_seconds())} ago"


def describe(inspected: "InspectedJob", *, place: str = "") -> str:
    """A job in one line, with who follows it.

    Args:
        inspected: The job.
        place: Where it is, if that has to be said.
    """
    from zenml_vertex.job.identity import PIPELINE_LABEL, RUN_LABEL
    from zenml_vertex.job.states import short_name
    from zenml_vertex.job.times import JobTimes

    job = inspected.job
    labels = job.get("labels", {})
    created = JobTimes.read(job).created
    if inspected.reason:
        followed = f"  orphan: {inspected.reason}"
    elif inspected.following.lease:
        followed = f"  followed by {inspected.following.describe(read_time())}"
    else:
        followed = ""
    return (
        f"{read_id(job)}  {short_name(job['state']):<10}  "
        f"step `{read_step(job)}` of pipeline `{labels.get(PIPELINE_LABEL, '?')}`, "
        f"run {labels.get(RUN_LABEL, '?')}"
        + (f", created {describe_age(created)}" if created else "")
        + (f", in {place}" if place else "")
        + followed
    )


def describe_secret(secret: "OrphanSecret") -> str:
    """A secret in one line."""
    return f"{secret.name.secret_id}  secret of step `{secret.step}`  orphan: {secret.reason}"
