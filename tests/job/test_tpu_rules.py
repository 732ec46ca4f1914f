"""Rules on TPUs and on partitions of GPUs, each with what it says and what it leaves alone."""

from typing import Any

import pytest

from zenml_vertex import VertexStepOperatorSettings
from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.machine_choice import Wishes, fit_machine
from zenml_vertex.job.rules import advise, find_problems


def make_job(**written: Any) -> JobFields:
    """What a step with these settings asks for, in a region that has TPUs of each generation."""
    settings = VertexStepOperatorSettings(**({"region": "us-central1"} | written))
    return fit_machine(settings.to_job_fields(), Wishes()).job


@pytest.mark.parametrize(
    "written",
    [
        {"machine_type": "cloud-tpu", "accelerator_type": "TPU_V2", "accelerator_count": 8},
        {"accelerator_type": "TPU_V3", "accelerator_count": 32, "region": "europe-west4"},
        {"machine_type": "ct5lp-hightpu-4t", "tpu_topology": "2x4"},
        {"machine_type": "ct6e-standard-8t", "tpu_topology": "2x4"},
        {"machine_type": "tpu7x-standard-4t", "tpu_topology": "2x2x1"},
        {
            "machine_type": "ct5lp-hightpu-4t",
            "tpu_topology": "2x2",
            "scheduling_strategy": "SPOT",
        },
        {"machine_type": "a2-highgpu-1g", "gpu_partition_size": "1g.10gb"},
        {"machine_type": "a2-highgpu-8g", "gpu_partition_size": "1g.10gb"},
    ],
)
def test_what_is_documented_is_left_alone(written: dict[str, Any]) -> None:
    """No error, and no warning."""
    job = make_job(**written)
    assert find_problems(job) == []
    assert advise(job) == []


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (
            {"machine_type": "n1-standard-4", "tpu_topology": "2x4"},
            "which has no TPU. Write a mach",
        ),
        ({"tpu_topology": "2x2x1"}, "such as 'tpu7x-standard-4t', or remove the topology."),
        (
            {"machine_type": "cloud-tpu"},
            "Write, for example, accelerator_type='TPU_V3', accelerator",
        ),
        (
            {
                "machine_type": "cloud-tpu",
                "accelerator_type": "TPU_V3",
                "accelerator_count": 8,
                "tpu_topology": "2x2",
            },
            "which takes no `tpu_topology`",
        ),
        (
            {
                "machine_type": "cloud-tpu",
                "accelerator_type": "TPU_V2",
                "accelerator_count": 32,
                "strategy": "spot",
            },
            "`strategy` is SPOT, which Vertex AI does not have for pods of TPUs.",
        ),
        (
            {
                "machine_type": "ct5lp-hightpu-4t",
                "tpu_topology": "4x4",
                "scheduling_strategy": "SPOT",
            },
            "`scheduling_strategy` is SPOT, which Vertex AI does not have for pods of TPUs.",
        ),
        (
            {"gpu_partition_size": "1g.10gb"},
            "`gpu_partition_size` is `1g.10gb`, and the job has no",
        ),
        (
            {
                "gpu_partition_size": "1g.10gb",
                "machine_type": "a2-highgpu-2g",
                "accelerator_type": "A100",
                "accelerator_count": 2,
            },
            "`accelerator_count` is 2; with `gpu_partition_size`, it must be 1.",
        ),
    ],
)
def test_what_cannot_work_is_refused(written: dict[str, Any], words: str) -> None:
    """Each of them is one error, under the name that was written."""
    (problem,) = find_problems(make_job(**written))
    assert words in problem


def test_a_topology_that_is_none_is_refused_where_it_is_written() -> None:
    """The error shows how a topology is written."""
    with pytest.raises(
        ConfigurationError, match=r"`tpu_topology` is `big`[.] Write the chips in each"
    ):
        VertexStepOperatorSettings(tpu_topology="big")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"machine_type": "ct5lp-hightpu-4t"}, "needs a `tpu_topology`, which says how many chips"),
        (
            {"machine_type": "ct5lp-hightpu-8t", "tpu_topology": "9x9"},
            "which Google's list of 2026-08-22 does not have for `ct5lp-hightpu-8t`: it has 2x4.",
        ),
        (
            {
                "machine_type": "ct5lp-hightpu-1t",
                "tpu_topology": "1x1",
                "accelerator_type": "TPU_V5_LITEPOD",
                "accelerator_count": 1,
            },
            "in Google's examples it has no accelerator type and count.",
        ),
        (
            {"machine_type": "ct6e-standard-1t", "tpu_topology": "1x1", "region": "us-west3"},
            "not available for training in `us-west3`, says Google's list of 2026-08-22. Regions "
            "that have it: asia-northeast1, europe-west4,",
        ),
        (
            {"accelerator_type": "TPU_V5_LITEPOD", "accelerator_count": 4},
            "For TPU v5e, write machine_type='ct5lp-hightpu-4t' and a `tpu_topology`",
        ),
        (
            {"machine_type": "cloud-tpu", "accelerator_type": "L4", "accelerator_count": 1},
            "`cloud-tpu` takes TPU_V2, TPU_V3, not NVIDIA_L4",
        ),
        (
            {"machine_type": "cloud-tpu", "accelerator_type": "TPU_V2", "accelerator_count": 4},
            "takes TPU_V2 in counts of 8, or 32 and more for a pod, not 4",
        ),
        (
            {"accelerator_type": "TPU_V4_POD", "accelerator_count": 8},
            "No machine type in the table takes it.",
        ),
    ],
)
def test_what_google_does_not_list_is_a_warning(written: dict[str, Any], words: str) -> None:
    """The list has a date, so Vertex AI decides."""
    job = make_job(**written)
    assert find_problems(job) == []
    assert words in " ".join(advise(job))
