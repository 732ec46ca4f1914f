"""Which bytecode an image has that ZenML builds, imitated on this machine.

ZenML's base image, `zenmldocker/zenml`, has the bytecode neither of Python's own library nor
of ZenML and what it requires. The image of a step adds the packages of the stack, compiled or
not; the files of this operator and the step's code are never compiled.
"""

import re
import shutil
import sysconfig
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement

CACHE_VARIABLE = "BENCH_BYTECODE"
"""Read by `pipelines/timed.py`: the folder of all bytecode that the step's container finds."""
WRITES_VARIABLE = "BENCH_WRITES_BYTECODE"
"""The same, where the container adds to it what it imports."""


def leave_stack_packages(folder: Path) -> None:
    """Remove the bytecode that an image lacks: all but that of the stack's packages.

    Args:
        folder: What a container wrote by `PYTHONPYCACHEPREFIX`: a tree of absolute paths.
    """
    site = folder / Path(sysconfig.get_path("purelib")).relative_to("/")
    kept = folder.with_name(f"{folder.name}-kept")
    kept.mkdir()
    base = find_required("zenml")
    for module, owners in packages_distributions().items():
        if base.isdisjoint(map(_normalize, owners)) and (site / module).is_dir():
            (site / module).rename(kept / module)
    shutil.rmtree(folder)
    site.parent.mkdir(parents=True)
    kept.rename(site)


def find_required(name: str) -> set[str]:
    """The names of a distribution and of all that it requires without extras, normalized."""
    found: set[str] = set()
    wanted = [name]
    while wanted:
        name = _normalize(wanted.pop())
        if name in found:
            continue
        try:
            requires = distribution(name).requires or ()
        except PackageNotFoundError:
            continue
        found.add(name)
        parsed = map(Requirement, requires)
        wanted += [
            each.name
            for each in parsed
            if each.marker is None or each.marker.evaluate({"extra": ""})
        ]
    return found


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
