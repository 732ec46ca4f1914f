"""Advice about an image before it is built, and the diagnosis of a job that could not use one."""

from dataclasses import replace

import pytest

from zenml_vertex.job.diagnosis import diagnose
from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.images import ImagePlan, advise_image
from zenml_vertex.job.resolution import resolve_fields

PLAN = ImagePlan(
    parent_image=None,
    has_dockerfile=False,
    is_built_here=True,
    platform=None,
    python=(3, 11),
    machine="x86_64",
)


def advise(
    plan: ImagePlan, machine_type: str = "n1-standard-4", accelerator: str | None = None
) -> str:
    """Join all advice into one text."""
    job = JobFields(
        machine_type=machine_type,
        accelerator_type=accelerator,
        accelerator_count=1 if accelerator else None,
    )
    return "\n".join(advise_image(plan, job))


@pytest.mark.parametrize(
    ("plan", "machine_type"),
    [
        (PLAN, "n1-standard-4"),
        (replace(PLAN, machine="arm64", platform="linux/amd64"), "n1-standard-4"),
        (replace(PLAN, machine="arm64", is_built_here=False), "n1-standard-4"),
        (replace(PLAN, machine="aarch64"), "a4x-highgpu-4g"),
        (replace(PLAN, platform="linux/arm64/v8"), "a4x-highgpu-4g"),
        (replace(PLAN, parent_image="zenmldocker/zenml:0.98.0-py3.11"), "n1-standard-4"),
        (replace(PLAN, parent_image="registry:5000/python3/happy3.9x"), "n1-standard-4"),
        (replace(PLAN, parent_image="python@sha256:0"), "n1-standard-4"),
    ],
)
def test_a_suitable_image_brings_no_advice(plan: ImagePlan, machine_type: str) -> None:
    """A matching platform, a remote build, the same Python or a lookalike name brings no advice."""
    assert advise(plan, machine_type) == ""


@pytest.mark.parametrize(
    ("plan", "machine_type", "cure"),
    [
        (replace(PLAN, machine="arm64"), "n1-standard-4", "platform='linux/amd64'"),
        (replace(PLAN, machine="aarch64"), "g2-standard-4", "platform='linux/amd64'"),
        (PLAN, "a4x-highgpu-4g", "platform='linux/arm64'"),
        (replace(PLAN, platform="linux/arm64"), "n1-standard-4", "platform='linux/amd64'"),
    ],
)
def test_an_image_for_another_architecture_is_found_before_it_is_built(
    plan: ImagePlan, machine_type: str, cure: str
) -> None:
    """A local build on an Arm machine, whose images cannot run on x86, brings a warning."""
    said = advise(plan, machine_type)
    assert "exec format error" in said
    assert cure in said


@pytest.mark.parametrize(
    ("image", "python"),
    [
        ("zenmldocker/zenml:0.98.0-py3.10", "3.10"),
        ("python:3.9-slim", "3.9"),
        ("registry:5000/team/python3.12:1", "3.12"),
    ],
)
def test_another_python_version_is_found_before_the_image_is_built(image: str, python: str) -> None:
    """A parent image whose name tells another Python version brings a warning about pickling."""
    said = advise(replace(PLAN, parent_image=image))
    assert f"Python {python}" in said
    assert "3.11" in said


def test_a_gpu_without_cuda_is_found_before_the_image_is_built() -> None:
    """A GPU step on ZenML's default image, which lacks CUDA, brings a warning with a cure."""
    said = advise(PLAN, accelerator="NVIDIA_TESLA_T4")
    assert "CUDA" in said
    assert "DockerSettings(parent_image=" in said


def test_a_gpu_from_additional_arguments_needs_cuda_too() -> None:
    """A GPU requested by the additional arguments brings the same advice about CUDA."""
    arguments = {"accelerator_type": "nvidia_tesla_t4", "accelerator_count": 1}
    job = resolve_fields({"additional_training_job_args": arguments})
    (said,) = advise_image(PLAN, job)
    assert said.startswith("asks for NVIDIA_TESLA_T4, and ZenML's default image has no CUDA")


@pytest.mark.parametrize(
    ("plan", "accelerator"),
    [
        (PLAN, None),
        (PLAN, "TPU_V3"),
        (replace(PLAN, parent_image="pytorch/pytorch:2.2.0-cuda11.8"), "NVIDIA_TESLA_T4"),
        (replace(PLAN, has_dockerfile=True), "NVIDIA_TESLA_T4"),
    ],
)
def test_cuda_is_not_advised_without_need(plan: ImagePlan, accelerator: str | None) -> None:
    """No GPU, a TPU or an image chosen by the user brings no advice about CUDA."""
    assert advise(plan, accelerator=accelerator) == ""


