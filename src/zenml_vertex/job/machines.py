"""The catalogue of machine types, accelerators and regions.

It is a snapshot of what Google documents (sources in the data file). Google adds some
every month, so a name that is not in it is a reason for a warning, never for an error by itself.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from zenml_vertex import data

# What some names of accelerators have and others lack: `T4`, `nvidia-t4`, `NVIDIA_TESLA_T4`.
_MAKERS_WORDS = frozenset({"NVIDIA", "TESLA", "GPU"})
_MEMORY = re.compile(r"_[0-9]+GB$")
# Google leaves out the memory of models that have, or first had, one size.
# https://cloud.google.com/compute/docs/gpus
_FULL_NAMES = {"A100_40GB": "A100", "V100_16GB": "V100", "T4_16GB": "T4", "L4_24GB": "L4"}
# Memory as people shorten it, and Compute Engine's suffix for virtual workstations.
_SHORT_MEMORY = re.compile(r"_([0-9]{2,3})(?:GI?B?)?$")
_WORKSTATION = "_VWS"
# Models of other clouds, whose names are spelt like those of others here.
_ELSEWHERE = frozenset({"A10", "A10G"})
# The family of a machine type, its size, and what may follow: `n1-standard-`, `8`, ``.
_MACHINE_TYPE = re.compile(r"([a-z0-9]+-[a-z]+-)([0-9]{1,4})(.*)")

# `capacity` of a machine type.
ON_DEMAND = "on_demand"
SPOT_OR_FLEX_START = "spot_or_flex_start_required"
RESERVATION_OR_SPOT = "reservation_or_spot_recommended"
RESERVATION = "shared_reservation_required"

# A pod of TPUs has at least this many cores.
POD_CORES = 32


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine type."""

    name: str
    # Such as `n1`.
    family: str
    # Virtual CPUs.
    cpus: int
    memory_gib: float
    # Accelerator type -> the counts it can be attached in.
    accelerators: Mapping[str, tuple[int, ...]]
    # Whether the accelerator is built in and must be named.
    accelerator_required: bool
    # Whether the job's `network` can be set.
    vpc_peering: bool
    capacity: str
    # Empty where it is not documented.
    default_boot_disk: str
    # What else Google says of it; empty mostly.
    note: str = ""

    @property
    def built_in(self) -> tuple[str, int] | None:
        """The accelerator that it has built in, and how many of it."""
        if not self.accelerator_required:
            return None
        kind, counts = next(iter(self.accelerators.items()))
        return kind, counts[0]

    def is_at_least(self, cpus: float, memory_gib: float) -> bool:
        """Whether it has as many CPUs, and as much memory."""
        return self.cpus >= cpus and self.memory_gib >= memory_gib


