"""Gets images from registries, by digest, and says why one cannot be had."""

import re
from typing import Any

import docker
import docker.errors

from vertex_emulator.runtimes.contract import ImageError

# What registries and the engine say where credentials are missing or do not suffice.
_REFUSED = re.compile(
    r"\b(?:denied|unauthorized|forbidden|no basic auth credentials|authentication required)\b",
    re.IGNORECASE,
)
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def pull_image(api: docker.APIClient, image_uri: str, architecture: str) -> str:
    """Pull an image as a machine without any images would.

    The tag is resolved at the registry; what the engine has under this name is not
    looked at.

    Args:
        api: Client of the container engine.
        image_uri: URI of the image, with a tag, a digest or neither.
        architecture: Of the machine that is to run it: `amd64` or `arm64`.

    Returns:
        The image by its digest.

    Raises:
        ImageError: If it cannot be had, or is for other machines.
    """
    try:
        found = api.inspect_distribution(image_uri)
        check_platforms(image_uri, found.get("Platforms") or [], architecture)
        pinned = pin(image_uri, found["Descriptor"]["digest"])
        platform = f"linux/{architecture}"
        for line in api.pull(pinned, stream=True, decode=True, platform=platform):
            if "error" in line:
                raise explain_pull(image_uri, str(line["error"]))
    except docker.errors.APIError as error:
        raise explain_pull(image_uri, str(error.explanation or error)) from error
    return pinned


def pin(image_uri: str, digest: str) -> str:
    """The image by its digest, whatever it had before: a tag, a digest, nothing.

    Args:
        image_uri: URI of the image.
        digest: `sha256:...`.
    """
    name = _DIGEST.sub("", image_uri)
    repository, colon, tag = name.rpartition(":")
    # A colon before a slash belongs to the registry's port.
    return f"{repository if colon and '/' not in tag else name}@{digest}"


def check_platforms(image_uri: str, platforms: list[dict[str, Any]], architecture: str) -> None:
    """Refuse an image that has nothing for a machine.

    Args:
        image_uri: URI of the image.
        platforms: What the registry has it for; an empty list says nothing.
        architecture: Of the machine.

    Raises:
        ImageError: If none of them is Linux on this architecture.
    """
    names = [f"{item.get('os')}/{item.get('architecture')}" for item in platforms]
    # An attestation stands beside the images of a list as `unknown/unknown`.
    names = [name for name in names if "unknown" not in name and "/None" not in name]
    wanted = f"linux/{architecture}"
    if names and wanted not in names:
        raise ImageError(
            f"The image {image_uri} is for {', '.join(names)}; the machine is {wanted}. There, it "
            "would end with `exec format error`."
        )


def explain_pull(image_uri: str, text: str) -> ImageError:
    """What a registry or the engine says of an image that it does not give."""
    return ImageError(
        f"The image {image_uri} cannot be pulled: {text}", is_refused=bool(_REFUSED.search(text))
    )
