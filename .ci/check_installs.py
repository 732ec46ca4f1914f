"""Installs the package in every way, with every Python, and checks each environment.

`check_installs.py WHEEL VERSION...`; a Python that is not on this machine is reported, and
is an error where CI is set.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
# ZenML with a database of its own, which its command line needs without a server.
LOCAL = "zenml[local]"
UV = str(Path(sys.executable).with_name("uv"))


def run(*command: str | Path, **variables: str) -> str:
    """What a program prints, on either stream; its end with an error is one here."""
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def with_uv(python: str, folder: Path, *packages: str) -> Path:
    """An environment that uv makes, without pip."""
    run(UV, "venv", "--python", python, folder)
    run(UV, "pip", "install", "--python", folder, "--constraints", "constraints.txt", *packages)
    return folder


def with_pip(python: str, folder: Path, *packages: str) -> Path:
    """An environment with pip alone."""
    run(python, "-m", "venv", folder)
    # With a hash of one thing, pip wants one of each, and a folder has none.
    pins = re.sub(r" \\\n    --hash=\S+", "", (ROOT / "constraints.txt").read_text("utf-8"))
    versions = folder / "constraints.txt"
    versions.write_text(pins, "utf-8")
    run(folder / "bin/pip", "install", "--constraint", versions, *packages)
    return folder


def as_tool(python: str, folder: Path, package: str) -> Path:
    """An environment of `uv tool`."""
    places = {"UV_TOOL_DIR": f"{folder}", "UV_TOOL_BIN_DIR": f"{folder}/bin"}
    run(UV, "tool", "install", "--python", python, package, **places)
    return folder / "zenml-vertex"


def with_pipx(python: str, folder: Path, package: str) -> Path:
    """An environment of pipx."""
    places = {"PIPX_HOME": f"{folder}", "PIPX_BIN_DIR": f"{folder}/bin"}
    run(UV, "tool", "run", "pipx", "install", "--python", python, package, **places)
    return folder / "venvs/zenml-vertex"


def show_flavor(environment: Path, folder: Path) -> None:
    """Let ZenML list its flavors, from a database of its own."""
    listed = run(
        environment / "bin/zenml", "step-operator", "flavor", "list",
        ZENML_CONFIG_PATH=f"{folder}/zenml", ZENML_ANALYTICS_OPT_IN="false", COLUMNS="200",
    )  # fmt: skip
    assert "VertexStepOperatorFlavor" in listed, f"the flavor is not among:\n{listed}"


def main(wheel: str, versions: list[str]) -> int:
    """Check all of them; how many Pythons are missing where none may be."""
    ways: list[tuple[str, Callable[..., Path], list[str]]] = [
        ("the wheel, uv", with_uv, [wheel, LOCAL]),
        ("the clone, pip", with_pip, ["."]),
        ("the clone with `client`, uv", with_uv, [".[client]"]),
        ("the wheel, uv tool", as_tool, [wheel]),
        ("the wheel, pipx", with_pipx, [wheel]),
    ]
    missing = 0
    for version in versions:
        found = subprocess.run(
            [ROOT / ".ci/find-python", version], capture_output=True, text=True, check=False
        )
        if found.returncode:
            sys.stdout.write(f"Python {version}: MISSING on this machine\n")
            missing += 1
            continue
        python = found.stdout.strip()
        for name, install, packages in ways:
            start = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="zenml-vertex-install-") as folder:
                environment = install(python, Path(folder) / "environment", *packages)
                run(environment / "bin/python", "-I", ROOT / ".ci/check_installed.py")
                if LOCAL in packages:
                    show_flavor(environment, Path(folder))
            seconds = time.monotonic() - start
            sys.stdout.write(f"Python {version}, {name}: works ({seconds:.0f} s)\n")
            sys.stdout.flush()
    return missing if os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main(str(Path(sys.argv[1]).resolve()), sys.argv[2:]))
