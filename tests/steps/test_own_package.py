"""How this package gets into images, however it was installed."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from zenml.config import DockerSettings
from zenml.config.docker_settings import PythonEnvironmentExportMethod
from zenml.image_builders import BuildContext
from zenml.utils.pipeline_docker_image_builder import PipelineDockerImageBuilder

import zenml_vertex
from tests.support.compiled_steps import make_step
from tests.support.components import make_operator
from tests.support.pages import ROOT
from zenml_vertex.steps import uv_freeze
from zenml_vertex.steps.images import build_configurations
from zenml_vertex.steps.own_package import choose_image_parts, find_image_parts, read_files

if TYPE_CHECKING:
    from zenml.stack import Stack

PACKAGE = Path(zenml_vertex.__file__).parent
# What installers write down of where this package came from. An index, a private one and
# `--find-links` leave nothing.
URLS: dict[str, dict[str, object] | None] = {
    "index": None,
    "editable": {"url": "file:///src/zenml-vertex", "dir_info": {"editable": True}},
    "folder": {"url": "file:///src/zenml-vertex", "dir_info": {}},
    "wheel": {"url": "file:///dist/zenml_vertex-0.2.0-py3-none-any.whl", "archive_info": {}},
    "git": {
        "url": "https://git.example.com/zenml-vertex",
        "vcs_info": {"vcs": "git", "commit_id": "0" * 40},
    },
}

_BY_UV = DockerSettings(replicate_local_python_environment=PythonEnvironmentExportMethod.UV_FREEZE)


@pytest.fixture
def installed(tmp_path: Path) -> Distribution:
    """An installation from a package index, with its own version."""
    folder = tmp_path / "zenml_vertex-0.2.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: zenml-vertex\nVersion: 0.2.0\n"
        "Requires-Dist: zenml<0.99,>=0.96\n"
        "Requires-Dist: old; python_version < '3'\n"
        "Requires-Dist: google-auth>=2; extra == 'client'\n",
        "utf-8",
    )
    (folder / "entry_points.txt").write_text("[zenml.init_hooks]\na = b:c\n", "utf-8")
    return PathDistribution(folder)


@pytest.mark.parametrize("kind", URLS)
def test_an_image_never_asks_an_index_for_this_package(kind: str, installed: Distribution) -> None:
    """The files are copied into the image, with their requirements by name, however installed.

    Whoever took the name on an index that an image asks had their code run in its build, with
    what the build could reach, and in each step, with the token of its run.
    """
    if source := URLS[kind]:
        folder = Path(str(installed.locate_file(""))) / "zenml_vertex-0.2.0.dist-info"
        (folder / "direct_url.json").write_text(json.dumps(source), "utf-8")
    parts = choose_image_parts(installed, PACKAGE)
    assert parts.requirements == {"zenml<0.99,>=0.96"}
    assert "zenml_vertex/steps/operator.py" in parts.files
    assert "zenml_vertex-0.2.0.dist-info/entry_points.txt" in parts.files
    assert not [name for name in parts.files if "direct_url" in name or "__pycache__" in name]


def test_an_image_has_no_plugin_of_pytest(installed: Distribution) -> None:
    """An image has none, and a pytest there would end with an error if metadata named one."""
    folder = Path(str(installed.locate_file(""))) / "zenml_vertex-0.2.0.dist-info"
    (folder / "entry_points.txt").write_text(
        "[console_scripts]\na = b:c\n\n[pytest11]\nd = e\nf = g\n\n[zenml.init_hooks]\nh = i:j\n",
        "utf-8",
    )
    parts = choose_image_parts(installed, PACKAGE)
    assert parts.files["zenml_vertex-0.2.0.dist-info/entry_points.txt"] == (
        "[console_scripts]\na = b:c\n\n[zenml.init_hooks]\nh = i:j\n"
    )
    assert not [name for name in parts.files if "pytest_plugin" in name]


@pytest.mark.parametrize("with_stack", [True, False])
@pytest.mark.parametrize(
    "replicated",
    [True, PythonEnvironmentExportMethod.PIP_FREEZE, PythonEnvironmentExportMethod.UV_FREEZE],
)
def test_a_copy_of_this_environment_asks_no_index_for_it_either(
    replicated: PythonEnvironmentExportMethod | bool,
    with_stack: bool,
    installed: Distribution,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where ZenML lists this machine's packages for an image, this one comes by its files.

    The attack is that of `test_an_image_never_asks_an_index_for_this_package`: the list named
    the version, if this package came from an index or from `--find-links`.
    """
    settings = DockerSettings(
        replicate_local_python_environment=replicated, install_stack_requirements=with_stack
    )
    operator = make_operator()
    stack = cast("Stack", SimpleNamespace(requirements=lambda: operator.requirements))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(installed.locate_file("")))
    gather = PipelineDockerImageBuilder.gather_requirements_files
    (build,) = build_configurations({"train": make_step(settings)})
    found = [text for _, text, _ in gather(build.settings, stack, log=False)]
    assert "zenml==" in found[0]
    assert not [text for text in found if re.search("zenml[-_]vertex", text)]
    assert "zenml_vertex/steps/operator.py" in build.extra_files


