"""How this package gets into images, however it was installed."""

import json
import os
import subprocess
import sys
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

import pytest
from zenml.image_builders import BuildContext

import zenml_vertex
from zenml_vertex.steps.own_package import choose_image_parts, find_image_parts

PACKAGE = Path(zenml_vertex.__file__).parent
URLS = {
    "editable": {"url": "file:///src/zenml-vertex", "dir_info": {"editable": True}},
    "folder": {"url": "file:///src/zenml-vertex", "dir_info": {}},
    "wheel": {"url": "file:///dist/zenml_vertex-0.2.0-py3-none-any.whl", "archive_info": {}},
    "git": {
        "url": "https://git.example.com/zenml-vertex",
        "vcs_info": {"vcs": "git", "commit_id": "0" * 40},
    },
}


@pytest.fixture
def installed(tmp_path: Path) -> Distribution:
    """An installation from an index, of a version of its own."""
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


def test_a_release_is_named_by_its_version(installed: Distribution) -> None:
    """What an index has, an image gets from there; nothing of Google is named."""
    parts = choose_image_parts(installed, PACKAGE)
    assert parts.requirements == {"zenml-vertex==0.2.0"}
    assert parts.files == {}


@pytest.mark.parametrize("kind", URLS)
def test_what_is_on_no_index_travels_as_files(kind: str, installed: Distribution) -> None:
    """A checkout, a wheel or a Git URL: the code goes along, and its requirements by name."""
    (Path(str(installed.locate_file(""))) / "zenml_vertex-0.2.0.dist-info" / "direct_url.json"
     ).write_text(json.dumps(URLS[kind]), "utf-8")  # fmt: skip
    parts = choose_image_parts(installed, PACKAGE)
    assert parts.requirements == {"zenml<0.99,>=0.96"}
    assert "zenml_vertex/steps/operator.py" in parts.files
    assert "zenml_vertex-0.2.0.dist-info/entry_points.txt" in parts.files
    assert not [name for name in parts.files if "direct_url" in name or "__pycache__" in name]


def test_the_files_are_under_a_megabyte() -> None:
    """What an image grows by."""
    assert sum(len(text.encode()) for text in find_image_parts().files.values()) < 1_000_000


def test_the_files_are_a_package_wherever_they_lie(tmp_path: Path) -> None:
    """In the working folder of a container they are this package, with its version and hook.

    They go through ZenML's own build context, and nothing of Google is there.
    """
    context = BuildContext()
    parts = choose_image_parts(distribution("zenml-vertex"), PACKAGE)
    for name, text in parts.files.items():
        context.add_file(source=text, destination=name)
    for name, text in context.get_extra_files().items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    code = (
        "import sys, zenml, zenml_vertex, zenml_vertex.steps.operator\n"
        "from importlib.metadata import entry_points, version\n"
        "print(zenml_vertex.__file__, version('zenml-vertex'))\n"
        "print([e.value for e in entry_points(group='zenml.init_hooks')])\n"
        "print([name for name in sys.modules if name.startswith('google.cloud.')])\n"
    )
    environment = {**os.environ, "ZENML_CONFIG_PATH": str(tmp_path / "zenml")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    place, hooks, google = done.stdout.splitlines()[-3:]
    assert place == f"{tmp_path}/zenml_vertex/__init__.py {zenml_vertex.__version__}"
    assert "zenml_vertex.ownership.hook:install" in hooks
    assert google == "[]"
