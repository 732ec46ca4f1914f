"""This package as it is installed here: what an image needs in order to have it too.

Installed from an index, the name and the version are enough. Installed from
anywhere else (a checkout, editable or not, a wheel, a Git URL), its version is on no
index that an image could ask, so its files travel with the build: ZenML copies them
into the working folder, which Python searches first.

https://packaging.python.org/en/latest/specifications/direct-url/ says how an
installer marks the difference.
"""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

NAME = "zenml-vertex"
_PACKAGE = Path(__file__).parents[1]
# Of the metadata, what is read at run time: the version, and the hook that ZenML calls.
_METADATA_FILES = ("METADATA", "entry_points.txt")


@dataclass(frozen=True, slots=True)
class ImageParts:
    """What makes this package importable in an image.

    Args:
        requirements: What pip installs there.
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
        # A copy without metadata, as in an archive of code: nobody can name its version.
        return ImageParts(frozenset(), read_files(_PACKAGE))


def choose_image_parts(installed: Distribution, package: Path) -> ImageParts:
    """The same for any distribution of this package.

    Args:
        installed: Its metadata.
        package: Folder of its code.
    """
    if installed.read_text("direct_url.json") is None:
        return ImageParts(frozenset({f"{NAME}=={installed.version}"}), {})
    folder = f"{NAME.replace('-', '_')}-{installed.version}.dist-info"
    metadata = {
        f"{folder}/{name}": text
        for name in _METADATA_FILES
        if (text := installed.read_text(name)) is not None
    }
    return ImageParts(frozenset(find_dependencies(installed)), {**read_files(package), **metadata})


def find_dependencies(installed: Distribution) -> set[str]:
    """What a distribution requires by itself, without its extras."""
    parsed = map(Requirement, installed.requires or ())
    return {
        f"{item.name}{item.specifier}"
        for item in parsed
        if item.marker is None or item.marker.evaluate({"extra": ""})
    }


def read_files(package: Path) -> dict[str, str]:
    """The files of a package, by their path beside it.

    Args:
        package: Its folder.
    """
    return {
        file.relative_to(package.parent).as_posix(): file.read_text("utf-8")
        for file in sorted(package.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }
