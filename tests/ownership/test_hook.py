"""The init hook: an installed zenml-vertex provides the flavor `vertex`, at no cost."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import zenml_vertex_init_hook
from zenml_vertex.installation import reinstall_command

BUILTIN = "zenml.integrations.gcp.flavors.vertex_step_operator_flavor"

# One process answers many questions: each would have to import ZenML first.
_QUESTIONS = f"""
import inspect, json, logging, sys
import zenml
answers = {{"loaded": sorted(name for name in sys.modules if "zenml_vertex" in name)}}

finders = len(sys.meta_path)
from zenml_vertex_init_hook import install
install()
answers["more finders"] = len(sys.meta_path) - finders

# A process without a main file, as a notebook is, creates the database.
from zenml.client import Client
from zenml.enums import StackComponentType
flavor = Client().get_flavor_by_name_and_type("vertex", StackComponentType.STEP_OPERATOR)
answers["record"] = {{
    **flavor.get_body().model_dump(mode="json"), **flavor.get_metadata().model_dump(mode="json")
}}

import {BUILTIN} as builtin, zenml_vertex
from zenml.integrations.gcp import GcpIntegration
from zenml.utils import source_utils
names = ("VertexStepOperatorSettings", "VertexStepOperatorConfig", "VertexStepOperatorFlavor")
answers["replaced"] = {{name: getattr(builtin, name).__module__ for name in names}}
ours = zenml_vertex.VertexStepOperatorFlavor
answers["listed"] = ours in GcpIntegration.flavors()
source_utils.set_custom_source_root(".")
answers["found by source"] = source_utils.load("{BUILTIN}.VertexStepOperatorFlavor") is ours
answers["custom record"] = ours().to_model("custom", is_custom=True).source
answers["same settings"] = (
    builtin.VertexStepOperatorSettings is zenml_vertex.VertexStepOperatorSettings
)
answers["loader"] = repr(builtin.__spec__.loader)
answers["one loader"] = builtin.__loader__ is builtin.__spec__.loader
answers["source text"] = inspect.getsource(builtin)
answers["other names"] = builtin.GCP_VERTEX_STEP_OPERATOR_FLAVOR

import contextlib, io, warnings
said = io.StringIO()
with contextlib.redirect_stderr(said):
    logging.captureWarnings(False)
    for text, module in (
        ("You are using a Python version (3.11) which Google", "google.api_core._x"),
        ("You are using a non-supported Python version (3.10)", "google.cloud.storage"),
        ("You are using a Python version (3.11) which Google", "mine"),
        ("Another warning", "google.api_core"),
    ):
        warnings.warn_explicit(text, FutureWarning, module, 1, module=module, registry={{}})
answers["warned"] = [line for line in said.getvalue().splitlines() if "FutureWarning" in line]

