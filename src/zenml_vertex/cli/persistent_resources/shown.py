"""Persistent resources as the commands show them, for people and for programs."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from zenml_vertex.clock import read_time

if TYPE_CHECKING:
    from zenml_vertex.resources.resource import PersistentResource
    from zenml_vertex.resources.usage import Usage


def describe(resource: "PersistentResource") -> str:
    """A resource in one line."""
    from zenml_vertex.cli.jobs.shown import describe_age

    used = f", {resource.used} of {resource.replicas} in use"
    created = f", created {describe_age(resource.created)}" if resource.created else ""
    error = f": {resource.error}" if resource.error else ""
    return (
        f"{resource.resource_id}  {resource.state:<12}  {resource.machines}{used}{created}{error}"
    )


def describe_idle(usage: "Usage", now: datetime) -> str:
    """How long a resource has been idle, and what that has cost in machine hours."""
    from zenml_vertex.job.times import format_duration

    seconds = usage.idle_seconds(now)
    if seconds is None:
        return ""
    hours = usage.idle_machine_hours(now)
    since = ", since its start: no job was ever on it" if usage.was_never_used else ""
    return f"idle for {format_duration(seconds)}, {hours:.1f} machine hours{since}"


def describe_usage(usage: "Usage", now: datetime) -> list[str]:
    """Who uses a resource, and how long nobody has, as lines."""
    from zenml_vertex.resources.resource import RUNNING

    lines = [_describe_job(job) for job in usage.jobs]
    resource = usage.resource
    if usage.has_unknown_users:
        lines.append(
            f"{resource.used} in use, and no custom job in this project and region has them: "
            "perhaps a tuning job, or a job that ends just now."
        )
    if not usage.is_complete:
        lines.append(
            "There are more jobs than are read here: who uses it, and since when it is idle, is "
            "known in part only."
        )
    elif idle := describe_idle(usage, now):
        lines.append(
            f"{idle[0].upper()}{idle[1:]}. Told by the custom jobs that there still are: deleted "
            "jobs, and what is not a custom job, leave no trace."
        )
    elif resource.state != RUNNING and not usage.jobs:
        lines.append("No job is on it.")
    return lines


def to_json(resource: "PersistentResource", usage: "Usage | None" = None) -> dict[str, Any]:
    """A resource for programs: as the API has it, and who uses it."""
    shown: dict[str, Any] = {"persistentResource": dict(resource.content)}
    if usage:
        now = read_time()
        seconds = usage.idle_seconds(now)
        hours = None if seconds is None else round(usage.idle_machine_hours(now), 3)
        shown["jobs"] = [str(job["name"]) for job in usage.jobs]
        shown["idleSince"] = usage.idle_since.isoformat() if usage.idle_since else None
        shown["idleSeconds"] = None if seconds is None else round(seconds)
        shown["idleMachineHours"] = hours
    return shown


def _describe_job(job: dict[str, Any]) -> str:
    from zenml_vertex.cli.jobs.shown import describe_age, read_id
    from zenml_vertex.foreign_text import clean_line
    from zenml_vertex.job.identity import PIPELINE_LABEL, RUN_LABEL, STEP_LABEL
    from zenml_vertex.job.states import short_name
    from zenml_vertex.job.times import JobTimes

    labels = job.get("labels", {})
    if STEP_LABEL in labels:
        what = (
            f"step `{clean_line(labels[STEP_LABEL])}` of pipeline "
            f"`{clean_line(labels.get(PIPELINE_LABEL, '?'))}`, "
            f"run {clean_line(labels.get(RUN_LABEL, '?'))}"
        )
    else:
        what = f"`{clean_line(str(job.get('displayName', '?')), 200)}`"
    created = JobTimes.read(job).created
    age = f", created {describe_age(created)}" if created else ""
    return f"{read_id(job)}  {short_name(job['state']):<10}  {what}{age}"
