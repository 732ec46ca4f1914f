"""The catalogue of machine types, accelerators and regions.

It is a snapshot of what Google documents (sources in the data file). Google adds some
every month, so a name that is not in it is a reason for a warning, never for an error.
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
    """One machine type."""

    # Accelerator type -> the counts it can be attached in.
    accelerators: Mapping[str, tuple[int, ...]]
    # Whether the accelerator is built in and must be named.
    accelerator_required: bool
    # Whether the job's `network` can be set.
    vpc_peering: bool


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything the data file knows."""

    # Machine type -> what is known of it.
    machines: Mapping[str, Machine]
    # Names of further machine types: those with TPUs, which follow rules of their own.
    other_machines: frozenset[str]
    # Names of the accelerator types.
    accelerators: frozenset[str]
    # Regions with custom training.
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


def describe_unknown(field: str, value: str, known: Iterable[str]) -> str:
    """Say that a value is not in the snapshot, and which one was probably meant.

    Args:
        field: The field as a message names it.
        value: Its value.
        known: The values in the snapshot.
    """
    close = nearest(value, known)
    hint = f" Did you mean `{close}`?" if close else ""
    return (
        f"{field} is `{value}`, which is not in this version's list; Vertex AI may still know "
        f"it.{hint}"
    )


def _read_machine(entry: Mapping[str, Any]) -> Machine:
    return Machine(
        accelerators={
            accelerator: tuple(counts)
            for accelerator, counts in (entry.get("accelerators") or {}).items()
        },
        accelerator_required=bool(entry.get("accelerator_required", False)),
        vpc_peering=bool(entry.get("vpc_peering", True)),
    )