EXIT = "The replica workerpool0-0 exited with a non-zero status of 1. To find out more ..."


@pytest.mark.parametrize(
    ("line", "what", "cure"),
    [
        (
            "ModuleNotFoundError: No module named 'zenml_vertex'",
            "zenml-vertex is not in its image",
            "ZenML build the step's image, which copies zenml-vertex into it: leave `skip_build`",
        ),
        (
            "python: Error while finding module specification for 'zenml_vertex.container.claim' "
            "(ModuleNotFoundError: No module named 'zenml_vertex')",
            "zenml-vertex is not in its image",
            "`install_stack_requirements` at True",
        ),
        (
            "/usr/bin/python: No module named zenml_vertex.container.secret_environment",
            "could not import a module of zenml-vertex: its image has another version",
            "`zenml-vertex --version` says here",
        ),
        (
            "ModuleNotFoundError: No module named 'zenml_vertex.cloud.endpoint'",
            "or only the part that steps need",
            "zenml-vertex[client]",
        ),
        (
            "/usr/bin/python: Error while finding module specification for "
            "'zenml.entrypoints.entrypoint' (ModuleNotFoundError: No module named 'zenml')",
            "ZenML is not in its image",
            "requirements=['zenml==VERSION'",
        ),
        (
            "\x1b[31mImportError: cannot import name '_VALID_ANY_VALUE_TYPES' from \x1b[0m",
            "opentelemetry packages in its image do not fit",
            "requirements=['zenml==VERSION'",
        ),
        (
            "exec /opt/venv/bin/python: exec format error",
            "another CPU architecture",
            "platform='linux/amd64'",
        ),
        ("ValueError: unsupported pickle protocol: 5", "a different Python version", "py3.11"),
    ],
)
def test_the_end_of_the_log_explains_an_exit_status(line: str, what: str, cure: str) -> None:
    """Each problem that only the log reveals is named, quoted and given a cure.

    The same text in the service's message, which sometimes holds the log's end, is recognised
    too.
    """
    job = {"state": "JOB_STATE_FAILED", "error": {"code": 3, "message": EXIT}}
    found = diagnose(job, ["starting", line, "bye"])
    assert what in found.what
    assert cure in found.cure
    assert EXIT in found.why
    assert "\x1b" not in found.why
    assert "In its log: " in found.why
    inside = diagnose({**job, "error": {"message": f"{EXIT}\n{line}"}})
    assert inside.what == found.what


@pytest.mark.parametrize(
    "line",
    [
        "Your artifact was materialized under Python version '3.9.1' but you are currently using",
        "warning: No module named 'zenml', continuing without tracking",
        "UserWarning: No module named 'zenml_vertex'",
        "ModuleNotFoundError: No module named 'zenml_vertex_extras'",
        "ModuleNotFoundError: No module named 'zenml.foo'",
        "PermissionError: [Errno 13] Permission denied: '/data'",
        "the image of the cat was not found",
    ],
)
def test_an_unrelated_log_gives_no_cause(line: str) -> None:
    """Log lines that only resemble a known problem give no cause: a wrong cure does harm."""
    job = {"state": "JOB_STATE_FAILED", "error": {"code": 3, "message": EXIT}}
    assert diagnose(job, [line]).what == "failed: the step's container exited with status 1."


@pytest.mark.parametrize(
    ("message", "what", "cure"),
    [
        (
            "Vertex AI Service Agent service-1@gcp-sa-aiplatform-cc.iam.gserviceaccount.com does "
            "not have permission to access Artifact Registry repository projects/p/locations/l/"
            "repositories/r",
            "is not allowed to pull its image",
            "roles/artifactregistry.reader",
        ),
        (
            "The image r/i:1 cannot be pulled: Head r: no basic auth credentials",
            "is not allowed to pull its image",
            "roles/artifactregistry.reader",
        ),
        (
            "The image r/i:1 cannot be pulled: manifest unknown",
            "could not pull its image",
            "prevent_build_reuse=True",
        ),
        (
            'Failed to pull image "r/i:1": no match for platform in manifest: not found',
            "another CPU architecture",
            "platform='linux/amd64'",
        ),
        (
            "The image r/i:1 is for linux/arm64; the machine is linux/amd64. There, it would end "
            "with `exec format error`.",
            "another CPU architecture",
            "platform='linux/amd64'",
        ),
    ],
)
def test_an_image_that_cannot_be_pulled_is_explained(message: str, what: str, cure: str) -> None:
    """A forbidden, a missing and a wrong-architecture image each have their own cause and cure."""
    found = diagnose({"state": "JOB_STATE_FAILED", "error": {"code": 3, "message": message}})
    assert what in found.what
    assert cure in found.cure
    assert found.why == message
