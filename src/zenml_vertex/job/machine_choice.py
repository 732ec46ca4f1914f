"""The machine of a job: chosen from wishes, and completed by what it has built in.

A step before the rules, so that they, the request and the container's environment all see
the machine that the job will have. What a step wishes for is ZenML's ResourceSettings, and an
accelerator in some number.

Of the machine types that fit, the smallest is chosen: the one that comes first by

1. the fewest accelerators beyond those that are wanted,
2. its capacity: on demand before what Google advises to reserve,
3. its purpose: general and for accelerators, then for computing (C2), then for memory (M1),
4. virtual CPUs,
5. memory,
6. its family, in the order of `_FAMILIES`.

What is not wished for is at least that of the default machine type. Never chosen are a type
that needs a reservation where the job has none, one whose accelerator the region lacks, one
that cannot have the job's boot disk, and a GPU beside fewer than four CPUs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.machines import (
    RESERVATION,
    RESERVATION_OR_SPOT,
    Machine,
    find_machines,
    load_catalogue,
)

# Of those without an accelerator. N1 is the default's, and N1 and E2 have the largest quotas
# (https://cloud.google.com/vertex-ai/docs/quotas).
_FAMILIES = ("n1", "e2", "n2", "n4", "c2", "m1")
_SPECIAL = {"c2": 1, "m1": 2}
# Smaller N1 machines with GPUs may stop logging, says Google's page on compute resources.
_FEWEST_CPUS_BESIDE_GPUS = 4
_NO_RESERVATION = "NO_RESERVATION"
_HYPERDISK = "hyperdisk-balanced"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What ResourceSettings ask of a step's machine, `gpu_count` apart; 0 asks for nothing."""

    cpus: float = 0
    memory_gib: float = 0
    # The memory as it was written, such as `32GB`.
    memory: str = ""

    def __bool__(self) -> bool:
        return bool(self.cpus or self.memory_gib)

    def describe(self) -> str:
        """The wishes as a message names them; empty if there are none."""
        cpus = f"cpu_count={self.cpus:g}" if self.cpus else ""
        memory = f"memory={self.memory or f'{self.memory_gib:g}GiB'}" if self.memory_gib else ""
        return ", ".join(part for part in (cpus, memory) if part)


