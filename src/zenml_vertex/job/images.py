"""Whether a step's image will run on the job's machine, judged before it is built."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from zenml_vertex.job.fields import JobFields

_PYTHON = re.compile(r"(?<![a-z0-9])py(?:thon)?[:-]?(\d)\.(\d{1,2})(?![0-9a-z])")
_ARM = frozenset({"arm64", "aarch64"})
_GPUS_PAGE = "https://docs.zenml.io/how-to/pipeline-development/training-with-gpus/"


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """What is known of an image before it is built."""

    # As the step names it; None for ZenML's own.
    parent_image: str | None
    # Whether the step brings a Dockerfile.
    has_dockerfile: bool
    # Whether this machine builds the image.
    is_built_here: bool
    # Platform that the build is told, such as `linux/amd64`.
    platform: str | None
    # Python of this machine, as (major, minor).
    python: tuple[int, int]
    # Architecture of this machine, as `platform.machine()` returns it.
    machine: str


def advise_image(plan: ImagePlan, job: JobFields) -> Iterator[str]:
    """What will probably go wrong with an image; one paragraph each.

    Args:
        plan: What is known of the image.
        job: What the step asks for.
    """
    if job.machine_type:
        yield from _advise_platform(plan, job.machine_type)
    yield from _advise_python(plan)
    if job.has_nvidia_gpu and not plan.parent_image and not plan.has_dockerfile:
        yield (
            f"asks for {job.accelerator_type}, and ZenML's default image has no CUDA libraries. "
            "Name one that has: DockerSettings(parent_image='pytorch/pytorch:2.2.0-cuda11.8-cudnn8-"
            "runtime', requirements=['zenml', ...]). If its requirements bring CUDA along, as "
            f"torch's do, name the parent image all the same. See {_GPUS_PAGE}"
        )


def _advise_platform(plan: ImagePlan, machine_type: str) -> Iterator[str]:
    # https://cloud.google.com/vertex-ai/docs/training-clusters/compute-resources: A4X
    # is Arm, and nothing else is.
    wanted = "arm64" if machine_type.startswith("a4x-") else "amd64"
    if plan.platform:
        built = plan.platform
    elif plan.is_built_here:
        built = f"linux/{'arm64' if plan.machine.lower() in _ARM else 'amd64'}"
    else:
        return
    if built.split("/")[1:2] != [wanted]:
        yield (
            f"its image is built for {built}, and the machine {machine_type} is linux/{wanted}: "
            "the container would end with `exec format error`. Set "
            "DockerSettings(build_config=DockerBuildConfig(build_options=DockerBuildOptions("
            f"platform='linux/{wanted}')))."
        )


def _advise_python(plan: ImagePlan) -> Iterator[str]:
    found = _PYTHON.search(plan.parent_image or "")
    if found is None:
        return
    theirs = (int(found[1]), int(found[2]))
    if theirs != plan.python:
        mine = f"{plan.python[0]}.{plan.python[1]}"
        yield (
            f"its parent image {plan.parent_image} has Python {theirs[0]}.{theirs[1]}, and this "
            f"machine has {mine}: what one pickles, the other may be unable to read. Name a parent "
            f"image with Python {mine}, or run the pipeline with Python {theirs[0]}.{theirs[1]}."
        )
