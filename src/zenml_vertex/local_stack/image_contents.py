"""What a job takes from an image that is not built, left in a folder for the emulator.

The format of the folder is the emulator's: see `vertex_emulator.runtimes.unpacked_images`.
"""

import json
import secrets
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_INSTRUCTION = "ENV "
# Of SHA-256.
_DIGEST_BYTES = 32


def read_environment(dockerfile: str) -> dict[str, str]:
    """The variables that a Dockerfile of ZenML sets, the last value of each.

    ZenML writes each on a line of its own, `ENV NAME='value'`, the value as it is; Docker reads
    single quotes as a POSIX shell does
    (https://docs.docker.com/reference/dockerfile/#environment-replacement).

    Args:
        dockerfile: Its text.

    Raises:
        ValueError: If Docker could not read one; it has its name.
    """
    found: dict[str, str] = {}
    # Not `splitlines`: only this character ends a line for Docker.
    for line in dockerfile.split("\n"):
        if not line.startswith(_INSTRUCTION):
            continue
        try:
            words = shlex.split(line.removeprefix(_INSTRUCTION))
        except ValueError:
            words = [""]
        if not all("=" in word for word in words):
            name = line.removeprefix(_INSTRUCTION).partition("=")[0]
            raise ValueError(
                f"No image could be built with the variable {name} of DockerSettings: ZenML writes "
                "its value into a Dockerfile between single quotes, so it can have no single quote "
                "and no line break. `@step(environment={...})` takes any value."
            )
        found.update((word.partition("=")[0], word.partition("=")[2]) for word in words)
    return found


def leave_contents(images: Path, environment: Mapping[str, str], files: Mapping[str, str]) -> str:
    """Leave what an image would have, and return its digest: 64 digits that no other one has.

    Args:
        images: The folder that the emulator reads.
        environment: Variables of the image.
        files: Path in its `/app` -> path on this machine, of files, folders and links.

    Raises:
        OSError: If that fails.
    """
    draft = Path(tempfile.mkdtemp(prefix="draft-", dir=images))
    try:
        config = {"config": {"Env": [f"{name}={value}" for name, value in environment.items()]}}
        (draft / "config.json").write_text(json.dumps(config), "utf-8")
        app = draft / "app"
        app.mkdir()
        for name, source in files.items():
            _copy(Path(source), app / name)
        digest = secrets.token_hex(_DIGEST_BYTES)
        draft.rename(images / f"sha256-{digest}")
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(draft)
        raise
    return digest


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir() and not source.is_symlink():
        target.mkdir(exist_ok=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)