@dataclass(frozen=True, slots=True)
class FittedJob:
    """A job with its machine, and how it came to have it; whole sentences."""

    job: JobFields
    # What was chosen or filled in, and from what.
    choices: tuple[str, ...] = ()
    # What keeps the job from having a machine that fits, and the cure.
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A machine type that can be chosen, and how many accelerators the job has on it."""

    machine: Machine
    count: int | None

    def describe(self, kind: str) -> str:
        accelerators = f", {self.count} {kind}" if self.count else ""
        machine = self.machine
        return f"`{machine.name}` ({machine.cpus} vCPUs, {machine.memory_gib:g} GiB{accelerators})"


def fit_machine(job: JobFields, wishes: Wishes) -> FittedJob:
    """Choose a machine type for a job that has set none, and name the accelerator it has built in.

    Args:
        job: What the step asks for.
        wishes: What its ResourceSettings ask for beside `gpu_count`.
    """
    if not job.unreadable.keys().isdisjoint(
        ("machine_type", "accelerator_type", "accelerator_count")
    ):
        return FittedJob(job)
    if "machine_type" not in job.defaults:
        job, choices = _fill_in_accelerator(job)
        return FittedJob(_fill_in_disk(job), choices, tuple(_find_too_small(job, wishes)))
    kind, count = job.accelerator_type, job.accelerator_count
    if bool(kind) != bool(count) or (kind and not find_machines(kind, None)):
        return FittedJob(job)  # an error or a warning of its own
    default = load_catalogue().machines[job.machine_type or ""]
    fits = not kind or count in default.accelerators.get(kind, ())
    # Of a persistent resource, the default is the machine as long as it is large enough.
    stays = not wishes or (
        job.persistent_resource_id and default.is_at_least(wishes.cpus, wishes.memory_gib)
    )
    if fits and stays:
        return FittedJob(job)
    return _choose(job, wishes, default)


def _choose(job: JobFields, wishes: Wishes, default: Machine) -> FittedJob:
    kind, count = job.accelerator_type, job.accelerator_count
    chosen = replace(job, defaults=job.defaults - {"machine_type"})
    if kind and load_catalogue().lacks(job.region, kind):
        return FittedJob(job, problems=(_describe_missing(job, kind),))
    asked = _describe_wishes(job, wishes)
    if kind and (tpus := [name for name in find_machines(kind, count) if _is_tpu(name)]):
        said = f"`{tpus[0]}` is the machine type with {asked}."
        return FittedJob(replace(chosen, machine_type=tpus[0]), (said,))
    cpus, memory_gib = wishes.cpus or default.cpus, wishes.memory_gib or default.memory_gib
    carrying = [*_iter_carrying(job)]
    fitting = sorted(
        (one for one in carrying if one.machine.is_at_least(cpus, memory_gib)),
        key=lambda one: _rank(one, count),
    )
    if not fitting:
        return FittedJob(job, problems=(_describe_none(job, asked, carrying),))
    first, *larger = fitting
    where = f" in {job.region}" if kind and job.region and not job.is_secret("region") else ""
    said = f"{first.describe(_show_kind(job))} is the "
    if larger:
        said += (
            f"smallest of {len(fitting)} machine types with {asked}{where}; the next larger is "
            f"`{larger[0].machine.name}`."
        )
    else:
        said += f"only machine type with {asked}{where}."
    chosen = replace(chosen, machine_type=first.machine.name, accelerator_count=first.count)
    return FittedJob(_fill_in_disk(chosen), (said,))


def _iter_carrying(job: JobFields) -> Iterator[_Candidate]:
    """The machine types that can be chosen for a job, whatever their size."""
    kind, count = job.accelerator_type, job.accelerator_count or 0
    has_reservation = job.reservation_affinity_type not in (None, _NO_RESERVATION)
    catalogue = load_catalogue()
    for machine in catalogue.machines.values():
        if machine.capacity == RESERVATION and not has_reservation:
            continue
        if machine.family in catalogue.hyperdisk_families and job.boot_disk_type != _HYPERDISK:
            continue
        if not kind:
            if not machine.accelerator_required:
                yield _Candidate(machine, None)
        elif machine.cpus >= _FEWEST_CPUS_BESIDE_GPUS:
            enough = [more for more in machine.accelerators.get(kind, ()) if more >= count]
            if enough:
                yield _Candidate(machine, min(enough))


def _rank(candidate: _Candidate, count: int | None) -> tuple[int, bool, int, int, float, int]:
    machine = candidate.machine
    return (
        (candidate.count or 0) - (count or 0),
        machine.capacity in (RESERVATION_OR_SPOT, RESERVATION),
        _SPECIAL.get(machine.family, 0),
        machine.cpus,
        machine.memory_gib,
        _FAMILIES.index(machine.family) if machine.family in _FAMILIES else 0,
    )


def _fill_in_accelerator(job: JobFields) -> tuple[JobFields, tuple[str, ...]]:
    """The job with the accelerator that its machine has built in, and a sentence that says so."""
    machine = load_catalogue().machines.get(job.machine_type or "")
    kind, count = job.accelerator_type, job.accelerator_count
    if machine is None or machine.built_in is None or job.is_accelerator_off:
        return job, ()
    built_in, number = machine.built_in
    if (kind and count) or kind not in (None, built_in):
        return job, ()
    wanted = 1 if job.gpu_partition_size else number
    filled = replace(job, accelerator_type=built_in, accelerator_count=count or wanted)
    if job.is_secret("machine_type"):
        return filled, ()
    return filled, (f"`{machine.name}` has {number} {built_in} built in, which the job names.",)


def _fill_in_disk(job: JobFields) -> JobFields:
    """The job with the boot disk of a machine that has a default of its own, if nothing is set."""
    machine = load_catalogue().machines.get(job.machine_type or "")
    if machine and machine.default_boot_disk == _HYPERDISK and "boot_disk_type" in job.defaults:
        return replace(job, boot_disk_type=_HYPERDISK)
    return job


def _find_too_small(job: JobFields, wishes: Wishes) -> Iterator[str]:
    """A machine type that was set and is smaller than the wishes."""
    catalogue, name = load_catalogue(), job.machine_type or ""
    machine = catalogue.machines.get(name) or catalogue.tpu_machines.get(name)
    if machine is None or machine.cpus is None or machine.memory_gib is None:
        return
    if machine.cpus >= wishes.cpus and machine.memory_gib >= wishes.memory_gib:
        return
    size = f" ({machine.cpus} vCPUs, {machine.memory_gib:g} GiB)"
    cure = "Ask for less, or set a larger one."
    if isinstance(machine, Machine):
        cure = _suggest_larger(job, wishes, machine)
    yield (
        f"{job.state('machine_type')}{'' if job.is_secret('machine_type') else size}, which is "
        f"smaller than ResourceSettings({wishes.describe()}) of the step. {cure}"
    )


def _suggest_larger(job: JobFields, wishes: Wishes, machine: Machine) -> str:
    """The smallest machine type that fits, of the same family if there is one."""
    cpus, memory_gib = wishes.cpus or machine.cpus, wishes.memory_gib or machine.memory_gib
    carrying = [*_iter_carrying(job)]
    fitting = [one for one in carrying if one.machine.is_at_least(cpus, memory_gib)]
    if not fitting:
        return f"{_describe_largest(job, carrying)}Ask for less."
    count = job.accelerator_count
    best = min(fitting, key=lambda one: (one.machine.family != machine.family, _rank(one, count)))
    return (
        f"The smallest that fits is {best.describe(_show_kind(job))}: write it, or remove "
        f"{job.cite('machine_type')} to have one chosen."
    )


def _describe_none(job: JobFields, asked: str, carrying: list[_Candidate]) -> str:
    """That no machine type fits."""
    if not carrying and job.accelerator_type:
        carrying = [*_iter_carrying(replace(job, accelerator_count=1))]
    needing = [
        machine.name
        for machine in load_catalogue().machines.values()
        if machine.capacity == RESERVATION and job.accelerator_type in machine.accelerators
    ]
    if needing and not carrying:
        return (
            f"`{needing[0]}` has {asked}, and needs a reservation. Set "
            "`reservation_affinity_type`, key and values."
        )
    return (
        f"No machine type of this version's list ({load_catalogue().date}) has {asked}. "
        f"{_describe_largest(job, carrying)}Ask for less, or set a `machine_type` that has it."
    )


def _describe_largest(job: JobFields, carrying: Iterable[_Candidate]) -> str:
    """The largest machine type, as a sentence with a space behind it; empty if there is none."""
    kind = job.accelerator_type
    full = [
        _Candidate(one.machine, max(one.machine.accelerators[kind]) if kind else None)
        for one in carrying
    ]
    if not full:
        return ""
    largest = max(full, key=lambda one: (one.count or 0, one.machine.cpus, one.machine.memory_gib))
    return f"The largest is {largest.describe(_show_kind(job))}. "


def _describe_missing(job: JobFields, kind: str) -> str:
    """That the region lacks the accelerator."""
    catalogue = load_catalogue()
    text = (
        f"{_show_kind(job)} is not available for training in {job.show('region')}, says Google's "
        f"list of {catalogue.date}, so that no machine type is chosen."
    )
    if regions := catalogue.regions_with(kind):
        text += f" Regions that have it: {', '.join(regions)}."
    return f"{text} Set another `region`, or set a `machine_type` to try it all the same."


def _describe_wishes(job: JobFields, wishes: Wishes) -> str:
    """What a machine type must have."""
    count = job.accelerator_count
    wanted = f"{count} {_show_kind(job)}" if count else ""
    return " and ".join(part for part in (wishes.describe(), wanted) if part)


def _show_kind(job: JobFields) -> str:
    """The accelerator as a message names it."""
    if job.is_secret("accelerator_type"):
        return "of `accelerator_type`"
    return job.accelerator_type or ""


def _is_tpu(machine_type: str) -> bool:
    return machine_type in load_catalogue().tpu_machines
