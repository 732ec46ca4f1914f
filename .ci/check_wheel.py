"""Checks what is in a wheel: both packages, their data and types, and nothing of the tests."""

import sys
import zipfile
from email.parser import Parser

PACKAGES = {"zenml_vertex", "vertex_emulator"}
HOOK = "zenml_vertex_init_hook"
NEEDED = [f"{package}/py.typed" for package in PACKAGES] + [
    f"{package}/data/machine_accelerators.yaml" for package in PACKAGES
]
NEEDED.append("zenml_vertex/data/custom_job.json")
# What a user without Docker's engine and Debian's tools has no use for, and what needs pytest:
# the plugins for it alone.
TEST_INFRASTRUCTURE = ("mmdebstrap", "docker-registry", "import pytest")
MOST_BYTES = 650_000


def find_problems(path: str) -> list[str]:
    """What is wrong with a wheel; nothing, if it is as it should be."""
    with zipfile.ZipFile(path) as wheel:
        files = {name: wheel.read(name) for name in wheel.namelist()}
        packed = sum(item.compress_size for item in wheel.infolist())
    (info,) = {name.split("/")[0] for name in files if name.endswith(".dist-info/METADATA")}
    metadata = Parser().parsestr(files[f"{info}/METADATA"].decode())
    version = path.rsplit("/", 1)[-1].split("-")[1]
    problems = [f"{name} is missing" for name in NEEDED if name not in files]
    problems += [
        f"{name} does not belong in it"
        for name in files
        if name.split("/")[0] not in {*PACKAGES, f"{HOOK}.py", info} or "__pycache__" in name
    ]
    problems += [
        f"{name} is part of the tests: it contains {word!r}"
        for name, content in files.items()
        if name.endswith(".py") and not name.endswith("/pytest_plugin.py")
        for word in TEST_INFRASTRUCTURE
        if word.encode() in content
    ]
    if metadata["Version"] != version:
        problems.append(f"its metadata say {metadata['Version']}, its name {version}")
    if f'__version__ = "{version}"'.encode() not in files.get("zenml_vertex/__init__.py", b""):
        problems.append(f"zenml_vertex.__version__ is not {version}")
    entry_points = files.get(f"{info}/entry_points.txt", b"")
    if f"{HOOK}.py" not in files or f"{HOOK}:install".encode() not in entry_points:
        problems.append("it has no init hook for ZenML")
    if not any(name.startswith(f"{info}/licenses/") for name in files):
        problems.append("it has no licence")
    if packed > MOST_BYTES:
        problems.append(f"it has {packed:,} bytes, more than {MOST_BYTES:,}")
    return problems


if __name__ == "__main__":
    (wheel_path,) = sys.argv[1:]
    found = find_problems(wheel_path)
    for problem in found:
        sys.stderr.write(f"{wheel_path}: {problem}\n")
    sys.exit(1 if found else 0)