def test_a_copy_of_this_environment_by_an_older_uv_has_not_this_package() -> None:
    """`uv pip freeze` has `--exclude` from 0.9.27 on: with an older uv no image was built."""
    others = ["-e file:///src/zenml-vertex-tools", "zenml==0.98.0", "zenml-vertex-tools==1"]
    lines = [
        "zenml-vertex==0.2.0",
        "zenml-vertex @ git+https://git.example.com/zenml-vertex@0123",
        "-e file:///src/zenml-vertex",
        *others,
    ]
    assert list(uv_freeze.leave_out_own(lines, "file:///src/zenml-vertex/")) == others
    (build,) = build_configurations({"train": make_step(_BY_UV)})
    assert "--exclude" not in str(build.settings.replicate_local_python_environment)


def test_a_uv_that_fails_makes_no_empty_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image without the packages of this machine would only fail in its job."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"`uv pip freeze`.*Install uv, or set"):
        uv_freeze.main()
    (tmp_path / "uv").write_text("#!/bin/sh\necho zenml==0.98.0\nexit 2\n", "utf-8")
    (tmp_path / "uv").chmod(0o755)
    with pytest.raises(SystemExit, match=r"^2$"):
        uv_freeze.main()


def test_the_list_of_packages_is_not_made_by_a_module_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever could write to the folder where a pipeline was started ran code as its user."""
    for name in ("zenml_vertex", "runpy", "json"):
        (tmp_path / f"{name}.py").write_text("open('planted', 'w').close()", "utf-8")
    (tmp_path / "uv").write_text("#!/bin/sh\necho zenml==0.98.0\n", "utf-8")
    (tmp_path / "uv").chmod(0o755)
    (build,) = build_configurations({"train": make_step(_BY_UV)})
    words = build.settings.replicate_local_python_environment
    assert isinstance(words, list)
    monkeypatch.chdir(tmp_path)
    # As ZenML runs it.
    listed = subprocess.run(
        " ".join(words),
        shell=True,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not (tmp_path / "planted").exists()
    assert listed.stdout == "zenml==0.98.0\n", listed.stderr


@pytest.mark.parametrize("replicated", [None, False, ["cat", "requirements.txt"]])
def test_other_docker_settings_reach_zenml_as_they_are(replicated: list[str] | bool | None) -> None:
    """A command of the user's own stays theirs, and an image without the stack gets no files."""
    settings = DockerSettings(
        replicate_local_python_environment=replicated,
        install_stack_requirements=False,
        python_package_installer_args={"no-compile-bytecode": None},
    )
    (build,) = build_configurations({"train": make_step(settings)})
    assert (build.settings, build.extra_files) == (settings, {})


