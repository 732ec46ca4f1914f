"""The catalogue of machine types, accelerators and regions.

A snapshot of what Google documents (sources in the data file). Google adds some
every month, so a name that is not in it is a reason for a warning, never for an
error.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from zenml_vertex import data


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine type.

    Args:
        accelerators: Accelerator type -> the counts it can be attached in.
        accelerator_required: Whether the accelerator is built in and must be named.
        vpc_peering: Whether the job's `network` can be set.
    """

    accelerators: Mapping[str, tuple[int, ...]]
    accelerator_required: bool
    vpc_peering: bool


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything the data file knows.

    Args:
        machines: Machine type -> what is known of it. TPU machines are in
            `other_machines`: they follow rules of their own.
        other_machines: Names of further machine types.
        accelerators: Names of the accelerator types.
        regions: Regions with custom training.
    """

    machines: Mapping[str, Machine]
    other_machines: frozenset[str]
    accelerators: frozenset[str]
    regions: frozenset[str]

    def is_known_machine(self, machine_type: str) -> bool:
        """Whether the machine type is in the snapshot."""
        return machine_type in self.machines or machine_type in self.other_machines


@lru_cache(maxsize=1)
def load_catalogue() -> Catalogue:
    """Read the data file; 10 ms with libyaml, once per process."""
    text = files(data).joinpath("machine_accelerators.yaml").read_text(encoding="utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    raw: dict[str, Any] = yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader, both
    return Catalogue(
        machines={name: _read_machine(entry) for name, entry in raw["machine_types"].items()},
        other_machines=frozenset(raw["tpu_machine_types"]),
        accelerators=frozenset(raw["accelerator_types"]) - {"ACCELERATOR_TYPE_UNSPECIFIED"},
        regions=frozenset(raw["training_regions"]),
    )


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is spelt most like this one, if any is close."""
    matches = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def _read_machine(entry: Mapping[str, Any]) -> Machine:
    return Machine(
        accelerators={
            accelerator: tuple(counts)
            for accelerator, counts in (entry.get("accelerators") or {}).items()
        },
        accelerator_required=bool(entry.get("accelerator_required", False)),
        vpc_peering=bool(entry.get("vpc_peering", True)),
    )