@dataclass(frozen=True, slots=True)
class TpuMachine:
    """One machine type with TPUs, which follows rules of its own."""

    name: str
    # As Google names it, such as `v5e`; empty for `cloud-tpu`, where the accelerator says it.
    generation: str
    # None where it is not documented.
    cpus: int | None
    memory_gib: float | None
    # What `tpu_topology` can be; empty for `cloud-tpu`, which has none.
    topologies: tuple[str, ...]
    # Chips of one machine: a topology of more is a pod. None where it is not documented.
    chips: int | None
    # For `cloud-tpu`: accelerator type -> its count for a single TPU. Larger ones are pods.
    accelerators: Mapping[str, int]
    note: str = ""

    @property
    def region_name(self) -> str:
        """How the list of regions names its generation; empty for `cloud-tpu`."""
        name = self.generation.upper()
        return f"TPU_{name}" if name.startswith("V") else name


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything the data file knows."""

    # When Google's pages were read, such as `2026-08-22`.
    date: str
    # Machine type -> what is known of it.
    machines: Mapping[str, Machine]
    # The same of those with TPUs.
    tpu_machines: Mapping[str, TpuMachine]
    # Names of the accelerator types.
    accelerators: frozenset[str]
    # Regions with custom training.
    regions: frozenset[str]
    # Region -> accelerator types that training has there, and generations of TPUs.
    accelerators_by_region: Mapping[str, frozenset[str]]
    # Families that have no Persistent Disk.
    hyperdisk_families: frozenset[str]

    def is_known_machine(self, machine_type: str) -> bool:
        """Whether the machine type is in the snapshot."""
        return machine_type in self.machines or machine_type in self.tpu_machines

    def lacks(self, region: str | None, accelerator: str) -> bool:
        """Whether a region is known not to have an accelerator type for training."""
        if region not in self.regions and region not in self.accelerators_by_region:
            return False
        return accelerator not in self.accelerators_by_region.get(region or "", ())

    def regions_with(self, accelerator: str) -> list[str]:
        """The regions that have an accelerator type for training."""
        return sorted(
            region for region, found in self.accelerators_by_region.items() if accelerator in found
        )


@lru_cache(maxsize=1)
def load_catalogue() -> Catalogue:
    """Read the data file; 10 ms with libyaml, once per process."""
    text = files(data).joinpath("machine_accelerators.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    raw: dict[str, Any] = yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader, both
    by_region = raw["training_accelerators_by_region"]
    return Catalogue(
        date=raw["date"],
        machines={name: _read_machine(name, e) for name, e in raw["machine_types"].items()},
        tpu_machines={
            name: _read_tpu_machine(name, e) for name, e in raw["tpu_machine_types"].items()
        },
        accelerators=frozenset(raw["accelerator_types"]) - {"ACCELERATOR_TYPE_UNSPECIFIED"},
        regions=frozenset(raw["training_regions"]),
        accelerators_by_region={name: frozenset(found) for name, found in by_region.items()},
        hyperdisk_families=frozenset(raw["boot_disk"]["hyperdisk_only_families"]),
    )


def find_machines(accelerator: str, count: int | None) -> list[str]:
    """The machine types that take an accelerator in this number, the smallest first.

    Args:
        accelerator: An accelerator type.
        count: How many; None for any number.
    """
    catalogue = load_catalogue()
    takes_tpu = [
        name
        for name, machine in catalogue.tpu_machines.items()
        if accelerator in machine.accelerators
        and (count is None or is_tpu_count(machine, accelerator, count))
    ]
    return takes_tpu + [
        name
        for name, machine in catalogue.machines.items()
        if accelerator in machine.accelerators
        and (count is None or count in machine.accelerators[accelerator])
    ]


def is_tpu_count(machine: TpuMachine, accelerator: str, count: int) -> bool:
    """Whether `cloud-tpu` takes a TPU in this number of cores: that of a single one, or a pod's."""
    return count == machine.accelerators[accelerator] or count >= POD_CORES


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name that is spelt most like this one, if any is close.

    Args:
        name: What was written.
        known: What there is.
        cutoff: How alike they must be, from 0 to 1.
    """
    matches = get_close_matches(name, sorted(known), n=1, cutoff=cutoff)
    return matches[0] if matches else None


def nearest_machine(name: str) -> str | None:
    """The known machine type that was probably meant by an unknown one.

    Of a known family it is the next larger size, as `n1-standard-4` is for
    `n1-standard-2`; else the one that is spelt most like it.
    """
    catalogue = load_catalogue()
    known = {*catalogue.machines, *catalogue.tpu_machines}
    if parts := _MACHINE_TYPE.fullmatch(name):
        family, size, rest = parts.groups()
        sizes = sorted(
            int(found[2])
            for machine in known
            if (found := _MACHINE_TYPE.fullmatch(machine))
            and (found[1], found[3]) == (family, rest)
        )
        if sizes:
            fitting = [larger for larger in sizes if larger >= int(size)] or sizes[-1:]
            return f"{family}{fitting[0]}{rest}"
    return nearest(name, known)


def find_accelerator(name: str) -> str | None:
    """The accelerator type that is meant by another spelling of it, if that is only one.

    Compute Engine and GKE write `nvidia-tesla-t4` and `nvidia-h100-80gb`, and people `T4`,
    `A100` (the one of 40 GB, as Google uses the word), `A100-80GB` and `H100`.
    """
    known = load_catalogue().accelerators
    spelt = re.sub(r"[\s-]+", "_", name.strip().upper())
    if spelt in known:
        return spelt
    names = {_shorten(accelerator): accelerator for accelerator in sorted(known)}
    short = {_MEMORY.sub("", key): accelerator for key, accelerator in names.items()}
    key = _SHORT_MEMORY.sub(r"_\1GB", _shorten(spelt).removesuffix(_WORKSTATION))
    key = _FULL_NAMES.get(key, key)
    return names.get(key) or short.get(key)


def is_elsewhere(accelerator: str) -> bool:
    """Whether it is a model of other clouds that Vertex AI does not have."""
    return _MEMORY.sub("", _shorten(accelerator.upper())) in _ELSEWHERE


def nearest_accelerator(name: str) -> str | None:
    """The accelerator type whose name without its maker is spelt most like this one.

    It is the same model with another memory, if there is one: of an `H200-80GB`, the H200.
    """
    if is_elsewhere(name):
        return None
    names = {_shorten(known): known for known in load_catalogue().accelerators}
    key = _shorten(name.upper())
    if model := find_accelerator(_MEMORY.sub("", _SHORT_MEMORY.sub(r"_\1GB", key))):
        return model
    close = nearest(key, names, cutoff=0.5)
    return names[close] if close else None


def describe_unknown(stated: str, close: str | None) -> str:
    """Say that a value is not in the snapshot, and which one was probably meant.

    Args:
        stated: The field and its value, as a message names them.
        close: The value of the snapshot that was probably meant.
    """
    hint = f" Did you mean `{close}`?" if close else ""
    return f"{stated}, which is not in this version's list; Vertex AI may still know it.{hint}"


def _shorten(accelerator: str) -> str:
    """The name without its maker: `T4`, `H100_80GB`."""
    words = re.split(r"[\W_]+", accelerator)
    return "_".join(word for word in words if word not in _MAKERS_WORDS)


def _read_machine(name: str, entry: Mapping[str, Any]) -> Machine:
    return Machine(
        name=name,
        family=entry["family"],
        cpus=int(entry["vcpus"]),
        memory_gib=float(entry["memory_gb"]),
        accelerators={
            accelerator: tuple(counts)
            for accelerator, counts in (entry.get("accelerators") or {}).items()
        },
        accelerator_required=bool(entry.get("accelerator_required", False)),
        vpc_peering=bool(entry.get("vpc_peering", True)),
        capacity=entry.get("capacity", ON_DEMAND),
        default_boot_disk=raw_disk if (raw_disk := entry["default_boot_disk"]) != "unknown" else "",
        note=entry.get("note", ""),
    )


def _read_tpu_machine(name: str, entry: Mapping[str, Any]) -> TpuMachine:
    memory = entry["memory_gb"]
    return TpuMachine(
        name=name,
        generation=entry.get("tpu_generation", ""),
        cpus=entry["vcpus"],
        memory_gib=None if memory is None else float(memory),
        topologies=tuple(entry.get("topologies", ())),
        chips=entry.get("chips_per_vm"),
        accelerators={
            accelerator: counts["single"][0]
            for accelerator, counts in entry.get("accelerators", {}).items()
        },
        note=entry.get("note", ""),
    )
