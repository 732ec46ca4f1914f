"""The bytecode of an image that ZenML builds, as `make bench` imitates it."""

import sysconfig
from pathlib import Path

from benchmarks.bytecode import find_required, leave_stack_packages


def test_bytecode_of_the_base_image_is_left_out(tmp_path: Path) -> None:
    """The stack's packages keep theirs; ZenML, what it requires and Python's library have none."""
    folder = tmp_path / "bytecode"
    for module in ("gcsfs", "zenml", "pydantic"):
        file = _find(folder, "purelib") / module / "__init__.cpython-313.pyc"
        file.parent.mkdir(parents=True)
        file.touch()
    (_find(folder, "stdlib") / "json").mkdir(parents=True)
    leave_stack_packages(folder)
    assert [file.parent.name for file in folder.rglob("*.pyc")] == ["gcsfs"]
    assert not (_find(folder, "stdlib") / "json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["bytecode"]


def test_zenml_requires_its_own_requirements_and_no_extras() -> None:
    """What ZenML requires is followed to the end, and what a stack adds is no part of it."""
    required = find_required("ZenML")
    assert {"zenml", "pydantic", "pydantic-core"} <= required
    assert not {"gcsfs", "zenml-vertex", "scikit-learn"} & required


def _find(folder: Path, name: str) -> Path:
    return folder / Path(sysconfig.get_path(name)).relative_to("/")
