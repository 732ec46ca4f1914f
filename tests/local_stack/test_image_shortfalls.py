"""What a step is told that it misses without an image."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import zenml
from zenml.config import DockerSettings
from zenml.utils import source_utils
from zenml.utils.pipeline_docker_image_builder import DEFAULT_DOCKER_PARENT_IMAGE

from zenml_vertex.local_stack.image_shortfalls import (
    describe_missing,
    describe_unmet,
    find_unmet,
)

if TYPE_CHECKING:
    from zenml.stack import Stack

NO_STACK = cast("Stack", None)


@pytest.fixture(autouse=True)
def source_root(tmp_path: Path) -> Iterator[Path]:
    """The folder of the user's code, where ZenML looks for lists of requirements."""
    source_utils.set_custom_source_root(str(tmp_path))
    yield tmp_path
    source_utils.set_custom_source_root(None)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"environment": {"A": "1"}, "requirements": ["torch"]},
        {"parent_image": DEFAULT_DOCKER_PARENT_IMAGE},
        {"allow_download_from_artifact_store": False},
        {"install_stack_requirements": False, "python_package_installer": "pip"},
        {"target_repository": "team", "image_tag": "1", "prevent_build_reuse": True},
    ],
)
def test_what_works_without_an_image_is_no_warning(settings: dict[str, Any]) -> None:
    """Nothing is said where nothing is missing."""
    assert describe_missing(DockerSettings(**settings), "3.12.1") == ""


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        (
            {"parent_image": "pytorch/pytorch:2.2.0", "apt_packages": ["git", "libgl1", "curl"]},
            "what the image `pytorch/pytorch:2.2.0` has and the apt packages `git`, `libgl1` and "
            "`curl`",
        ),
        (
            {"dockerfile": "Dockerfile.gpu", "parent_image": "ignored", "user": "trainer"},
            "what the Dockerfile `Dockerfile.gpu` adds and the user `trainer`",
        ),
        (
            {"local_project_install_command": "pip install git+https://t0ken@example.com/x"},
            "what `local_project_install_command` installs",
        ),
        (
            {
                "parent_image": "team/image:1",
                "skip_build": True,
                "allow_download_from_artifact_store": False,
                "apt_packages": ["ignored"],
            },
            "what the image `team/image:1` has and the step's code, if only an image has it",
        ),
        (
            {
                "allow_including_files_in_images": False,
                "allow_download_from_artifact_store": False,
            },
            "the step's code, if only an image has it",
        ),
    ],
)
def test_what_only_an_image_has_is_named(settings: dict[str, Any], missing: str) -> None:
    """Everything that is missing is named at once, with this Python and the command that helps."""
    assert describe_missing(DockerSettings(**settings), "3.12.1") == (
        "no image is built on this stack, so the job runs with this machine's Python 3.12.1 and "
        f"lacks {missing}. `zenml-vertex local-stack --runtime docker` builds the image."
    )


ZENML = zenml.__version__


@pytest.mark.parametrize(
    ("line", "unmet"),
    [
        ("zenml", []),
        ("  zenml[server] >= 0.90  # as here", []),
        (f"ZenML=={ZENML} --hash=sha256:00 \\", []),
        ("zenml<0.1", [f"`zenml<0.1` ({ZENML} is installed)"]),
        ("no-such-package-of-ours==1", ["`no-such-package-of-ours==1`"]),
        ("no-such-package-of-ours ; python_version < '3'", []),
        ("# no-such-package-of-ours", []),
        ("--extra-index-url https://user:t0ken@example.com/", []),
        ("-r other.txt", []),
        ("-e .", []),
        ("", []),
        (".", []),
        ("git+https://t0ken@example.com/team/no-such.git@main", ["`no-such`"]),
        ("git+ssh://git@example.com/x#egg=no-such", ["`no-such`"]),
        ("no-such @ git+https://t0ken@example.com/team/x", ["`no-such`"]),
        ("git+https://t0ken@example.com/zenml-io/zenml.git@0.98", []),
    ],
)
def test_requirements_are_compared_with_this_python(line: str, unmet: list[str]) -> None:
    """What is missing or too old is found, in every way of writing; an address is not shown."""
    assert find_unmet([line, line]) == unmet


def test_requirements_come_from_everywhere(source_root: Path) -> None:
    """Lists, files and integrations are read; what the stack itself needs is not.

    A file of the usual name is read where ZenML would read it, and a long list is cut.
    """
    needed = source_root / "requirements.txt"
    needed.write_text("no-such-a\nzenml\n", "utf-8")
    found = DockerSettings(disable_automatic_requirements_detection=False)
    named = DockerSettings(requirements=str(needed))
    assert describe_unmet(found, NO_STACK) == describe_unmet(named, NO_STACK)
    assert describe_unmet(DockerSettings(), NO_STACK) == ""
    assert describe_unmet(named, NO_STACK) == (
        "this Python lacks packages that the step's image would have: `no-such-a`. Install them in "
        "this environment, or have them in an image: `zenml-vertex local-stack --runtime docker` "
        "builds the image."
    )
    integration = describe_unmet(DockerSettings(required_integrations=["lightgbm"]), NO_STACK)
    assert "`lightgbm" in integration
    many = [f"no-such-{number}" for number in range(10)]
    assert "`no-such-7` and 2 more." in describe_unmet(DockerSettings(requirements=many), NO_STACK)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"replicate_local_python_environment": True},
        {"parent_image": "team/image", "skip_build": True, "requirements": ["no-such"]},
    ],
)
def test_nothing_is_asked_for_twice(settings: dict[str, Any]) -> None:
    """What this Python has itself, and what is ignored by ZenML too, is no warning."""
    assert describe_unmet(DockerSettings(**settings), NO_STACK) == ""
