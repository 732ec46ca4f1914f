"""This package as it is installed here: what an image needs in order to have it too.

Its files travel with the build: ZenML copies them into the working folder, which Python
searches first. An image never asks an index for this package, however it was installed
here: whose index an image asks is not known here, and where this package is not on it,
anybody can put another one of this name there. `--find-links`, a private index and PyPI
leave the same metadata, so that these could not tell which.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from zenml_vertex.installation import NAME

_PACKAGE = Path(__file__).parents[1]
# What a step's container can import, as patterns below the package: ZenML calls the
# hook, loads the flavor, its config and the operator, and runs the entrypoint. The
# command line, the local stack, the server's record and everything that needs
# Google's client stay where pipelines are started from.
_IN_CONTAINERS = (
    "*.py",
    "cloud/__init__.py",
    "cloud/endpoint.py",
    "cloud/key_file.py",
    "container/*.py",
    "data/__init__.py",
    "data/custom_job.json",
    "data/machine_accelerators.yaml",
    "following/*.py",
    "job/**/*.py",
    "steps/*.py",
)
# Beside the package.
_HOOK = "zenml_vertex_init_hook.py"
# Of the metadata: what is read at run time (the version, and the hook that ZenML calls), and
# what the licence wants to go with a copy.
_METADATA_FILES = ("METADATA", "entry_points.txt", "licenses/LICENSE", "licenses/NOTICE")

# A section of `entry_points.txt`.
_PYTEST_PLUGINS = re.compile(r"^\[pytest11\]\n(?:(?!\[).*\n?)*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ImageParts:
    """What makes this package importable in an image.

    Args:
        requirements: What pip installs there: the dependencies, never this package.
        files: Path in the image's working folder -> content.
    """

    requirements: frozenset[str]
    files: dict[str, str]


@cache
def find_image_parts() -> ImageParts:
    """What an image needs in order to have this package, as it is installed here.

    Looked up once: ZenML asks several times for each pipeline.
    """
    try:
        return choose_image_parts(distribution(NAME), _PACKAGE)
    except PackageNotFoundError:
        # A copy without metadata, as in an archive of code, does not say what it requires.
        return ImageParts(frozenset(), read_files(_PACKAGE))


def choose_image_parts(installed: Distribution, package: Path) -> ImageParts:
    """The same for any distribution of this package.

    Args:
        installed: Its metadata.
        package: Folder of its code.
    """
    folder = f"{NAME.replace('-', '_')}-{installed.version}.dist-info"
    metadata = {
        f"{folder}/{name}": drop_pytest_plugins(text)
        for name in _METADATA_FILES
        if (text := installed.read_text(name)) is not None
    }
    return ImageParts(frozenset(find_dependencies(installed)), {**read_files(package), **metadata})


def drop_pytest_plugins(metadata: str) -> str:
    """A file of metadata without the entry points for pytest, which are not in images.

    pytest loads all that are named, and would end where one cannot be imported.
    """
    return _PYTEST_PLUGINS.sub("", metadata)


def find_dependencies(installed: Distribution) -> set[str]:
    """What a distribution requires by itself, without its extras."""
    parsed = map(Requirement, installed.requires or ())
    return {
        f"{item.name}{item.specifier}"
        for item in parsed
        if item.marker is None or item.marker.evaluate({"extra": ""})
    }


def read_files(package: Path) -> dict[str, str]:
    """The files that a container can use, by their path beside the package.

    What editors and operating systems leave in a checkout stays there: files whose names no
    import can have, such as `._records.py`, or that are not UTF-8, as all of this package is.

    Args:
        package: Folder of this package.
    """
    files = {file for pattern in _IN_CONTAINERS for file in package.glob(pattern)}
    files.add(package.with_name(_HOOK))
    found: dict[str, str] = {}
    for file in sorted(files):
        if file.is_file() and file.stem.isidentifier():
            with suppress(UnicodeDecodeError):
                found[file.relative_to(package.parent).as_posix()] = file.read_text("utf-8")
    return found
