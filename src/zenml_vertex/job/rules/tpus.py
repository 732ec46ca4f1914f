"""Rules on TPUs: old ones are accelerators of `cloud-tpu`, newer ones machines with topologies."""

import re
from collections.abc import Iterator
from math import prod

from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.machines import (
    POD_CORES,
    Catalogue,
    TpuMachine,
    is_tpu_count,
    load_catalogue,
)

_TOPOLOGY = re.compile(r"\d{1,4}(?:x\d{1,4}){1,3}")


def find_wrong_values(job: JobFields) -> Iterator[str]:
    """A topology that is none."""
    if job.tpu_topology and not _TOPOLOGY.fullmatch(job.tpu_topology):
        yield f"{job.state('tpu_topology')}. Write the chips in each direction, such as '2x4'."


def find_conflicts(job: JobFields) -> Iterator[str]:
    """A topology without a TPU, a TPU that is not named, and a pod as Spot."""
    catalogue = load_catalogue()
    name, topology = job.machine_type or "", job.tpu_topology
    tpu = catalogue.tpu_machines.get(name)
    if tpu is None:
        if topology and catalogue.is_known_machine(name):
            yield (
                f"{job.cite('tpu_topology')} is set, and {job.state('machine_type')}, which has no "
                f"TPU. Write a machine type that has, such as '{_name_one(catalogue, topology)}', "
                "or remove the topology."
            )
        return
    if tpu.accelerators and not (job.accelerator_type or job.accelerator_count):
        yield (
            f"{job.state('machine_type')}, and `accelerator_type` does not say which TPU it is. "
            "Write, for example, accelerator_type='TPU_V3', accelerator_count=8."
        )
    if tpu.accelerators and topology:
        yield (
            f"{job.state('machine_type')}, which takes no {job.cite('tpu_topology')}: "
            "`accelerator_count` says how many cores there are. Remove the topology."
        )
    if job.scheduling_strategy == "SPOT" and _is_pod(job, tpu):
        yield (
            f"{job.cite('scheduling_strategy')} is SPOT, which Vertex AI does not have for pods of "
            "TPUs. Remove it, or ask for a single TPU."
        )


def advise(job: JobFields) -> Iterator[str]:
    """What Google does not list: an accelerator beside a topology, a topology, a region."""
    catalogue = load_catalogue()
    tpu = catalogue.tpu_machines.get(job.machine_type or "")
    if tpu is None or job.is_secret("machine_type"):
        return
    if tpu.topologies:
        listed = ", ".join(tpu.topologies)
        if not job.tpu_topology:
            yield (
                f"`{tpu.name}` needs a `tpu_topology`, which says how many chips there are: "
                f"{listed}."
            )
        elif job.tpu_topology not in tpu.topologies and not job.is_secret("tpu_topology"):
            yield (
                f"{job.state('tpu_topology')}, which Google's list of {catalogue.date} does not "
                f"have for `{tpu.name}`: it has {listed}."
            )
        if job.accelerator_type or job.accelerator_count:
            yield (
                f"`{tpu.name}` is a TPU by itself; in Google's examples it has no accelerator type "
                "and count. Remove them if Vertex AI refuses the job."
            )
    elif job.accelerator_type and not job.is_secret("accelerator_type"):
        yield from _advise_on_accelerator(tpu, job.accelerator_type, job.accelerator_count)
    name = tpu.region_name or (job.accelerator_type if _takes(tpu, job) else None)
    if name and catalogue.lacks(job.region, name) and not job.persistent_resource_id:
        regions = ", ".join(catalogue.regions_with(name))
        yield (
            f"`{tpu.name}` is not available for training in {job.show('region')}, says Google's "
            f"list of {catalogue.date}. Regions that have it: {regions}."
        )


def _advise_on_accelerator(tpu: TpuMachine, kind: str, count: int | None) -> Iterator[str]:
    """Another accelerator than those of `cloud-tpu`, or another count."""
    listed = f"says Google's page of {load_catalogue().date}"
    if kind not in tpu.accelerators:
        taken = ", ".join(tpu.accelerators)
        yield (
            f"`{tpu.name}` takes {taken}, not {kind}, {listed}. Vertex AI will refuse the job. Set "
            "the machine type of the accelerator, or remove it to have one chosen."
        )
    elif count and not is_tpu_count(tpu, kind, count):
        yield (
            f"`{tpu.name}` takes {kind} in counts of {tpu.accelerators[kind]}, or {POD_CORES} and "
            f"more for a pod, not {count}, {listed}."
        )


def _takes(tpu: TpuMachine, job: JobFields) -> bool:
    return job.accelerator_type in tpu.accelerators and not job.is_secret("accelerator_type")


def _is_pod(job: JobFields, tpu: TpuMachine) -> bool:
    """Whether the TPU is more than one machine."""
    if tpu.accelerators:
        return (job.accelerator_count or 0) >= POD_CORES
    if not job.tpu_topology or not _TOPOLOGY.fullmatch(job.tpu_topology) or not tpu.chips:
        return False
    return prod(map(int, job.tpu_topology.split("x"))) > tpu.chips


def _name_one(catalogue: Catalogue, topology: str) -> str:
    """A machine type that takes a topology, the newest first; any if none does."""
    tpus = [tpu for tpu in catalogue.tpu_machines.values() if tpu.topologies]
    fitting = [tpu.name for tpu in tpus if topology in tpu.topologies]
    return (fitting or [tpu.name for tpu in tpus])[0]
