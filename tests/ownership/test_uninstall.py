"""Uninstalled, the package leaves ZenML as it was, whoever created the database and when.

pip installs and uninstalls it in an environment that borrows every other package from
the tests' own.
"""

import json
import os
import shlex
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from zipfile import ZipFile

import pytest

import zenml_vertex
from tests.support.pages import DOCS, read_blocks

OURS = "zenml_vertex.steps.operator"
BUILTIN = "zenml.integrations.gcp.step_operators.vertex_step_operator"
PAGE = DOCS / "how-to" / "uninstall.md"
TROUBLESHOOTING = DOCS / "how-to" / "troubleshooting.md"

# Registers a step operator and a stack with it, and loads each stack that there is.
_USE = """
import json, sys
from importlib.util import find_spec
from zenml.client import Client
from zenml.enums import StackComponentType
from zenml.stack import Stack
client = Client()
name = sys.argv[1]
operator = client.create_stack_component(
    name, "vertex", StackComponentType.STEP_OPERATOR, {"region": "europe-west4"}
)
parts = {kind: found[0].id for kind, found in client.get_stack("default").components.items()}
client.create_stack(name, {**parts, StackComponentType.STEP_OPERATOR: operator.id})
client.activate_stack(name)
stacks = [Stack.from_model(model) for model in client.list_stacks(hydrate=True)]
loaded = {stack.name: type(stack.step_operator).__module__ for stack in stacks}
del loaded["default"]
print("loaded:", json.dumps([loaded, bool(find_spec("zenml_vertex"))]))
"""


