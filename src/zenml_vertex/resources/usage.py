"""Who uses a persistent resource, and how long nobody has. Pure.

Vertex AI does not say when a resource was used last. It is told by the jobs that name it: what
has deleted its job, and what uses a resource in another way, such as a tuning job, leaves no
trace but the machines that are in use now.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from zenml_vertex.job.request import JobJson
from zenml_vertex.job.states import interpret
from zenml_vertex.job.times import JobTimes, read_timestamp
from zenml_vertex.resources.protocols import NamedJobs
from zenml_vertex.resources.resource import RUNNING, PersistentResource


@dataclass(frozen=True, slots=True)
class Usage:
    """Who uses a resource."""

    resource: PersistentResource
    # The jobs on it that have not ended, the oldest first.
    jobs: tuple[JobJson, ...]
    # Since when no job is on it, as far as its jobs tell; None if it is in use, has never been
    # RUNNING, or if that cannot be told.
    idle_since: datetime | None
    # Whether that is its start: no job that there still is was on it.
    was_never_used: bool = False
    # Whether there are too many jobs to be read.
    is_complete: bool = True

    @property
    def has_unknown_users(self) -> bool:
        """Whether machines are in use although no job is known that has them."""
        return not self.jobs and self.resource.used > 0

    def idle_seconds(self, now: datetime) -> float | None:
        """How long it has been idle; None if it is not, or if that cannot be told."""
        if self.idle_since is None:
            return None
        return max(0.0, (now - self.idle_since).total_seconds())

    def idle_machine_hours(self, now: datetime) -> float:
        """How many hours its machines have been idle, together."""
        return (self.idle_seconds(now) or 0.0) / 3600 * self.resource.replicas


def find_usage(resource: PersistentResource, named: NamedJobs) -> Usage:
    """Who uses a resource, by the jobs of its project and region.

    Args:
        resource: The resource.
        named: The jobs that were created since it was.
    """
    jobs = [job for job in named.jobs if _is_on(job, resource)]
    live = sorted(
        (job for job in jobs if not interpret(job["state"]).is_terminal),
        key=lambda job: str(job.get("createTime", "")),
    )
    ends = [end for job in jobs if (end := _find_end(job))]
    is_idle = not live and not resource.used and resource.state == RUNNING and named.is_complete
    started = resource.started
    since = max([started, *ends]) if is_idle and started else None
    return Usage(
        resource,
        tuple(live),
        since,
        was_never_used=not jobs and named.is_complete,
        is_complete=named.is_complete,
    )


def find_oldest(resources: Sequence[PersistentResource]) -> datetime | None:
    """When the oldest of them was created; None if one does not say."""
    times = [resource.created for resource in resources]
    known = [time for time in times if time]
    return min(known) if known and len(known) == len(times) else None


def _is_on(job: JobJson, resource: PersistentResource) -> bool:
    """Whether a job is on a resource, and not on an earlier one of the same ID."""
    named = (job.get("jobSpec") or {}).get("persistentResourceId")
    created = JobTimes.read(job).created
    is_later = created is None or resource.created is None or created >= resource.created
    return named == resource.resource_id and is_later


def _find_end(job: JobJson) -> datetime | None:
    # Not every state has an end time.
    if not interpret(job["state"]).is_terminal:
        return None
    return JobTimes.read(job).ended or read_timestamp(job.get("updateTime"))
