"""Images without an engine: folders with what a process can take from an image.

A folder of images has one for each digest, `sha256-` and its 64 digits. In it are

- `config.json`: `{"config": {"Env": ["NAME=value"]}}`, as in the configuration of an image
  (https://github.com/opencontainers/image-spec/blob/main/config.md); the rest is not read;
- `app`: what the image has in `/app`.
"""

import json
import os
import re
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_DIGEST = re.compile(r"@sha256:([0-9a-f]{64})")
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class UnpackedImage:
    """What a process can take from an image."""

    # Its variables; kept out of reprs, since they can hold tokens.
    environment: Mapping[str, str] = field(repr=False)
    # What it has in `/app`.
    app: Path

    def copy_app(self, folder: Path) -> None:
        """Copy its `/app` for a container.

        Args:
            folder: To be made.

        Raises:
            OSError: If that fails.
        """
        shutil.copytree(self.app, folder, symlinks=True)
        folder.chmod(0o700)


def find_image(images: Path | None, image_uri: str) -> UnpackedImage | None:
    """The unpacked image that has the digest in a URI; None if the folder does not have it.

    Args:
        images: The folder of images.
        image_uri: URI of the image.

    Raises:
        OSError: If it cannot be read.
        ValueError: If its configuration is not that of an image.
    """
    digest = _DIGEST.search(image_uri)
    if images is None or digest is None:
        return None
    image = images / f"sha256-{digest[1]}"
    try:
        status = image.lstat()
    except FileNotFoundError:
        return None
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_WRITE:
        raise PermissionError(f"another user could have written {image}, whose files would be run")
    config = json.loads((image / "config.json").read_text("utf-8"))
    try:
        variables = [variable.partition("=") for variable in config["config"].get("Env") or ()]
    except (AttributeError, KeyError, TypeError):
        raise ValueError(f"{image / 'config.json'} is not the configuration of an image") from None
    return UnpackedImage({name: value for name, _, value in variables}, image / "app")
