"""The catalogue of machines and accelerators: what another spelling means, and what is near."""

import pytest

from zenml_vertex import VertexStepOperatorSettings
from zenml_vertex.job.machines import (
    find_accelerator,
    load_catalogue,
    nearest_accelerator,
    nearest_machine,
)
from zenml_vertex.job.rules import advise, find_problems


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("NVIDIA_T4", "NVIDIA_TESLA_T4"),
        ("T4", "NVIDIA_TESLA_T4"),
        ("nvidia-t4", "NVIDIA_TESLA_T4"),
        ("nvidia-tesla-t4", "NVIDIA_TESLA_T4"),
        (" Tesla T4 ", "NVIDIA_TESLA_T4"),
        ("V100", "NVIDIA_TESLA_V100"),
        ("A100", "NVIDIA_TESLA_A100"),
        ("a100-40gb", "NVIDIA_TESLA_A100"),
        ("NVIDIA_TESLA_A100_80GB", "NVIDIA_A100_80GB"),
        ("a100-40", "NVIDIA_TESLA_A100"),
        ("A100 40", "NVIDIA_TESLA_A100"),
        ("A100-80", "NVIDIA_A100_80GB"),
        ("V100-16GB", "NVIDIA_TESLA_V100"),
        ("T4-16GB", "NVIDIA_TESLA_T4"),
        ("nvidia-tesla-t4-vws", "NVIDIA_TESLA_T4"),
        ("L4-24GB", "NVIDIA_L4"),
        ("A100-80GB", "NVIDIA_A100_80GB"),
        ("H100", "NVIDIA_H100_80GB"),
        ("nvidia-h100-mega-80gb", "NVIDIA_H100_MEGA_80GB"),
        ("H200", "NVIDIA_H200_141GB"),
        ("B200", "NVIDIA_B200"),
        ("l4", "NVIDIA_L4"),
        ("tpu-v3", "TPU_V3"),
    ],
)
def test_another_spelling_of_an_accelerator_is_understood(written: str, meant: str) -> None:
    """The usual spellings of an accelerator are one; the job has Vertex AI's own."""
    settings = VertexStepOperatorSettings(
        region="europe-west4", accelerator_type=written, accelerator_count=1
    )
    job = settings.to_job_fields()
    assert job.accelerator_type == meant
    assert find_problems(job) == []
    assert "not in this version's list" not in " ".join(advise(job))


def test_every_accelerator_is_itself() -> None:
    """No spelling of the catalogue is taken for another one, in either case."""
    for name in load_catalogue().accelerators:
        assert find_accelerator(name) == find_accelerator(name.lower()) == name


@pytest.mark.parametrize("written", ["T5", "A10G", "", "-", "NVIDIA", "H100_40GB"])
def test_no_accelerator_is_guessed(written: str) -> None:
    """A name that is not one of an accelerator is never taken for one."""
    assert find_accelerator(written) is None


@pytest.mark.parametrize(
    ("written", "close"),
    [
        ("NVIDIA_T5", "NVIDIA_TESLA_T4"),
        ("V1000", "NVIDIA_TESLA_V100"),
        ("radeon", None),
        ("V100-32GB", "NVIDIA_TESLA_V100"),
        ("H200-80GB", "NVIDIA_H200_141GB"),
        ("A10", None),
        ("nvidia-a10g", None),
        ("A10G-24GB", None),
    ],
)
def test_the_nearest_accelerator_is_that_of_the_nearest_model(
    written: str, close: str | None
) -> None:
    """The model counts and not the maker: `NVIDIA_T5` is nearer to a T4 than to an L4."""
    assert nearest_accelerator(written) == close


@pytest.mark.parametrize(
    ("written", "close"),
    [
        ("n1-standard-2", "n1-standard-4"),
        ("n1-standard-200", "n1-standard-96"),
        ("a2-highgpu-3g", "a2-highgpu-4g"),
        ("n1-standart-4", "n1-standard-4"),
        ("mainframe", None),
    ],
)
def test_the_nearest_machine_is_the_next_size_of_its_family(written: str, close: str) -> None:
    """A missing size brings the next larger one, and another name the one spelt most like it."""
    assert nearest_machine(written) == close
