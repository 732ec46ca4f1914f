"""What a step misses on a stack that builds no image."""

import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from zenml.utils.pipeline_docker_image_builder import (
    DEFAULT_DOCKER_PARENT_IMAGE,
    PipelineDockerImageBuilder,
)

if TYPE_CHECKING:
    from zenml.config import DockerSettings
    from zenml.stack import Stack

_CURE = "`zenml-vertex local-stack --runtime docker` builds the image."
_MOST_REQUIREMENTS = 8
# https://pip.pypa.io/en/stable/reference/requirements-file-format/: a comment starts a line, or
# follows a blank.
_COMMENT = re.compile(r"(^|\s)#.*$")
# An option of a line's own requirement, such as `--hash=...`.
_LINE_OPTIONS = re.compile(r"\s--\S.*$")
# Their names have a version too, after any number of hyphens.
_ARCHIVES = (".gz", ".tgz", ".whl", ".zip")
# The name of a package by the end of its address, or after `#egg=`.
_NAME_IN_ADDRESS = re.compile(r"(?:#egg=|/)([A-Za-z0-9][A-Za-z0-9._-]*?)(?:\.git)?(?:@[^/]*)?$")


def describe_missing(settings: "DockerSettings", python: str) -> str:
    """What only an image would have for a step; empty if it is nothing.

    Args:
        settings: The step's Docker settings.
        python: Version of this machine's Python.
    """
    missing = list(_find_missing(settings))
    if not missing:
        return ""
    return (
        f"no image is built on this stack, so the job runs with this machine's Python {python} and "
        f"lacks {join_words(missing)}. {_CURE}"
    )


def describe_unmet(settings: "DockerSettings", stack: "Stack") -> str:
    """Which packages that a step asks for this Python does not have; empty if it has all.

    What the stack's own components need is left out: they work in this Python.

    Args:
        settings: The step's Docker settings.
        stack: The step's stack.

    Raises:
        FileNotFoundError: If a file of requirements does not exist; ZenML says which.
        RuntimeError: If they cannot be read from a pyproject.toml; ZenML says why.
    """
    if settings.skip_build:
        return ""
    # What this Python has itself needs no command that lists it.
    is_replicated = bool(settings.replicate_local_python_environment)
    own = settings.model_copy(
        update={
            "install_stack_requirements": False,
            "replicate_local_python_environment": None,
            "disable_automatic_requirements_detection": (
                is_replicated or settings.disable_automatic_requirements_detection
            ),
        }
    )
    files = PipelineDockerImageBuilder.gather_requirements_files(
        docker_settings=own, stack=stack, log=False
    )
    unmet = find_unmet(line for _, content, _ in files for line in content.splitlines())
    if not unmet:
        return ""
    more = len(unmet) - _MOST_REQUIREMENTS
    shown = [*unmet[:_MOST_REQUIREMENTS], *([f"{more} more"] if more > 0 else [])]
    return (
        "this Python lacks packages that the step's image would have: "
        f"{join_words(shown)}. Install them in this environment, or have them in an image: {_CURE}"
    )


def find_unmet(lines: Iterable[str]) -> list[str]:
    """The requirements that this Python does not meet, with what it has instead.

    Of an address, only the name of its package is looked at and shown: it can have a password.

    Args:
        lines: Lines of requirements files.
    """
    # Once each, in their order.
    return list(dict.fromkeys(text for line in lines if (text := _describe_if_unmet(line))))


def _describe_if_unmet(line: str) -> str:
    line = _LINE_OPTIONS.sub("", _COMMENT.sub("", line)).strip().rstrip("\\").strip()
    if not line or line.startswith("-"):
        return ""
    try:
        wanted = Requirement(line)
    except InvalidRequirement:
        found = _NAME_IN_ADDRESS.search(line)
        if not found or found[1].endswith(_ARCHIVES):
            return ""
        wanted = Requirement(canonicalize_name(found[1]))
    if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
        return ""
    text = f"`{wanted.name}{wanted.specifier}`"
    try:
        installed = version(wanted.name)
    except PackageNotFoundError:
        return text
    if wanted.specifier.contains(installed, prereleases=True):
        return ""
    return f"{text} ({installed} is installed)"


def _find_missing(settings: "DockerSettings") -> Iterator[str]:
    if settings.dockerfile and not settings.skip_build:
        yield f"what the Dockerfile `{settings.dockerfile}` adds"
    elif settings.parent_image and settings.parent_image != DEFAULT_DOCKER_PARENT_IMAGE:
        yield f"what the image `{settings.parent_image}` has"
    is_in_image = settings.skip_build or not settings.allow_including_files_in_images
    if is_in_image and not settings.allow_download_from_artifact_store:
        yield "the step's code, if only an image has it"
    if settings.skip_build:
        return
    if settings.apt_packages:
        yield f"the apt packages {join_words([f'`{name}`' for name in settings.apt_packages])}"
    if settings.local_project_install_command:
        yield "what `local_project_install_command` installs"
    if settings.user:
        yield f"the user `{settings.user}`"


def join_words(items: Sequence[str]) -> str:
    """The items as words: `a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if items[1:] else items)