print("answers:", json.dumps(answers))
"""


def _run(program: str, folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ZENML_")}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={
            **kept,
            "ZENML_CONFIG_PATH": str(folder / "zenml"),
            "ZENML_ANALYTICS_OPT_IN": "false",
            "ZENML_LOGGING_COLORS_DISABLED": "true",
            **variables,
        },
        cwd=folder,
        capture_output=True,
        text=True,
    )


def _ask(folder: Path, **variables: str) -> dict[str, Any]:
    done = _run(_QUESTIONS, folder, **variables)
    assert done.returncode == 0, done.stderr
    (line,) = (text for text in done.stdout.splitlines() if text.startswith("answers: "))
    answers: dict[str, Any] = json.loads(line.removeprefix("answers: "))
    return answers


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a user's process says in an environment that has the package."""
    return _ask(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def disabled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What it says with ZENML_VERTEX_DISABLE=1."""
    return _ask(tmp_path_factory.mktemp("disabled"), ZENML_VERTEX_DISABLE="1")


@pytest.mark.smoke
def test_an_installed_package_is_the_flavor(answers: dict[str, Any]) -> None:
    """The path that databases record and old pipelines import leads to this package.

    So do ZenML's list of integration flavors and its loader by source.
    """
    assert answers["replaced"] == {
        "VertexStepOperatorSettings": "zenml_vertex.config",
        "VertexStepOperatorConfig": "zenml_vertex.config",
        "VertexStepOperatorFlavor": "zenml_vertex.flavor",
    }
    assert answers["listed"]
    assert answers["found by source"]


@pytest.mark.smoke
def test_a_new_database_has_zenmls_own_record(
    answers: dict[str, Any], disabled: dict[str, Any]
) -> None:
    """A database created with the package installed has the record that ZenML writes without it."""
    changing = {"created": None, "updated": None}
    assert answers["record"] | changing == disabled["record"] | changing
    assert answers["record"]["source"] == f"{BUILTIN}.VertexStepOperatorFlavor"
    assert answers["custom record"] == "zenml_vertex.flavor.VertexStepOperatorFlavor"


def test_the_hook_can_be_disabled(disabled: dict[str, Any]) -> None:
    """With ZENML_VERTEX_DISABLE=1, ZenML works as if this package were not installed."""
    assert set(disabled["replaced"].values()) == {BUILTIN}


@pytest.mark.parametrize(
    ("value", "is_disabled"),
    [("1", True), ("true", True), (" ON ", True), ("0", False), ("False", False), ("", False)],
)
def test_the_disable_variable_is_read_as_yes_or_no(
    value: str, is_disabled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ZENML_VERTEX_DISABLE=0 disables nothing; any other word than no, off and false does."""
    monkeypatch.setenv("ZENML_VERTEX_DISABLE", value)
    assert zenml_vertex_init_hook.is_disabled() is is_disabled


def test_the_module_is_otherwise_zenmls_own(answers: dict[str, Any]) -> None:
    """ZenML's module keeps its loader, source and other names, for debuggers and `inspect`."""
    assert "SourceFileLoader" in answers["loader"]
    assert answers["one loader"]
    assert "class VertexStepOperatorSettings" in answers["source text"]
    assert answers["other names"] == "vertex"


def test_import_zenml_does_not_load_the_package(answers: dict[str, Any]) -> None:
    """`import zenml` loads the hook and nothing of the package."""
    assert answers["loaded"] == ["zenml_vertex_init_hook"]


def test_the_hook_is_installed_once(answers: dict[str, Any]) -> None:
    """A process that imports ZenML again has one finder, not two."""
    assert answers["more finders"] == 0


def test_the_hook_needs_the_standard_library_only(tmp_path: Path) -> None:
    """The hook loads no module that `import zenml` has not loaded itself."""
    program = """
import importlib.metadata, logging, sys
before = set(sys.modules)
from zenml_vertex_init_hook import install
install()
assert set(sys.modules) - before == {"zenml_vertex_init_hook"}, set(sys.modules) - before
"""
    done = _run(program, tmp_path)
    assert done.returncode == 0, done.stderr


def _expect_builtin(folder: Path, reason: str, preparation: str = "", **variables: str) -> str:
    """Expect that ZenML continues with its own flavor, and that a warning gives the reason."""
    program = f"""
import sys
{preparation}
import zenml
import {BUILTIN} as builtin
print(builtin.VertexStepOperatorFlavor.__module__)
"""
    done = _run(program, folder, **variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == BUILTIN
    output = done.stdout + done.stderr
    assert ("zenml-vertex cannot be loaded" in output) == bool(reason), output
    assert reason in output
    return output


def test_a_package_that_cannot_be_loaded_breaks_nothing(tmp_path: Path) -> None:
    """ZenML continues with its own flavor, and one warning gives the reason and the cure."""
    wall = """
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name == "zenml_vertex.config":
            raise ImportError("it is broken")
sys.meta_path.insert(0, Wall())
"""
    output = _expect_builtin(tmp_path, "(ImportError: it is broken)", wall)
    assert reinstall_command() in output


@pytest.mark.parametrize("is_disabled", [False, True])
def test_a_folder_of_the_same_name_breaks_nothing(tmp_path: Path, is_disabled: bool) -> None:
    """A user's own `zenml_vertex` in the working directory is not run, and a warning names it."""
    (tmp_path / "zenml_vertex").mkdir()
    (tmp_path / "zenml_vertex" / "__init__.py").write_text("raise SystemExit('mine')\n", "utf-8")
    if is_disabled:
        _expect_builtin(tmp_path, "", ZENML_VERTEX_DISABLE="1")
    else:
        file = f"{tmp_path}/zenml_vertex/__init__.py"
        output = _expect_builtin(tmp_path, f"(ImportError: {file} is what Python finds")
        assert f"Give {file} another name" in output


def test_a_half_removed_package_breaks_nothing(tmp_path: Path) -> None:
    """Where the package's folder is gone and its metadata is left, a warning says so."""
    removed = "sys.modules['zenml_vertex'] = None"
    output = _expect_builtin(tmp_path, "(ModuleNotFoundError: ", removed)
    assert "Installing it again repairs it" in output


@pytest.mark.parametrize("first", ["zenml_vertex.config", "zenml_vertex.flavor"])
def test_the_order_of_imports_does_not_matter(
    tmp_path: Path, first: str, answers: dict[str, Any]
) -> None:
    """Whichever module is imported first, there is one settings class."""
    assert answers["same settings"]
    program = f"""
import {first}
import {BUILTIN} as builtin
from zenml_vertex import VertexStepOperatorSettings
assert builtin.VertexStepOperatorSettings is VertexStepOperatorSettings
"""
    done = _run(program, tmp_path)
    assert done.returncode == 0, done.stderr


def test_googles_warnings_of_a_python_version_are_hidden(answers: dict[str, Any]) -> None:
    """Whoever runs a pipeline is not told of Google's plans for a Python; other warnings stay."""
    assert answers["warned"] == [
        "mine:1: FutureWarning: You are using a Python version (3.11) which Google",
        "google.api_core:1: FutureWarning: Another warning",
    ]
