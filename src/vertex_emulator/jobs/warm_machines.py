"""Which jobs have machines of a persistent resource, and which wait for some.

A job on a persistent resource takes machines that are there: it is not provisioned, and waits
where too few are free. Who holds machines is told by the jobs themselves, so nothing has to be
counted, kept or corrected after a crash.
https://cloud.google.com/vertex-ai/docs/training/persistent-resource-train
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from vertex_emulator.core.errors import Json
from vertex_emulator.core.names import Parent
from vertex_emulator.jobs.job import Job


@dataclass(frozen=True, slots=True)
class WarmPool:
    """Machines of one kind."""

    # MachineSpec.
    machine: Json
    # DiskSpec, with the defaults filled in.
    disk: Json
    # How many there are at most; at least 1.
    replicas: int


class WarmMachines(Protocol):
    """The persistent resources, as the driver of jobs needs them; called under its lock."""

    def load(self) -> None:
        """Read what is kept, before the jobs that are there.

        Raises:
            DataDirError: If it cannot be read.
        """
        ...

    def refuse_unfit(self, parent: Parent, request: Json) -> None:
        """Refuse a job that cannot run on the persistent resource that it names.

        Args:
            parent: Project and region of the job.
            request: The CustomJob, with the defaults filled in.

        Raises:
            ApiError: Says which rule it breaks.
        """
        ...

    def pools_of(self, resource: str) -> Sequence[WarmPool]:
        """The machines that jobs can use now; none of a resource that is not in order."""
        ...

    def left(self, resource: str) -> None:
        """A job that was on a resource, or waited for it, has ended."""
        ...


def place(job: Job, others: Iterable[Job], pools: Sequence[WarmPool]) -> Job:
    """A new job with machines of its persistent resource, or waiting for them.

    Args:
        job: The job.
        others: The other jobs of the resource.
        pools: The machines of the resource.
    """
    waiting = replace(job, is_machine_awaited=True)
    admitted = find_admitted([*others, waiting], pools)
    return job if any(one is waiting for one in admitted) else waiting


def find_admitted(jobs: Iterable[Job], pools: Sequence[WarmPool]) -> list[Job]:
    """The jobs that wait for machines and can have them now, in the order of their creation.

    A job does not pass an earlier one that waits for machines of the same kind.

    Args:
        jobs: All jobs of a resource; those of the same time in the order of their creation.
        pools: Its machines.
    """
    free = Counter[str]()
    for pool in pools:
        free[_kind_of(pool.machine, pool.disk)] += pool.replicas
    waiting = []
    for job in jobs:
        if job.holds_machines:
            free.subtract(needs_of(job.request["jobSpec"]))
        elif job.is_machine_awaited and not job.is_terminal and job.ending is None:
            waiting.append(job)
    admitted = []
    for job in sorted(waiting, key=lambda job: job.create_time):
        needs = needs_of(job.request["jobSpec"])
        if all(free[kind] >= replicas for kind, replicas in needs.items()):
            free.subtract(needs)
            admitted.append(job)
        else:
            for kind in needs:
                free[kind] = 0
    return admitted


def count_used(jobs: Iterable[Job], pools: Sequence[WarmPool]) -> list[int]:
    """How many machines of each pool jobs have, in the order of the pools."""
    used = Counter[str]()
    for job in jobs:
        if job.holds_machines:
            used.update(needs_of(job.request["jobSpec"]))
    counts = []
    for pool in pools:
        kind = _kind_of(pool.machine, pool.disk)
        counts.append(min(used[kind], pool.replicas))
        used[kind] -= counts[-1]
    return counts


def find_excess(spec: Json, pools: Sequence[WarmPool]) -> list[int]:
    """The worker pools that no pool has machines for, even with all machines free.

    Args:
        spec: The CustomJobSpec.
        pools: The machines.

    Returns:
        Their positions in the job.
    """
    free = Counter[str]()
    for pool in pools:
        free[_kind_of(pool.machine, pool.disk)] += pool.replicas
    excess = []
    for index, worker in enumerate(spec["workerPoolSpecs"]):
        for kind, replicas in _need_of(worker).items():
            free[kind] -= replicas
            if free[kind] < 0:
                excess.append(index)
    return excess


def find_unmatched(spec: Json, pools: Sequence[WarmPool]) -> list[int]:
    """The worker pools whose machine or disk no pool has; their positions in the job."""
    kinds = {_kind_of(pool.machine, pool.disk) for pool in pools}
    return [
        index
        for index, worker in enumerate(spec["workerPoolSpecs"])
        if not _need_of(worker).keys() <= kinds
    ]


def needs_of(spec: Json) -> Counter[str]:
    """Kind of machine -> how many a job needs."""
    needs = Counter[str]()
    for worker in spec["workerPoolSpecs"]:
        needs.update(_need_of(worker))
    return needs


def _need_of(worker: Json) -> dict[str, int]:
    replicas = int(worker.get("replicaCount", 1)) if worker else 0
    if not replicas:
        return {}
    return {_kind_of(worker.get("machineSpec", {}), worker.get("diskSpec", {})): replicas}


def _kind_of(machine: Json, disk: Json) -> str:
    return json.dumps([machine, disk], sort_keys=True)
