"""Rules on machines, accelerators and persistent resources."""

import re
from collections.abc import Iterator

from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.machines import (
    describe_unknown,
    find_machines,
    find_size,
    load_catalogue,
    nearest_accelerator,
    nearest_machine,
)

_MOST_NAMED = 8
_RESOURCE_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


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
    """No machine, an accelerator without a count, and a count without an accelerator."""
    if "machine_type" not in job.unreadable and not (job.machine_type or "").strip():
        yield (
            f"{job.cite('machine_type')} is empty, and Vertex AI accepts no job without one. "
            "Write, for example, machine_type='n1-standard-4', or remove it."
        )
    kind, count = job.accelerator_type, job.accelerator_count
    if not job.unreadable.keys().isdisjoint(("accelerator_type", "accelerator_count")):
        return
    if count and count > 0 and not kind:
        yield (
            f"{job.cite('accelerator_count')} is {count} and `accelerator_type` is not set: the "
            "step would run without a GPU. Write, for example, "
            "accelerator_type='NVIDIA_TESLA_T4', or set the count to 0."
        )
    if kind and not count:
        yield (
            f"{job.state('accelerator_type')} and {job.cite('accelerator_count')} is "
            "not set: the step would run without it. Write accelerator_count=1, or remove the "
            "type."
        )


def advise_size(job: JobFields, cpus: float, memory_gib: float) -> Iterator[str]:
    """A machine that is smaller than the step's ResourceSettings ask for.

    Args:
        job: What the step asks for.
        cpus: `cpu_count`; 0 if it is not set.
        memory_gib: `memory`, in GiB; 0 if it is not set.
    """
    name = job.machine_type or ""
    machine = load_catalogue().machines.get(name)
    if machine is None or machine.is_at_least(cpus, memory_gib):
        return
    example = find_size(cpus, memory_gib, like=name)
    yield (
        "`cpu_count` and `memory` of ResourceSettings are ignored here, and "
        f"{_call(job, 'machine_type')} has {machine.cpus} CPUs and {machine.memory_gib:g} GiB. "
        "Set `machine_type`" + (f", e.g. '{example}'." if example else ".")
    )


def _call(job: JobFields, name: str) -> str:
    """A field by its value alone, as the subject of a sentence; by its name if that is a secret."""
    return f"`{name}`" if job.is_secret(name) else job.show(name)


def _name_machines(job: JobFields) -> str:
    """What Vertex AI will say to a machine and its accelerator, and which machines go with it."""
    kind, count = str(job.accelerator_type), job.accelerator_count
    if not (found := find_machines(kind, count)):
        count, found = None, find_machines(kind, None)
    amount = f"{count} of them" if count else "it in another number"
    listed = ", ".join(f"`{name}`" for name in found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    takes = f" Machines that take {amount}: {listed}{more}." if found else ""
    return f"Vertex AI will refuse the job.{takes}"


def advise(job: JobFields) -> Iterator[str]:
    """An unknown machine or accelerator, which may be new, and an undocumented pair of them."""
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
        return  # TPU machines have rules of their own
    machine_type = _call(job, "machine_type")
    shown_kind = "`accelerator_type`" if job.is_secret("accelerator_type") else kind
    if kind:
        counts = machine.accelerators.get(kind)
        if counts is None:
            fitting = ", ".join(machine.accelerators) or "no accelerator"
            yield f"{machine_type} takes {fitting}, not {shown_kind}. {_name_machines(job)}"
        elif job.accelerator_count not in counts:
            listed = ", ".join(map(str, counts))
            yield (
                f"{machine_type} takes {shown_kind} in counts of {listed}, "
                f"not {job.accelerator_count}. {_name_machines(job)}"
            )
    elif machine.accelerator_required:
        built_in, counts = next(iter(machine.accelerators.items()))
        yield (
            f"{machine_type} has its accelerator built in, and the job must name it: "
            f"accelerator_type='{built_in}', accelerator_count={counts[0]}."
        )
