"""The init hook: an installed zenml-vertex provides the flavor `vertex`, at no cost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zenml_vertex.installation import reinstall_command

BUILTIN = "zenml.integrations.gcp.flavors.vertex_step_operator_flavor"


def _run(program: str, folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ZENML_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={
            **kept,
            "ZENML_CONFIG_PATH": str(folder / "zenml"),
            "ZENML_ANALYTICS_OPT_IN": "false",
            **variables,
        },
        cwd=folder,
        capture_output=True,
        text=True,
    )


def _print_from_builtin(expression: str, folder: Path, **variables: str) -> str:
    program = f"import sys, zenml, {BUILTIN} as builtin; print({expression})"
    done = _run(program, folder, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.smoke
def test_an_installed_package_is_the_flavor(tmp_path: Path) -> None:
    """The path that databases record and old pipelines import leads to this package."""
    names = ("VertexStepOperatorSettings", "VertexStepOperatorConfig", "VertexStepOperatorFlavor")
    expression = ", ".join(f"builtin.{name}.__module__" for name in names)
    assert _print_from_builtin(expression, tmp_path) == (
        "zenml_vertex.config zenml_vertex.config zenml_vertex.flavor"
    )


def test_every_lookup_of_the_builtin_class_gives_this_one(tmp_path: Path) -> None:
    """ZenML's list of integration flavors and its loader by source return this flavor."""
    (tmp_path / ".zen").mkdir()
    program = f"""
from zenml.integrations.gcp import GcpIntegration
from zenml.utils import source_utils
import zenml_vertex
assert zenml_vertex.VertexStepOperatorFlavor in GcpIntegration.flavors()
loaded = source_utils.load("{BUILTIN}.VertexStepOperatorFlavor")
assert loaded is zenml_vertex.VertexStepOperatorFlavor
assert loaded().to_model().source == "zenml_vertex.flavor.VertexStepOperatorFlavor"
"""
    done = _run(program, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_database_made_in_a_notebook_has_the_flavor(tmp_path: Path) -> None:
    """A process without a main file registers this flavor in a new database, too."""
    program = """
from zenml.client import Client
from zenml.enums import StackComponentType
flavor = Client().get_flavor_by_name_and_type("vertex", StackComponentType.STEP_OPERATOR)
print("source:", flavor.source)
"""
    done = _run(program, tmp_path)
    assert "source: zenml_vertex.flavor.VertexStepOperatorFlavor" in done.stdout, done.stderr


@pytest.mark.parametrize("value", ["1", "true", "ON"])
def test_the_hook_can_be_disabled(tmp_path: Path, value: str) -> None:
    """With ZENML_VERTEX_DISABLE=1, ZenML works as if this package were not installed."""
    shown = _print_from_builtin(
        "builtin.VertexStepOperatorFlavor.__module__", tmp_path, ZENML_VERTEX_DISABLE=value
    )
    assert shown == BUILTIN


def test_the_disable_variable_can_be_zero(tmp_path: Path) -> None:
    """ZENML_VERTEX_DISABLE=0 disables nothing."""
    shown = _print_from_builtin(
        "builtin.VertexStepOperatorFlavor.__module__", tmp_path, ZENML_VERTEX_DISABLE="0"
    )
    assert shown == "zenml_vertex.flavor"


def test_the_module_is_otherwise_zenmls_own(tmp_path: Path) -> None:
    """ZenML's module keeps its loader, source and other names, for debuggers and `inspect`."""
    program = f"""
import inspect, {BUILTIN} as builtin
assert "SourceFileLoader" in repr(builtin.__spec__.loader), builtin.__spec__
assert builtin.__loader__ is builtin.__spec__.loader
assert "class VertexStepOperatorSettings" in inspect.getsource(builtin)
assert builtin.GCP_VERTEX_STEP_OPERATOR_FLAVOR == "vertex"
"""
    done = _run(program, tmp_path)
    assert done.returncode == 0, done.stderr


def test_import_zenml_does_not_load_the_package(tmp_path: Path) -> None:
    """`import zenml` loads the hook and no other module of this package."""
    program = (
        "import sys, zenml; print(sorted(name for name in sys.modules if 'zenml_vertex' in name))"
    )
    done = _run(program, tmp_path)
    assert done.stdout.strip() == (
        "['zenml_vertex', 'zenml_vertex.ownership', 'zenml_vertex.ownership.hook']"
    )


def test_the_hook_needs_the_standard_library_only(tmp_path: Path) -> None:
    """The hook loads no module that `import zenml` has not loaded itself."""
    program = """
import importlib.metadata, logging, sys
before = set(sys.modules)
from zenml_vertex.ownership.hook import install
install()
new = set(sys.modules) - before
assert not [name for name in new if not name.startswith("zenml_vertex")], new
"""
    done = _run(program, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_package_that_cannot_be_loaded_breaks_nothing(tmp_path: Path) -> None:
    """ZenML continues with its own flavor, and one warning gives the reason and the cure."""
    program = f"""
import sys
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name == "zenml_vertex.config":
            raise ImportError("it is broken")
import zenml
sys.meta_path.insert(0, Wall())
import {BUILTIN} as builtin
print(builtin.VertexStepOperatorFlavor.__module__)
"""
    done = _run(program, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == BUILTIN
    assert "zenml-vertex cannot be loaded (ImportError: it is broken)" in done.stdout + done.stderr
    assert reinstall_command() in done.stdout + done.stderr


def test_the_hook_is_installed_once(tmp_path: Path) -> None:
    """A process that imports ZenML again has one finder, not two."""
    program = """
import sys, zenml
from zenml_vertex.ownership.hook import install
before = len(sys.meta_path)
install()
assert len(sys.meta_path) == before
"""
    done = _run(program, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("first", ["zenml_vertex.config", "zenml_vertex.flavor", BUILTIN])
def test_the_order_of_imports_does_not_matter(tmp_path: Path, first: str) -> None:
    """Whichever module is imported first, there is one settings class."""
    program = f"""
import {first}
import {BUILTIN} as builtin
from zenml_vertex import VertexStepOperatorSettings
assert builtin.VertexStepOperatorSettings is VertexStepOperatorSettings
"""
    done = _run(program, tmp_path)
    assert done.returncode == 0, done.stderr
