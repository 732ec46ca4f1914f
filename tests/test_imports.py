"""What an import loads: nothing of Google, and the emulator through its public package only."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_PROGRAM = """
import sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        root, _, rest = name.partition(".")
        if root == "grpc" or name.startswith(("google.cloud.", "google.api_core", "google.auth")):
            raise AssertionError(f"{{name}} was imported")
        return None

sys.meta_path.insert(0, Wall())
import {module}
{then}
"""


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("module", "then"),
    [
        ("zenml_vertex", ""),
        ("zenml_vertex.config", "zenml_vertex.VertexStepOperatorSettings()"),
        ("zenml_vertex.flavor", "zenml_vertex.VertexStepOperatorFlavor().config_schema"),
        ("zenml_vertex.flavor", "zenml_vertex.VertexStepOperatorFlavor().implementation_class"),
        ("zenml_vertex.steps.operator", ""),
        ("zenml_vertex.cli", ""),
    ],
)
def test_no_module_of_google_is_imported(module: str, then: str) -> None:
    """Modules that step containers load import nothing of Google: it costs seconds and 200 MB."""
    program = _PROGRAM.format(module=module, then=then)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_import_block_works() -> None:
    """An import of Google is noticed by the check above."""
    program = _PROGRAM.format(module="zenml_vertex.cloud.jobs", then="")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode != 0
    assert "was imported" in done.stderr


def test_the_package_itself_does_not_import_zenml() -> None:
    """The package does not import ZenML, because it is loaded while ZenML is being imported."""
    program = "import sys, zenml_vertex; assert 'zenml' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


_ROOT = Path(__file__).parents[1]
_DOORS = {
    "vertex_emulator",
    "vertex_emulator.faults",
    "vertex_emulator.pytest_plugin",
    "vertex_emulator.testing",
}
# The emulator's own tests, and the programs that print files from its tables.
_INSIDERS = (
    "src/vertex_emulator/",
    "tests/emulator/",
    "tests/containers/",
    "tests/job/test_valid_requests.py",
    "tests/support/containers/",
    "tests/support/generate_methods.py",
    "tests/support/generate_schema.py",
    "tests/support/recordings/",
    "tests/support/toys.py",
    "docs/reference/generate_emulator_coverage.py",
)


def _iter_imports(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in names if _is_module(name))


def _is_module(name: str) -> bool:
    path = _ROOT / "src" / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def _find_side_doors(code: str) -> set[str]:
    """Return the modules of the emulator that are imported past its public package."""
    return {
        module
        for module in _iter_imports(code)
        if module.split(".")[0] == "vertex_emulator" and module not in _DOORS
    }


def test_the_emulator_is_imported_through_its_public_package() -> None:
    """Users of the emulator import its public modules, and no other module of it."""
    files = [
        file
        for folder in ("src", "tests", "campaign", "benchmarks", "examples", "docs")
        for file in (_ROOT / folder).rglob("*.py")
        if not file.relative_to(_ROOT).as_posix().startswith(_INSIDERS)
    ]
    assert len(files) > 100
    within = {
        (file.relative_to(_ROOT).as_posix(), module)
        for file in files
        for module in _find_side_doors(file.read_text("utf-8"))
    }
    assert within == set()


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import vertex_emulator", set()),
        ("from vertex_emulator import VertexEmulator, faults", set()),
        ("from vertex_emulator.faults import Unavailable", set()),
        ("import vertex_emulator.server", {"vertex_emulator.server"}),
        (
            "from vertex_emulator import server, jobs",
            {"vertex_emulator.server", "vertex_emulator.jobs"},
        ),
        ("from vertex_emulator.faults import plan", {"vertex_emulator.faults.plan"}),
    ],
)
def test_an_import_past_the_public_package_is_noticed(code: str, found: set[str]) -> None:
    """A module of the emulator is noticed however it is imported, also as a name of a package."""
    assert _find_side_doors(code) == found


def test_every_public_name_of_the_emulator_can_be_imported() -> None:
    """Each public name can be imported; those for Docker need its package only when used."""
    program = (
        "import sys, vertex_emulator\n"
        "assert 'docker' not in sys.modules\n"
        "for name in vertex_emulator.__all__: getattr(vertex_emulator, name)\n"
        "assert not hasattr(vertex_emulator, 'anything_else')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
