"""`zenml-vertex machines`: the catalogue, filtered, as a table and as JSON."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from zenml_vertex.cli import main
from zenml_vertex.job.machines import load_catalogue


def run(*arguments: str) -> tuple[int, str]:
    """The exit code and what is printed."""
    result = CliRunner().invoke(main, ["machines", *arguments])
    return result.exit_code, result.output


def list_machines(*arguments: str) -> list[dict[str, Any]]:
    """The machine types that the JSON has."""
    code, output = run("--output", "json", *arguments)
    assert code == 0
    found: list[dict[str, Any]] = json.loads(output)["machine_types"]
    return found


def names(*arguments: str) -> list[str]:
    """Their names."""
    return [row["machine_type"] for row in list_machines(*arguments)]


def test_the_whole_catalogue_is_listed() -> None:
    """Every machine type is in the JSON, with its size, accelerators, capacity and the date."""
    catalogue = load_catalogue()
    found = {row["machine_type"]: row for row in list_machines()}
    assert found.keys() == catalogue.machines.keys() | catalogue.tpu_machines.keys()
    assert found["a3-highgpu-1g"] == {
        "machine_type": "a3-highgpu-1g",
        "vcpus": 26,
        "memory_gib": 234.0,
        "accelerators": {"NVIDIA_H100_80GB": [1]},
        "accelerator_built_in": True,
        "capacity": "spot_or_flex_start_required",
        "vpc_peering": True,
        "note": "",
    }
    assert found["ct5lp-hightpu-1t"]["tpu_topologies"] == ["1x1"]
    assert found["cloud-tpu"]["vcpus"] is None
    assert json.loads(run("--output", "json")[1])["date"] == catalogue.date


def test_the_table_is_for_people() -> None:
    """A line for each type, the smallest first, and the date of the list."""
    code, output = run("--gpu", "l4")
    lines = output.splitlines()
    assert code == 0
    assert lines[0].split()[:3] == ["MACHINE", "TYPE", "VCPUS"]
    assert lines[1].split() == ["g2-standard-4", "4", "16", "GiB", "NVIDIA_L4", "1", "on", "demand"]
    assert len(lines) == 11
    assert "2026-08-22" in lines[-1]
    assert "?" in run("--gpu", "tpu-v3")[1]
    assert "topology 2x2/2x4/" in run("--gpu", "v5e")[1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--gpu", "l4", "--memory", "64"], ["16", "24", "32", "48", "96"]),
        (["--gpu", "NVIDIA_L4", "--memory", "64GB", "--cpus", "30"], ["32", "48", "96"]),
        (["--gpu", "l4", "--memory", "200GiB", "--region", "europe-west4"], ["96"]),
        (["--gpu", "l4", "--region", "us-west3"], []),
    ],
)
def test_the_list_is_filtered(arguments: list[str], expected: list[str]) -> None:
    """By accelerator, CPUs, memory and region."""
    assert names(*arguments) == [f"g2-standard-{size}" for size in expected]


def test_a_region_leaves_out_what_it_lacks() -> None:
    """Machines with a built-in accelerator that the region lacks, and such counts, are left out."""
    found = {row["machine_type"]: row for row in list_machines("--region", "us-west3")}
    assert "a2-highgpu-1g" in found
    assert "g2-standard-4" not in found
    assert "ct6e-standard-1t" not in found
    assert found["n1-standard-4"]["accelerators"] == {}
    assert "ct6e-standard-1t" in names("--region", "us-east5")
    assert "cloud-tpu" not in names("--region", "us-east5")


def test_nothing_that_fits_is_a_sentence() -> None:
    """An empty list says so, with status 0."""
    assert run("--memory", "9TB") == (
        0,
        "No machine type fits. Ask for less, or look without --region.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--gpu", "T5"],
            "`T5` is not an accelerator of Vertex AI. Did you mean `NVIDIA_TESLA_T4`?",
        ),
        (
            ["--gpu", "A10G"],
            "not an accelerator of Vertex AI. Those that are known: NVIDIA_A100_80GB",
        ),
        (["--region", "europ-west4"], "Did you mean `europe-west4`?"),
        (["--region", "mars"], "is not in the list of regions with training. "),
        (["--memory", "lots"], "`lots` is not a size. Write GiB, such as 64, or 64GB."),
        (["--cpus", "-1"], "-1"),
    ],
)
def test_a_wrong_value_is_explained(arguments: list[str], words: str) -> None:
    """Exit status 2, and a sentence that says what to write."""
    code, output = run(*arguments)
    assert code == 2
    assert words in " ".join(output.split())
