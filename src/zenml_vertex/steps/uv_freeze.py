"""The packages of this machine as uv lists them, without this package.

    python -m zenml_vertex.steps.uv_freeze

`uv pip freeze --exclude` does that too, from uv 0.9.27 on.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from urllib.parse import unquote

from zenml_vertex.installation import NAME

_OWN = re.compile(rf"{NAME.replace('-', '[-_.]')}(?![\w.-])", re.IGNORECASE)
_EDITABLE = "-e "


def leave_out_own(lines: Iterable[str], source: str | None) -> Iterator[str]:
    """The lines of a list of packages that are not of this one.

    Args:
        lines: The list, as uv and pip write it.
        source: URL of this package's folder, by which the list has an editable installation;
            None if there is none.
    """
    for line in lines:
        is_editable = line.startswith(_EDITABLE)
        if is_editable and source and _plain(line.removeprefix(_EDITABLE)) == _plain(source):
            continue
        if is_editable or not _OWN.match(line):
            yield line


def read_source() -> str | None:
    """URL of the folder that this package was installed from; None if that is not known."""
    try:
        written = distribution(NAME).read_text("direct_url.json")
        return str(json.loads(written or "{}").get("url") or "") or None
    except (PackageNotFoundError, ValueError, AttributeError):
        return None


def main() -> None:
    """Print the list; ends with uv's own status if uv fails."""
    try:
        listed = subprocess.run(
            ["uv", "pip", "freeze"], check=False, stdout=subprocess.PIPE, encoding="utf-8"
        )
    except OSError as error:
        sys.exit(
            f"zenml-vertex: could not run `uv pip freeze` ({type(error).__name__}). Install uv, or "
            "set `replicate_local_python_environment` of DockerSettings to `pip_freeze`."
        )
    if listed.returncode:
        sys.exit(listed.returncode)
    sys.stdout.writelines(
        f"{line}\n" for line in leave_out_own(listed.stdout.splitlines(), read_source())
    )


def _plain(url: str) -> str:
    return unquote(url.strip()).rstrip("/")


if __name__ == "__main__":
    main()
