"""The catalogue of machine types is whole: every size, every built-in accelerator, every source."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.reference import compare_machines
from zenml_vertex.job.machines import load_catalogue

# Accelerator-optimized machine types of Compute Engine that training takes, and what each has
# built in: https://cloud.google.com/compute/docs/accelerator-optimized-machines and
# https://cloud.google.com/vertex-ai/docs/training/configure-compute
BUILT_IN = {
    "a2-highgpu-1g": ("NVIDIA_TESLA_A100", 1),
    "a2-highgpu-2g": ("NVIDIA_TESLA_A100", 2),
    "a2-highgpu-4g": ("NVIDIA_TESLA_A100", 4),
    "a2-highgpu-8g": ("NVIDIA_TESLA_A100", 8),
    "a2-megagpu-16g": ("NVIDIA_TESLA_A100", 16),
    "a2-ultragpu-1g": ("NVIDIA_A100_80GB", 1),
    "a2-ultragpu-2g": ("NVIDIA_A100_80GB", 2),
    "a2-ultragpu-4g": ("NVIDIA_A100_80GB", 4),
    "a2-ultragpu-8g": ("NVIDIA_A100_80GB", 8),
    "a3-highgpu-1g": ("NVIDIA_H100_80GB", 1),
    "a3-highgpu-2g": ("NVIDIA_H100_80GB", 2),
    "a3-highgpu-4g": ("NVIDIA_H100_80GB", 4),
    "a3-highgpu-8g": ("NVIDIA_H100_80GB", 8),
    "a3-megagpu-8g": ("NVIDIA_H100_MEGA_80GB", 8),
    "a3-ultragpu-8g": ("NVIDIA_H200_141GB", 8),
    "a4-highgpu-8g": ("NVIDIA_B200", 8),
    "a4x-highgpu-4g": ("NVIDIA_GB200", 4),
    "g2-standard-4": ("NVIDIA_L4", 1),
    "g2-standard-8": ("NVIDIA_L4", 1),
    "g2-standard-12": ("NVIDIA_L4", 1),
    "g2-standard-16": ("NVIDIA_L4", 1),
    "g2-standard-24": ("NVIDIA_L4", 2),
    "g2-standard-32": ("NVIDIA_L4", 1),
    "g2-standard-48": ("NVIDIA_L4", 4),
    "g2-standard-96": ("NVIDIA_L4", 8),
    "g4-standard-48": ("NVIDIA_RTX_PRO_6000", 1),
    "g4-standard-96": ("NVIDIA_RTX_PRO_6000", 2),
    "g4-standard-192": ("NVIDIA_RTX_PRO_6000", 4),
    "g4-standard-384": ("NVIDIA_RTX_PRO_6000", 8),
}
# GiB for each vCPU in families whose sizes have one ratio.
# https://cloud.google.com/compute/docs/machine-resource
MEMORY_PER_CPU = {
    "e2-standard": 4,
    "e2-highmem": 8,
    "e2-highcpu": 1,
    "n1-standard": 3.75,
    "n1-highmem": 6.5,
    "n1-highcpu": 0.9,
    "n2-standard": 4,
    "n2-highmem": 8,
    "n2-highcpu": 1,
    "n4-standard": 4,
    "n4-highmem": 8,
    "n4-highcpu": 2,
    "c2-standard": 4,
    "g2-standard": 4,
    "g4-standard": 3.75,
}


# vCPUs and GiB of the others, from the same pages.
SIZES = {
    "a2-highgpu-1g": (12, 85),
    "a2-highgpu-2g": (24, 170),
    "a2-highgpu-4g": (48, 340),
    "a2-highgpu-8g": (96, 680),
    "a2-megagpu-16g": (96, 1360),
    "a2-ultragpu-1g": (12, 170),
    "a2-ultragpu-2g": (24, 340),
    "a2-ultragpu-4g": (48, 680),
    "a2-ultragpu-8g": (96, 1360),
    "a3-highgpu-1g": (26, 234),
    "a3-highgpu-2g": (52, 468),
    "a3-highgpu-4g": (104, 936),
    "a3-highgpu-8g": (208, 1872),
    "a3-megagpu-8g": (208, 1872),
    "a3-ultragpu-8g": (224, 2952),
    "a4-highgpu-8g": (224, 3968),
    "a4x-highgpu-4g": (140, 884),
    "m1-megamem-96": (96, 1433.6),
    "m1-ultramem-40": (40, 961),
    "m1-ultramem-80": (80, 1922),
    "m1-ultramem-160": (160, 3844),
}


def read_raw() -> dict[str, Any]:
    """Read the data file as it is."""
    text = files("zenml_vertex.data").joinpath("machine_accelerators.yaml").read_text("utf-8")
    raw: dict[str, Any] = yaml.safe_load(text)
    return raw


def test_the_families_with_built_in_accelerators_are_complete() -> None:
    """Each A2, A3, A4, A4X, G2 and G4 type is there, with its accelerator and how many."""
    machines = load_catalogue().machines
    found = {name: machine.built_in for name, machine in machines.items() if machine.built_in}
    assert found == BUILT_IN


def test_every_machine_type_has_its_size() -> None:
    """Each has vCPUs and memory in its family's ratio; only `cloud-tpu` has no documented size."""
    catalogue = load_catalogue()
    assert len(catalogue.machines) + len(catalogue.tpu_machines) == 117
    for name, machine in catalogue.machines.items():
        group, _, size = name.rpartition("-")
        if ratio := MEMORY_PER_CPU.get(group):
            assert machine.cpus == int(size), name
            assert machine.memory_gib == pytest.approx(machine.cpus * ratio), name
        else:
            assert (machine.cpus, machine.memory_gib) == SIZES[name]
        assert machine.family == name.partition("-")[0]
    without = [name for name, tpu in catalogue.tpu_machines.items() if tpu.cpus is None]
    assert without == ["cloud-tpu"]


