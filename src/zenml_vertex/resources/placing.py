"""Where a step's job runs: on its persistent resource as it is, adapted to it, or cold. Pure.

What is decided here is decided before a job is created, so that a create that is tried again
sends the same job.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.fields import JobFields
from zenml_vertex.resources.matching import Match, adopt, describe_side_by_side, find_match
from zenml_vertex.resources.resource import (
    CURES,
    RUNNING,
    UPDATING,
    PersistentResource,
    build_command,
)

_FALLBACK = "persistent_resource_fallback"
_MATCH = "persistent_resource_match"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the settings say about a persistent resource."""

    # Take over what the resource has, where the job differs.
    adopts: bool = False
    # Run on machines of its own if the resource takes no job now.
    falls_back: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a job runs."""

    # What it asks for now.
    job: JobFields
    # The ID of the pool whose machine it takes; empty for none, or if it is not known.
    pool_id: str = ""
    # One sentence for each thing that a person should know.
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def place(
    job: JobFields,
    resource: PersistentResource | None,
    wishes: Wishes,
    *,
    name: str,
    step: str,
    taken: Mapping[str, int] | None = None,
) -> Placement:
    """Decide where a job runs.

    Args:
        job: What the step asks for; it names the resource.
        resource: The resource as it was read; None if it does not exist.
        wishes: What the settings say.
        name: Its resource name as the step names it, for commands.
        step: The step, for messages: "step `train`".
        taken: ID of a pool -> how many of its machines jobs of this process have taken since it
            was read.

    Raises:
        ConfigurationError: If the job cannot run on it, and is not to run elsewhere.
    """
    if problem := _find_absence(resource, name):
        return _go_cold(job, problem, wishes, step)
    assert resource is not None  # noqa: S101 - _find_absence names one that is None
    match = find_match(job, resource)
    if not match.is_exact:
        job, note = _reconcile(job, match, wishes, name=name, step=step)
    else:
        note = ""
    pool, needed = match.pool, job.replica_count
    warnings = [*_warn_state(resource)]
    if pool is not None and needed > pool.most:
        raise ConfigurationError(
            [
                f"the job needs {needed} replicas, and persistent resource "
                f"`{resource.resource_id}` has {pool}. `{build_command('show', name)}` shows it."
            ],
            where=step,
        )
    free = max(0, pool.free - (taken or {}).get(pool.pool_id, 0)) if pool else needed
    if pool is not None and needed > free:
        busy = (
            f"persistent resource `{resource.resource_id}` has {free or 'no'} free "
            f"replica{'' if free == 1 else 's'} now, of {pool.most}"
        )
        if wishes.falls_back:
            return _go_cold(job, f"{busy}.", wishes, step)
        warnings.append(
            f"{busy}: the job waits for one, for how long is not known. "
            f"`{build_command('show', name)}` says who has them; with `{_FALLBACK}: true` the job "
            "would run on a machine of its own."
        )
    return Placement(
        job,
        pool_id=pool.pool_id if pool else "",
        notes=(note,) if note else (),
        warnings=tuple(warnings),
    )


def _find_absence(resource: PersistentResource | None, name: str) -> str:
    """Why a resource takes no jobs now, with the next command; empty if it does."""
    commands = {verb: build_command(verb, name) for verb in ("show", "create", "delete", "reboot")}
    resource_id = name.rpartition("/")[2]
    if resource is None:
        return (
            f"there is no persistent resource `{resource_id}` in "
            f"{name.partition('/persistentResources/')[0]}. `zenml-vertex persistent-resource "
            f"list` shows those that there are, and `{commands['create']}` creates it."
        )
    if cure := CURES.get(resource.state):
        said = f" ({resource.error.rstrip('.')})" if resource.error else ""
        return (
            f"persistent resource `{resource_id}` is in state {resource.state}{said} and takes no "
            f"jobs. {cure.format(**commands)}"
        )
    return ""


def _warn_state(resource: PersistentResource) -> Iterator[str]:
    if resource.state not in (RUNNING, UPDATING):
        yield (
            f"persistent resource `{resource.resource_id}` is in state {resource.state}, which "
            "this version does not know; the job is submitted all the same."
        )


def _reconcile(
    job: JobFields, match: Match, wishes: Wishes, *, name: str, step: str
) -> tuple[JobFields, str]:
    """The job with what it takes over, and a sentence that says what.

    Raises:
        ConfigurationError: If something differs that it does not take over.
    """
    resource_id = name.rpartition("/")[2]
    left = [one for one in match.differences if not (wishes.adopts and one.is_adoptable)]
    if left:
        cures = []
        if any(one.is_adoptable for one in left):
            cures.append(
                f"Set the values of the resource, or `{_MATCH}` to `adopt`, which takes them over."
            )
        if any(not one.is_adoptable for one in left):
            cures.append(
                "A service account is never taken over: set it or remove it, or create the "
                "resource from this step operator."
            )
        cures.append(f"`{build_command('show', name)}` shows the resource.")
        raise ConfigurationError(
            [
                f"the job does not fit persistent resource `{resource_id}`, and Vertex AI would "
                f"refuse it:{describe_side_by_side(left, resource_id)}\n    {' '.join(cures)}"
            ],
            where=step,
        )
    taken = ", ".join(
        f"{one.cited} {one.there} (instead of {one.wanted})" for one in match.differences
    )
    note = f"taking over from persistent resource `{resource_id}`: {taken}."
    values = adopt(match.differences)
    return replace(job, **values, defaults=job.defaults - values.keys()), note


def _go_cold(job: JobFields, problem: str, wishes: Wishes, step: str) -> Placement:
    if not wishes.falls_back:
        cure = f" With `{_FALLBACK}: true` the job would run on a machine of its own."
        raise ConfigurationError([f"{problem}{cure}"], where=step)
    cold = replace(job, persistent_resource_id=None)
    text = f"{problem} The job runs cold, on a machine of its own (`{_FALLBACK}`)."
    return Placement(cold, warnings=(text,))
