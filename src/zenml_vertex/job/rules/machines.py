"""Rules on machines, accelerators and persistent resources."""

import re
from collections.abc import Iterator

from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.machines import (
    describe_unknown,
    load_catalogue,
    nearest_accelerator,
    nearest_machine,
)

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
    if kind:
        counts = machine.accelerators.get(kind)
        if counts is None:
            fitting = ", ".join(machine.accelerators) or "no accelerator"
            yield f"`{name}` takes {fitting}, not {kind}."
        elif job.accelerator_count not in counts:
            listed = ", ".join(map(str, counts))
            yield f"`{name}` takes {kind} in counts of {listed}, not {job.accelerator_count}."
    elif machine.accelerator_required:
        built_in, counts = next(iter(machine.accelerators.items()))
        yield (
            f"`{name}` has its accelerator built in, and the job must name it: "
            f"accelerator_type='{built_in}', accelerator_count={counts[0]}."
        )
