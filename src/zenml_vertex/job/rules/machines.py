"""Rules on machines, accelerators and persistent resources."""

import re
from collections.abc import Iterator

from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.machines import (
    RESERVATION,
    SPOT_OR_FLEX_START,
    Machine,
    describe_unknown,
    find_machines,
    load_catalogue,
    nearest_accelerator,
    nearest_machine,
)

_MOST_NAMED = 8
_RESOURCE_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NO_RESERVATION = "NO_RESERVATION"
_V5E = "TPU_V5_LITEPOD"


def find_wrong_values(job: JobFields) -> Iterator[str]:
    """A negative count, and an ID that no persistent resource can have."""
    count = job.accelerator_count
    if count is not None and count < 0:
        yield f"{job.cite('accelerator_count')} is {count}. Write 0 for no accelerator."
    resource = job.persistent_resource_id
    if resource and not _RESOURCE_ID.fullmatch(resource):
        yield (
            f"{job.state('persistent_resource_id')}. An ID has lower-case letters, "
            "digits and hyphens and starts with a letter; give the ID alone, the last part of "
            "the resource's name."
        )


def find_conflicts(job: JobFields) -> Iterator[str]:
    """No machine, and an accelerator that is incomplete or not the one that is built in."""
    if "machine_type" not in job.unreadable and not (job.machine_type or "").strip():
        yield (
            f"{job.cite('machine_type')} is empty, and Vertex AI accepts no job without one. "
            "Write, for example, machine_type='n1-standard-4', or remove it."
        )
    kind, count = job.accelerator_type, job.accelerator_count
    if not job.unreadable.keys().isdisjoint(("accelerator_type", "accelerator_count")):
        return
    if job.gpu_partition_size and not kind:
        yield (
            f"{job.state('gpu_partition_size')}, and the job has no GPU. Set `accelerator_type` "
            "and accelerator_count=1, or remove it."
        )
    elif job.gpu_partition_size and count not in (None, 1):
        yield (
            f"{job.cite('accelerator_count')} is {count}; with {job.cite('gpu_partition_size')}, "
            "it must be 1. Write accelerator_count=1, or remove the partition."
        )
    elif problem := _find_built_in_problem(job):
        yield problem
    elif count and count > 0 and not kind:
        yield (
            f"{job.cite('accelerator_count')} is {count} and `accelerator_type` is not set: the "
            "step would run without a GPU. Write, for example, "
            "accelerator_type='NVIDIA_TESLA_T4', or set the count to 0."
        )
    elif kind and not count:
        yield (
            f"{job.state('accelerator_type')} and {job.cite('accelerator_count')} is "
            "not set: the step would run without it. Write accelerator_count=1, or remove the "
            "type."
        )


def advise(job: JobFields) -> Iterator[str]:
    """An unknown machine or accelerator, which may be new, and a pair that Google does not list."""
    catalogue = load_catalogue()
    name, kind = job.machine_type, job.accelerator_type
    if kind and kind not in catalogue.accelerators:
        yield describe_unknown(job.state("accelerator_type"), nearest_accelerator(kind))
        return
    if not name or not name.strip():
        return  # a conflict
    if not catalogue.is_known_machine(name):
        yield describe_unknown(job.state("machine_type"), nearest_machine(name))
        return
    machine = catalogue.machines.get(name)
    if machine is None:
        return  # see the rules on TPUs
    if kind and not machine.built_in:
        yield from _advise_on_pair(job, machine, kind)
    if not job.persistent_resource_id:
        yield from _advise_on_capacity(job, machine)