def test_every_entry_names_a_source_that_exists() -> None:
    """Each machine type and accelerator says where it is known from, and the file its date."""
    raw = read_raw()
    entries = {**raw["machine_types"], **raw["tpu_machine_types"], **raw["accelerator_types"]}
    for name, entry in entries.items():
        assert entry["src"], name
        assert set(entry["src"]) <= set(raw["sources"]), name
    assert load_catalogue().date in raw["sources"]["cc"]


def test_accelerators_of_machines_and_regions_are_known() -> None:
    """What a machine or a region has is an accelerator type, or a generation of TPUs."""
    catalogue = load_catalogue()
    for machine in catalogue.machines.values():
        assert machine.accelerators.keys() <= catalogue.accelerators
    for found in catalogue.accelerators_by_region.values():
        assert all(name in catalogue.accelerators or name.startswith("TPU") for name in found)


def test_a_saved_page_is_compared_with_the_catalogue(tmp_path: Path) -> None:
    """The script names types, accelerators and regions that are missing, and what differs."""
    page = tmp_path / "page.html"
    page.write_text(
        "<p>New in europe-north2: <code>NVIDIA_R300</code>.</p><table>"
        "<tr><th>Machine type</th><th>vCPUs</th><th>Memory (GB)</th><th>NVIDIA T4</th></tr>"
        "<tr><td><code>n1-standard-4</code></td><td>4</td><td>16.5</td><td>1, 2</td></tr>"
        "<tr><td>n1-standard-8</td><td>8</td><td>30</td><td>1, 2, 4</td></tr>"
        "<tr><td>a5-highgpu-8g</td><td>256</td><td>4,096</td><td></td></tr></table>",
        "utf-8",
    )
    found = [*compare_machines.compare(page)]
    assert found[:5] == [
        "machine type that the catalogue has not: a5-highgpu-8g",
        "accelerator that the catalogue has not: NVIDIA_R300",
        "region that the catalogue has not: europe-north2",
        "n1-standard-4: Memory (GB) is 16.5 in the file, and 15 in the catalogue",
        "n1-standard-4: NVIDIA T4 is 1, 2 in the file, and 1/2/4 in the catalogue",
    ]
    assert "machine type that the file has not: cloud-tpu" in found
    assert not any("n1-standard-8" in line for line in found)


def test_a_csv_file_is_compared_with_the_catalogue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list of Compute Engine's is read too, and the status says whether anything differs."""
    table = tmp_path / "types.csv"
    table.write_text("name;vcpus;memory\nn1-standard-4;8;15\nc9-standard-4;4;16\n", "utf-8")
    assert compare_machines.main([str(table)]) == 1
    said = capsys.readouterr().out
    assert "n1-standard-4: vcpus is 8 in the file, and 4 in the catalogue" in said
    assert "machine type that the catalogue has not: c9-standard-4" in said
    assert compare_machines.main([]) == 2
