"""Rules on restarts, on when a job gets its machine, and on reservations."""

import re
from collections.abc import Iterator

from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.readers import SECRET, show_value

SPOT, FLEX_START = "SPOT", "FLEX_START"
_SPECIFIC, _NONE = "SPECIFIC_RESERVATION", "NO_RESERVATION"
# The key that Compute Engine has for the names of reservations.
_NAME_KEY = "compute.googleapis.com/reservation-name"
_RESERVATION = re.compile(r"projects/[^/\s]+/zones/[^/\s]+/reservations/[^/\s]+")
# https://cloud.google.com/vertex-ai/docs/training/schedule-jobs-dws
_MAX_FLEX_START_SECONDS = 7 * 24 * 60 * 60
_FLEX_START_FAMILIES = ("L4", "A100", "H100", "H200", "B200")
_DEPRECATED = {"ON_DEMAND": "STANDARD", "LOW_COST": SPOT}


def find_wrong_values(job: JobFields) -> Iterator[str]:
    """Reservations without their full names."""
    for name in job.reservation_affinity_values or ():
        if not _RESERVATION.fullmatch(name):
            shown = SECRET if job.is_secret("reservation_affinity_values") else show_value(name)
            yield (
                f"{job.cite('reservation_affinity_values')} has {shown}. Write full names, "
                "`projects/P/zones/Z/reservations/R`; `gcloud compute reservations list` shows "
                "the zones."
            )


def find_conflicts(job: JobFields) -> Iterator[str]:
    """Restarts that are both requested and turned off, waits and reservations that do not go."""
    if job.restart_job_on_worker_restart and job.disable_retries:
        yield (
            f"{job.cite('restart_job_on_worker_restart')} has no effect while "
            f"{job.cite('disable_retries')} is on. Turn one of them off."
        )
    yield from _find_waits(job)
    yield from _find_reservations(job)


def advise(job: JobFields) -> Iterator[str]:
    """Strategies that are deprecated, or not documented for what the job asks for."""
    strategy, kind = job.scheduling_strategy, job.accelerator_type or ""
    if strategy in _DEPRECATED:
        yield (
            f"{job.state('scheduling_strategy')}, which Vertex AI has deprecated. Write "
            f"scheduling_strategy='{_DEPRECATED[strategy]}'."
        )
    if strategy in (SPOT, FLEX_START) and job.persistent_resource_id:
        yield (
            f"{job.state('scheduling_strategy')} and {job.cite('persistent_resource_id')} is set: "
            "Google documents no strategy for jobs on a persistent resource, whose machines are "
            "there already. Remove one of them."
        )
    elif strategy == FLEX_START and not any(name in kind for name in _FLEX_START_FAMILIES):
        has = job.state("accelerator_type") if kind else "`accelerator_type` is not set"
        yield (
            f"{job.state('scheduling_strategy')} and {has}: Google documents Flex-start for "
            f"{', '.join(_FLEX_START_FAMILIES)}. Set one of these, or remove the strategy."
        )


def _find_waits(job: JobFields) -> Iterator[str]:
    """A wait without Flex-start, and a Flex-start job that may run for too long."""
    if job.scheduling_strategy == FLEX_START:
        if job.timeout and float(job.timeout.rstrip("s")) > _MAX_FLEX_START_SECONDS:
            yield (
                f"{job.state('timeout')}, and a job with FLEX_START runs for 7 days at most. Write "
                "timeout='7d', or less."
            )
    elif job.max_wait_duration:
        # "max_wait_duration is only supported for FLEX_START", as two repositories report it.
        yield (
            f"{job.state('max_wait_duration')}, and Vertex AI accepts it with "
            "scheduling_strategy='FLEX_START' alone. Set that, or remove it."
        )


def _find_reservations(job: JobFields) -> Iterator[str]:
    """Reservations that are incomplete, or that the job cannot use."""
    kind, key, values = (
        job.reservation_affinity_type,
        job.reservation_affinity_key,
        job.reservation_affinity_values,
    )
    if "reservation_affinity_type" in job.unreadable:
        return
    if kind is None and (key or values):
        given = "reservation_affinity_key" if key else "reservation_affinity_values"
        yield (
            f"{job.cite(given)} is set, and `reservation_affinity_type` is not. Write "
            f"reservation_affinity_type='{_SPECIFIC}', or remove it."
        )
    elif kind == _SPECIFIC and not (key and values):
        missing = "reservation_affinity_values" if key else "reservation_affinity_key"
        example = "['projects/P/zones/Z/reservations/R']" if key else f"'{_NAME_KEY}'"
        if missing not in job.unreadable:
            yield (
                f"{job.state('reservation_affinity_type')}, and `{missing}` is not set. Write "
                f"{missing}={example}."
            )
    elif kind and kind != _SPECIFIC and (key or values):
        yield (
            f"{job.state('reservation_affinity_type')}, which takes neither key nor values. Write "
            f"reservation_affinity_type='{_SPECIFIC}', or remove them."
        )
    if kind in (None, _NONE):
        return
    # https://cloud.google.com/vertex-ai/docs/training/use-reservations
    if job.scheduling_strategy == FLEX_START:
        yield (
            f"{job.state('reservation_affinity_type')}, and a job with "
            "scheduling_strategy='FLEX_START' uses no reservation. Remove one of them."
        )
    if job.persistent_resource_id:
        yield (
            f"{job.state('reservation_affinity_type')}, and a job on a persistent resource uses "
            "no reservation. Remove it, or `persistent_resource_id`."
        )