def test_the_page_says_how_much_is_copied() -> None:
    """Decision 0006 says within 10 % how many files a step's image gets, and how many kB."""
    page = (ROOT / "docs/decisions/0006-this-package-in-images.md").read_text("utf-8")
    row = re.search(r"^\| what a container can import \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    assert row
    files = find_image_parts().files
    assert int(row[1]) == pytest.approx(len(files), rel=0.1)
    kilobytes = sum(len(text.encode()) for text in files.values()) / 1000
    assert int(row[2]) == pytest.approx(kilobytes, rel=0.1)
    assert f"{kilobytes / 1000:.1f} MB in an image" in page
    names = {name.rpartition("/")[2] for name in files}
    assert names >= {"LICENSE", "NOTICE"}


def test_stray_files_are_not_copied(tmp_path: Path) -> None:
    """What is in the package's folder and not part of it, such as a secret, is not copied."""
    package = tmp_path / "zenml_vertex"
    for file in ("errors.py", "data/machine_accelerators.yaml", "steps/operator.py"):
        (package / file).parent.mkdir(parents=True, exist_ok=True)
        (package / file).write_text("", "utf-8")
    for file in ("data/secret.env", "data/other.yaml", ".env", "steps/._operator.py", "job.txt"):
        (package / file).write_text("hunter2", "utf-8")
    (package / "steps" / "stray.py").write_bytes(b"# Zo\xeb")
    assert set(read_files(package)) == {
        "zenml_vertex/errors.py",
        "zenml_vertex/data/machine_accelerators.yaml",
        "zenml_vertex/steps/operator.py",
    }


def test_code_that_cannot_run_in_a_container_is_left_out() -> None:
    """Emulator, local stack, command line, flavor record and Google's client are left out."""
    code = [name for name in find_image_parts().files if name.startswith("zenml_vertex/")]
    folders = {name.split("/")[1] for name in code if name.count("/") > 1}
    assert folders == {"cloud", "container", "data", "following", "job", "steps"}
    files = find_image_parts().files
    assert [name for name in files if name.startswith("zenml_vertex/cloud/")] == [
        "zenml_vertex/cloud/__init__.py",
        "zenml_vertex/cloud/endpoint.py",
        "zenml_vertex/cloud/key_file.py",
    ]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A container's working folder, with the files that ZenML puts there."""
    folder = tmp_path_factory.mktemp("app")
    context = BuildContext()
    parts = choose_image_parts(distribution("zenml-vertex"), PACKAGE)
    for name, text in parts.files.items():
        context.add_file(source=text, destination=name)
    for name, text in context.get_extra_files().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return folder


def run_there(app: Path, code: str) -> list[str]:
    """Return the lines that a Python in a container's working folder prints."""
    environment = {**os.environ, "ZENML_CONFIG_PATH": str(app / ".zenconfig")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=app, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_copied_files_are_the_package(app: Path) -> None:
    """In a container's working folder, the files are this package, with its version and hook."""
    place, hooks = run_there(
        app,
        "import zenml_vertex\n"
        "from importlib.metadata import entry_points, version\n"
        "print(zenml_vertex.__file__, version('zenml-vertex'))\n"
        "print([e.value for e in entry_points(group='zenml.init_hooks')])\n",
    )
    assert place == f"{app}/zenml_vertex/__init__.py {zenml_vertex.__version__}"
    assert "zenml_vertex_init_hook:install" in hooks


def test_a_container_has_everything_it_imports(app: Path) -> None:
    """The hook replaces the flavor, and config, operator and entrypoint import without Google.

    Every copied file can be imported there, except the one that reads a service connector's
    credentials with Google's client.
    """
    operator, failed, google, emulator = run_there(
        app,
        "import pkgutil, sys, zenml, zenml_vertex\n"
        "from importlib import import_module\n"
        "from zenml.integrations.gcp.flavors import vertex_step_operator_flavor as builtin\n"
        "flavor = builtin.VertexStepOperatorFlavor()\n"
        "config = flavor.config_class(region='us-central1', machine_type='a2-highgpu-1g')\n"
        "entrypoint = flavor.implementation_class.entrypoint_config_class\n"
        "from zenml_vertex.job.machines import load_catalogue\n"
        "load_catalogue()\n"
        "failed = []\n"
        "for module in pkgutil.walk_packages(zenml_vertex.__path__, 'zenml_vertex.'):\n"
        "    try:\n"
        "        import_module(module.name)\n"
        "    except ImportError as error:\n"
        "        failed.append(f'{module.name} lacks {error.name}')\n"
        "print(flavor.implementation_class.__module__)\n"
        "print(failed)\n"
        "print([name for name in sys.modules if name.startswith('google.cloud.')])\n"
        "print([name for name in sys.modules if name.startswith('vertex_emulator')])\n",
    )[-4:]
    assert operator == "zenml_vertex.steps.operator"
    assert failed == "['zenml_vertex.steps.connector lacks zenml_vertex.cloud.credentials']"
    assert google == "[]"
    assert emulator == "[]"


def test_submitting_from_a_container_names_the_missing_package(app: Path) -> None:
    """Where the submitting part was left out, the error says which package has it.

    The settings are checked first; one of `api_endpoint` needs that part too.
    """
    messages = run_there(
        app,
        "from types import SimpleNamespace\n"
        "from zenml_vertex.cloud import client_required\n"
        "from zenml_vertex.errors import VertexStepOperatorError\n"
        "from zenml_vertex.steps.preflight import _find_address_problems\n"
        "try:\n"
        "    with client_required():\n"
        "        import zenml_vertex.cloud.connection\n"
        "except VertexStepOperatorError as error:\n"
        "    print(error)\n"
        "try:\n"
        "    settings = SimpleNamespace(project=None, api_endpoint='a.b')\n"
        "    list(_find_address_problems(settings, SimpleNamespace(unreadable={})))\n"
        "except VertexStepOperatorError as error:\n"
        "    print(error)\n",
    )[-2:]
    for message in messages:
        assert "cannot submit Vertex AI jobs from within this step" in message
        assert "zenml-vertex[client]" in message