@dataclass
class _Environment:
    """A Python environment, and users of it who have a database each.

    Args:
        folder: Where it is.
        used: What the users have loaded: user -> stack -> module of its step operator.
    """

    folder: Path
    used: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def create(self) -> None:
        """Make the environment, which has everything but this package."""
        packages = Path(sysconfig.get_path("purelib"))
        borrowed = self.folder / "borrowed"
        borrowed.mkdir()
        for entry in packages.iterdir():
            if entry.suffix != ".pth" and not entry.name.startswith(("zenml_vertex", "vertex_")):
                (borrowed / entry.name).symlink_to(entry)
        (self.folder / "use.py").write_text(_USE, "utf-8")
        venv.create(self.folder / "venv")
        (site,) = (self.folder / "venv").glob("lib/python*/site-packages")
        # Python reads such a line in its own folder only: setuptools' `distutils`.
        hooks = "".join(file.read_text("utf-8") + "\n" for file in packages.glob("distutils*.pth"))
        (site / "borrowed.pth").write_text(f"{borrowed}\n{hooks}", "utf-8")

    def pip(self, *arguments: str) -> None:
        """Run pip on the environment."""
        python = str(self.folder / "venv" / "bin" / "python")
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def run(self, user: str, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a program of the environment."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("ZENML_")}
        return subprocess.run(
            command,
            cwd=self.folder,
            env={
                **kept,
                "PATH": f"{self.folder / 'venv' / 'bin'}:/usr/bin:/bin",
                "ZENML_CONFIG_PATH": str(self.folder / user),
                "ZENML_ANALYTICS_OPT_IN": "false",
                "ZENML_LOGGING_COLORS_DISABLED": "true",
            },
            capture_output=True,
            text=True,
        )

    def use(self, user: str, name: str, *, installed: bool) -> dict[str, str]:
        """Register a step operator and a stack, load every stack, and return their operators."""
        done = self.run(user, "python", "use.py", name)
        assert done.returncode == 0, done.stderr
        (line,) = (text for text in done.stdout.splitlines() if text.startswith("loaded: "))
        loaded: dict[str, str]
        loaded, is_there = json.loads(line.removeprefix("loaded: "))
        assert is_there is installed
        return loaded


def _build_wheel(folder: Path, *, clone: Path | None = None) -> Path:
    """Make a wheel of this copy of the package, without the network that a real build needs.

    Args:
        folder: Where to put it.
        clone: For an editable installation, the folder that has the files.
    """
    installed = distribution("zenml-vertex")
    root = Path(zenml_vertex.__file__).parents[1]
    info = f"zenml_vertex-{installed.version}.dist-info"
    files = [root / "zenml_vertex_init_hook.py"]
    for package in ("zenml_vertex", "vertex_emulator"):
        files += [
            file for file in (root / package).rglob("*") if file.suffix in (".py", ".yaml", ".json")
        ]
    texts = {file.relative_to(root).as_posix(): file.read_text("utf-8") for file in files}
    if clone:
        for name, text in texts.items():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_text(text, "utf-8")
        texts = {"_editable_impl_zenml_vertex.pth": f"{clone}\n"}
    for name in ("METADATA", "entry_points.txt"):
        texts[f"{info}/{name}"] = installed.read_text(name) or ""
    texts[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    texts[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*texts, f"{info}/RECORD"])
    path = folder / f"zenml_vertex-{installed.version}-py3-none-any.whl"
    with ZipFile(path, "w") as wheel:
        for name, text in texts.items():
            wheel.writestr(name, text)
    return path


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> _Environment:
    """An environment in which the package was installed, used by three users, and uninstalled.

    One has used ZenML before, one creates the database with the package, and one has run
    `zenml-vertex flavor install` and not restored the record.
    """
    environment = _Environment(tmp_path_factory.mktemp("uninstall"))
    environment.create()
    environment.used["before"] = environment.use("early", "before", installed=False)
    environment.pip("install", "--no-deps", "--no-index", str(_build_wheel(environment.folder)))
    environment.used["early"] = environment.use("early", "meanwhile", installed=True)
    environment.used["late"] = environment.use("late", "meanwhile", installed=True)
    done = environment.run("forgetful", "zenml-vertex", "flavor", "install")
    assert done.returncode == 0, done.stderr
    environment.pip("uninstall", "--yes", "zenml-vertex")
    return environment


def test_the_package_was_the_flavor_meanwhile(environment: _Environment) -> None:
    """While it is installed, components of both kinds of database get this operator."""
    assert environment.used == {
        "before": {"before": BUILTIN},
        "early": {"before": OURS, "meanwhile": OURS},
        "late": {"meanwhile": OURS},
    }


@pytest.mark.parametrize("user", ["early", "late"])
def test_a_database_does_not_need_the_package(environment: _Environment, user: str) -> None:
    """Afterwards every stack loads, with the built-in operator, and one can be registered."""
    stacks = {**environment.used[user], "afterwards": BUILTIN}
    loaded = environment.use(user, "afterwards", installed=False)
    assert loaded == dict.fromkeys(stacks, BUILTIN)


def test_a_record_that_was_not_restored_is_mended_without_the_package(
    environment: _Environment,
) -> None:
    """After a forgotten `flavor restore`, the page's command gives the record back to ZenML."""
    failed = environment.run("forgetful", "python", "use.py", "broken")
    assert "Couldn't import custom flavor vertex" in failed.stdout + failed.stderr
    (command,) = (block for block in read_blocks(PAGE, "shell") if "FlavorRegistry" in block)
    done = environment.run("forgetful", "sh", "-e", "-c", command)
    assert done.returncode == 0, done.stderr
    assert environment.use("forgetful", "mended", installed=False) == {"mended": BUILTIN}


def test_a_clone_that_was_deleted_breaks_zenml_until_the_pages_command(
    environment: _Environment, tmp_path: Path
) -> None:
    """Whoever deletes or moves the clone of an editable installation breaks `import zenml`.

    The page on troubleshooting quotes the error, and each of its commands brings ZenML back.
    """
    commands = [
        shlex.split(block)
        for block in read_blocks(TROUBLESHOOTING, "shell")
        if block.startswith(("pip install --editable", "pip uninstall"))
    ]
    assert [command[1] for command in commands] == ["install", "uninstall"]
    use = ("python", "-c", "import zenml; print(zenml.__version__)")
    for number, (_, *command) in enumerate(commands):
        clone = tmp_path / f"clone-{number}"
        wheel = _build_wheel(tmp_path, clone=clone)
        environment.pip("install", "--no-deps", "--no-index", "--force-reinstall", str(wheel))
        clone.rename(tmp_path / f"moved-{number}")
        failed = environment.run("moved", "env", "ZENML_VERTEX_DISABLE=1", *use)
        assert "No module named 'zenml_vertex_init_hook'" in failed.stderr
        if command[0] == "install":
            # The build of a real clone needs a network.
            again = _build_wheel(tmp_path, clone=tmp_path / f"moved-{number}")
            environment.pip("install", "--no-deps", "--no-index", "--force-reinstall", str(again))
        else:
            environment.pip(*command, "--yes")
        assert environment.run("moved", *use).returncode == 0
