"""`zenml-vertex machines`: the catalogue of machine types."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from zenml_vertex.job.machines import (
    Catalogue,
    Machine,
    TpuMachine,
    find_accelerator,
    load_catalogue,
    nearest,
    nearest_accelerator,
)

_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]i?B)?", re.IGNORECASE)
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}
_GIB = 1024**3
_PAGE = "https://cloud.google.com/vertex-ai/docs/training/configure-compute"
_HEADINGS = ("MACHINE TYPE", "VCPUS", "MEMORY", "ACCELERATORS", "CAPACITY")
_GENERATION = "tpu_generation"


@dataclass(frozen=True, slots=True)
class _Filter:
    """What is listed."""

    cpus: float
    memory_gib: float
    # An accelerator type or a generation of TPUs, such as `v5e`.
    accelerator: str | None
    region: str | None


def _read_memory(_context: click.Context, _parameter: click.Parameter, value: str) -> float:
    """The size in GiB; without a unit, the number is one of GiB."""
    parts = _MEMORY.fullmatch(value.strip())
    if parts is None:
        raise click.BadParameter(f"`{value}` is not a size. Write GiB, such as 64, or 64GB.")
    number, unit = parts.groups()
    if not unit:
        return float(number)
    base = 1024 if "i" in unit.lower() else 1000
    return float(float(number) * base ** _POWERS[unit[0].lower()] / _GIB)


def _read_gpu(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    """The accelerator type that is meant, or the generation of TPUs."""
    if value is None:
        return None
    if found := find_accelerator(value):
        return found
    generations = {tpu.generation for tpu in load_catalogue().tpu_machines.values()} - {""}
    word = re.sub(r"^tpu[\s_-]*(?=v)", "", value.strip().lower())
    if word in generations:
        return word
    close = nearest_accelerator(value)
    hint = f"Did you mean `{close}`?" if close else "Those that are known: "
    if not close:
        hint += ", ".join([*sorted(load_catalogue().accelerators), *sorted(generations)])
    raise click.BadParameter(f"`{value}` is not an accelerator of Vertex AI. {hint}")


def _read_region(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    regions = load_catalogue().regions
    if value is None or value in regions or value in load_catalogue().accelerators_by_region:
        return value
    close = nearest(value, regions)
    raise click.BadParameter(
        f"`{value}` is not in the list of regions with training. "
        + (f"Did you mean `{close}`?" if close else f"They are: {', '.join(sorted(regions))}.")
    )


@click.command(short_help="List the machine types, their sizes and accelerators.")
@click.option("--gpu", metavar="TYPE", callback=_read_gpu, help="Only those with it: l4, v5e.")
@click.option(
    "--cpus", type=click.FloatRange(min=0), default=0, help="Only those with as many vCPUs."
)
@click.option(
    "--memory",
    metavar="SIZE",
    default="0",
    callback=_read_memory,
    help="Only those with as much, in GiB.",
)
@click.option("--region", callback=_read_region, help="Only what this region has for training.")
@click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How it is printed.",
)
def machines(
    *, gpu: str | None, cpus: float, memory: float, region: str | None, output: str
) -> None:
    """List the machine types that Google documents for training.

    It is the list that a step's machine type is chosen from where it sets none, and that its
    settings are checked against. It is as old as its date; a type that is not in it may exist,
    and jobs with it pass with a warning. Nothing is asked of Google Cloud.
    """
    catalogue = load_catalogue()
    rows = [*_iter_rows(catalogue, _Filter(cpus, memory, gpu, region))]
    if output == "json":
        click.echo(json.dumps({"date": catalogue.date, "machine_types": rows}, indent=2))
        return
    if not rows:
        click.echo("No machine type fits. Ask for less, or look without --region.")
        return
    cells = [_HEADINGS, *(_show(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADINGS))]
    for row in cells:
        shown = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo("  ".join(shown).rstrip())
    click.echo(f"\nAs Google's pages had it on {catalogue.date}; today's list: {_PAGE}")


def _iter_rows(catalogue: Catalogue, wanted: _Filter) -> Iterator[dict[str, Any]]:
    """What is known of each machine type that is wanted; the smallest first."""
    found: list[Machine | TpuMachine] = [
        *catalogue.machines.values(),
        *catalogue.tpu_machines.values(),
    ]
    for machine in sorted(found, key=_size):
        accelerators = _find_accelerators(catalogue, machine, wanted)
        cpus, memory_gib = machine.cpus, machine.memory_gib
        # The size of `cloud-tpu` is not documented: it is not known to fit.
        is_small = (cpus or 0) < wanted.cpus or (memory_gib or 0) < wanted.memory_gib
        if accelerators is None or is_small:
            continue
        row: dict[str, Any] = {
            "machine_type": machine.name,
            "vcpus": cpus,
            "memory_gib": memory_gib,
            "accelerators": accelerators,
        }
        if isinstance(machine, Machine):
            row |= {
                "accelerator_built_in": machine.accelerator_required,
                "capacity": machine.capacity,
                "vpc_peering": machine.vpc_peering,
            }
        else:
            row |= {_GENERATION: machine.generation, "tpu_topologies": [*machine.topologies]}
        yield row | {"note": machine.note}


def _find_accelerators(
    catalogue: Catalogue, machine: Machine | TpuMachine, wanted: _Filter
) -> dict[str, list[int]] | None:
    """The accelerators of a machine type that are wanted; None if it is not wanted itself."""
    if isinstance(machine, Machine):
        all_of_it = {kind: [*counts] for kind, counts in machine.accelerators.items()}
    else:
        all_of_it = {kind: [count] for kind, count in machine.accelerators.items()}
    here = {
        kind: counts
        for kind, counts in all_of_it.items()
        if wanted.region is None or not catalogue.lacks(wanted.region, kind)
    }
    if isinstance(machine, TpuMachine) and machine.generation:
        if wanted.region and catalogue.lacks(wanted.region, machine.region_name):
            return None
        return {} if wanted.accelerator in (None, machine.generation) else None
    needs_one = isinstance(machine, TpuMachine) or machine.accelerator_required
    if wanted.accelerator:
        here = {kind: counts for kind, counts in here.items() if kind == wanted.accelerator}
        needs_one = True
    return None if needs_one and not here else here


def _size(machine: Machine | TpuMachine) -> tuple[bool, int, float, str]:
    return (
        isinstance(machine, TpuMachine),
        machine.cpus or 0,
        machine.memory_gib or 0,
        machine.name,
    )


def _show(row: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table."""
    accelerators = ", ".join(
        f"{kind} {'/'.join(map(str, counts))}" for kind, counts in row["accelerators"].items()
    )
    if topologies := row.get("tpu_topologies"):
        accelerators = f"TPU {row[_GENERATION]}, topology {'/'.join(topologies)}"
    memory = row["memory_gib"]
    return (
        row["machine_type"],
        "?" if row["vcpus"] is None else str(row["vcpus"]),
        "?" if memory is None else f"{memory:g} GiB",
        accelerators,
        row.get("capacity", "").replace("_", " "),
    )