def _find_built_in_problem(job: JobFields) -> str | None:
    """An accelerator that is not the one which the machine has built in."""
    catalogue = load_catalogue()
    machine = catalogue.machines.get(job.machine_type or "")
    kind, count = job.accelerator_type, job.accelerator_count
    if machine is None or machine.built_in is None:
        return None
    built_in, number = machine.built_in
    has = f"{_call(job, 'machine_type')} has {number} {built_in} built in"
    if job.is_secret("machine_type"):
        has = "`machine_type` has an accelerator built in"
    if job.is_accelerator_off and not kind:
        return (
            f"{has}, and {job.cite('accelerator_count')} turns the accelerator off. Set a machine "
            "type without one, or remove the count."
        )
    # A part of one GPU, of a machine with any number of them.
    right = (None, 1) if job.gpu_partition_size else (None, number)
    if kind not in catalogue.accelerators or (kind == built_in and count in right):
        return None
    wanted = f"{count} {_show_kind(job)}" if count else _show_kind(job)
    takes = "" if job.is_secret("accelerator_type") else _name_machines(job)
    return f"{has}, and not {wanted}. {takes}".rstrip() + (
        " Set one of these, or leave accelerator type and count out: they are filled in."
        if takes
        else " Leave accelerator type and count out: they are filled in."
    )


def _advise_on_pair(job: JobFields, machine: Machine, kind: str) -> Iterator[str]:
    """An accelerator that Google's table does not have on this machine, or not in this number."""
    machine_type, counts = _call(job, "machine_type"), machine.accelerators.get(kind)
    listed = f"says Google's table of {load_catalogue().date}. Vertex AI will refuse the job."
    if counts is None:
        fitting = ", ".join(machine.accelerators) or "no accelerator"
        yield f"{machine_type} takes {fitting}, not {_show_kind(job)}, {listed} " + (
            _name_machines(job) or _describe_unused(kind)
        )
    elif job.accelerator_count not in counts:
        yield (
            f"{machine_type} takes {_show_kind(job)} in counts of {', '.join(map(str, counts))}, "
            f"not {job.accelerator_count}, {listed} {_name_machines(job)}"
        )


def _describe_unused(kind: str) -> str:
    """An accelerator type of the API that no machine type takes."""
    if kind == _V5E:
        return "For TPU v5e, write machine_type='ct5lp-hightpu-4t' and a `tpu_topology` ('2x2')."
    return "No machine type in the table takes it."


def _advise_on_capacity(job: JobFields, machine: Machine) -> Iterator[str]:
    """An accelerator that the region lacks, and a machine that is not to be had on demand."""
    catalogue, kind = load_catalogue(), job.accelerator_type
    if kind and kind in machine.accelerators and catalogue.lacks(job.region, kind):
        regions = catalogue.regions_with(kind)
        yield (
            f"{_show_kind(job)} is not available for training in {job.show('region')}, says "
            f"Google's list of {catalogue.date}."
        ) + (f" Regions that have it: {', '.join(regions)}." if regions else "")
    if machine.capacity == SPOT_OR_FLEX_START and job.scheduling_strategy not in (
        "SPOT",
        "FLEX_START",
    ):
        yield (
            f"{_call(job, 'machine_type')} is only to be had as a Spot or Flex-start VM, says "
            "https://cloud.google.com/compute/docs/accelerator-optimized-machines; the job would "
            "find no machine. Set `scheduling_strategy` to one of them."
        )
    if machine.capacity == RESERVATION and job.reservation_affinity_type in (None, _NO_RESERVATION):
        yield (
            f"{_call(job, 'machine_type')} needs a shared reservation, says Google's page on "
            "compute resources for training. Set `reservation_affinity_type`, key and values."
        )


def _call(job: JobFields, name: str) -> str:
    """A field by its value alone, as the subject of a sentence; by its name if that is a secret."""
    return f"`{name}`" if job.is_secret(name) else job.show(name)


def _show_kind(job: JobFields) -> str:
    """The accelerator as a message names it."""
    secret = job.is_secret("accelerator_type")
    return "`accelerator_type`" if secret else str(job.accelerator_type)


def _name_machines(job: JobFields) -> str:
    """Which machines go with an accelerator, in this number if there are any; a sentence."""
    kind, count = str(job.accelerator_type), job.accelerator_count
    if not (found := find_machines(kind, count)):
        count, found = None, find_machines(kind, None)
    amount = f"{count} of them" if count else "it in another number"
    listed = ", ".join(f"`{name}`" for name in found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"Machines that take {amount}: {listed}{more}." if found else ""
