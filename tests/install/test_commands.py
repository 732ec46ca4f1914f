"""The commands that messages tell: each installs an extra from where this copy came from."""

import json
import re
import shlex
import subprocess
import sys
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from typing import Any

import click
import pytest

from tests.support.pages import PAGES, ROOT
from zenml_vertex.cli import extras
from zenml_vertex.installation import (
    FORMER_HOOK,
    RELEASED,
    choose_program,
    choose_target,
    choose_tool_uninstall,
    choose_upgrade,
    find_missing,
    has_init_hook,
    install_command,
    is_hooked,
    reinstall_command,
    uninstall_command,
)

_METADATA = """\
Metadata-Version: 2.4
Name: zenml-vertex
Version: 0.2.0
Requires-Dist: zenml<0.99,>=0.96
Requires-Dist: google-auth>=2; extra == 'client'
Requires-Dist: old; (python_version < '3') and extra == 'client'
Requires-Dist: zenml[server]; extra == 'demo'
Requires-Dist: zenml-vertex[client]; extra == 'demo'
Provides-Extra: client
Provides-Extra: demo
"""


@pytest.fixture
def installed(tmp_path: Path) -> Distribution:
    """A copy that an installer has installed from an index."""
    folder = tmp_path / "zenml_vertex-0.2.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(_METADATA, "utf-8")
    (folder / "INSTALLER").write_text("pip\n", "utf-8")
    return PathDistribution(folder)


def record(installed: Distribution, source: Any) -> None:
    """Write down where a copy came from, as an installer does."""
    path = Path(str(installed.locate_file(""))) / "zenml_vertex-0.2.0.dist-info/direct_url.json"
    path.write_text(source if isinstance(source, str) else json.dumps(source), "utf-8")


@pytest.mark.parametrize("name", ["clone", "my clone", "it's [here]; rm -rf #1", "ключ"])
@pytest.mark.parametrize("editable", [False, True])
def test_a_clone_is_named_by_its_path(
    name: str, editable: bool, installed: Distribution, tmp_path: Path
) -> None:
    """A clone's folder is what the command installs, whatever is in its name."""
    clone = tmp_path / name
    clone.mkdir()
    (clone / "pyproject.toml").touch()
    record(installed, {"url": clone.as_uri(), "dir_info": {"editable": editable}})
    words = shlex.split(choose_target(installed, "client", released=True))
    assert words == ["-e"] * editable + [f"{clone}[client]"]


def test_a_wheel_is_named_by_its_path(installed: Distribution, tmp_path: Path) -> None:
    """A wheel's file is what the command installs."""
    wheel = tmp_path / "zenml_vertex-0.2.0-py3-none-any.whl"
    wheel.touch()
    record(installed, {"url": wheel.as_uri(), "archive_info": {}})
    assert shlex.split(choose_target(installed, "client")) == [f"{wheel}[client]"]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (
            {"url": "https://git.example/x.git", "vcs_info": {"vcs": "git", "commit_id": "a1"}},
            "zenml-vertex[client] @ git+https://git.example/x.git@a1",
        ),
        (
            {"url": "file:///srv/x.git", "vcs_info": {"vcs": "git", "commit_id": "a1"}},
            "google-auth>=2",
        ),
        (
            {"url": "https://example.com/x.zip", "archive_info": {}, "subdirectory": "sub"},
            "zenml-vertex[client] @ https://example.com/x.zip#subdirectory=sub",
        ),
        ({"url": "file:///no/such/clone", "dir_info": {}}, "google-auth>=2"),
        ("not JSON", "google-auth>=2"),
        ([], "google-auth>=2"),
        ({"url": "http://[", "archive_info": {}}, "google-auth>=2"),
        ({"url": "https://git.example/x.git", "vcs_info": {"vcs": "git"}}, "google-auth>=2"),
        ({"url": f"file:///{'x' * 5000}", "dir_info": None}, "google-auth>=2"),
        ({}, "google-auth>=2"),
    ],
)
def test_other_sources(source: Any, target: str, installed: Distribution) -> None:
    """A URL is named; if nothing is left of the source, what the extra requires is named."""
    record(installed, source)
    assert shlex.split(choose_target(installed, "client", released=True)) == [target]


def test_the_index_is_asked_for_nothing_that_is_not_released(installed: Distribution) -> None:
    """No command asks an index for this package before its release: the name there is free."""
    assert choose_target(installed, "client", released=True) == "'zenml-vertex[client]'"
    assert shlex.split(choose_target(installed, "demo", released=False)) == [
        "google-auth>=2",
        "zenml[server]",
    ]


def test_a_copy_in_an_image_asks_no_index_for_this_package(installed: Distribution) -> None:
    """Files that were copied into an image came from no index, although they record no source."""
    (Path(str(installed.locate_file(""))) / "zenml_vertex-0.2.0.dist-info/INSTALLER").unlink()
    assert "zenml-vertex" not in choose_target(installed, "client", released=True)


@pytest.mark.parametrize(
    ("pip", "programs", "command"),
    [
        (True, {"pip": "/env/bin/pip"}, "pip install"),
        (True, {"pip": "/usr/bin/pip"}, "/env/bin/python -m pip install"),
        (True, {}, "/env/bin/python -m pip install"),
        (False, {"uv": "/usr/bin/uv"}, "uv pip install --python /env/bin/python"),
        (False, {"pip": "/usr/bin/pip"}, "/env/bin/python -m ensurepip && /env/bin/python -m pip"),
    ],
)
def test_the_command_installs_into_this_environment(
    pip: bool, programs: dict[str, str], command: str
) -> None:
    """Not activated, without pip or with another pip on the search path, it is the right one."""
    found = choose_program(
        "install",
        "/env/bin/python",
        has_module=lambda name: pip and name == "pip",
        which=programs.get,
    )
    assert found.startswith(command)


@pytest.mark.parametrize("uv_line", ["uv = 0.9.3\n", "uv=0.9.3", "version_info = 3.13\nuv = 0.1"])
def test_an_environment_of_uv_is_told_uvs_command(tmp_path: Path, uv_line: str) -> None:
    """Where uv has made the environment, its command is told, also if uv is not on the path."""
    (tmp_path / "pyvenv.cfg").write_text(f"home = /usr/bin\n{uv_line}", "utf-8")
    python = str(tmp_path / "bin" / "python")
    found = choose_program("install", python, has_module=lambda _: False, which=lambda _: None)
    assert found == f"uv pip install --python {python}"
    found = choose_program("uninstall", python, has_module=lambda _: False, which=lambda _: None)
    assert found == f"uv pip uninstall --python {python}"
    (tmp_path / "pyvenv.cfg").write_bytes(b"\xff prompt = uv = venv")
    found = choose_program("install", python, has_module=lambda _: False, which=lambda _: None)
    assert found.startswith(f"{python} -m ensurepip")


@pytest.mark.parametrize(
    ("folder", "receipt", "command"),
    [
        ("zenml-vertex", "pipx_metadata.json", "pipx uninstall zenml-vertex"),
        ("zenml", "pipx_metadata.json", "pipx uninject zenml zenml-vertex"),
        ("zenml-vertex", "uv-receipt.toml", "uv tool uninstall zenml-vertex"),
        ("zenml", "uv-receipt.toml", ""),
        ("env", "pyvenv.cfg", ""),
    ],
)
def test_the_package_is_removed_by_what_installed_it(
    tmp_path: Path, folder: str, receipt: str, command: str
) -> None:
    """In an environment of pipx or of `uv tool`, its own command removes the package."""
    (tmp_path / folder).mkdir()
    (tmp_path / folder / receipt).touch()
    assert choose_tool_uninstall(str(tmp_path / folder / "bin" / "python")) == command


def test_a_copy_without_the_hook_is_noticed(installed: Distribution) -> None:
    """An environment that got the package before it had the init hook is told from a new one.

    So is one whose hook has its former name, which leads nowhere any more.
    """
    assert not is_hooked(installed)
    folder = Path(str(installed.locate_file(""))) / "zenml_vertex-0.2.0.dist-info"
    for module, is_told in ((FORMER_HOOK, False), ("zenml_vertex_init_hook", True)):
        hook = f"[zenml.init_hooks]\nzenml_vertex = {module}:install\n"
        (folder / "entry_points.txt").write_text(hook, "utf-8")
        assert is_hooked(installed) is is_told
    assert has_init_hook()


def test_a_missing_extra_is_named_with_few_of_its_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What lacks an extra names it, three of its packages at most, and the command."""
    for count, listed in (
        (1, "`a` is"), (3, "`a`, `b`, `c` are"), (28, "`a`, `b`, `c` and 25 more are")
    ):  # fmt: skip
        names = list("abcdefghijklmnopqrstuvwxyz12"[:count])
        monkeypatch.setattr(extras, "find_missing", lambda _, names=names: names)
        with pytest.raises(click.ClickException) as caught:
            extras.require_extra("demo", "The demo")
        first, second = caught.value.message.splitlines()
        assert first == (
            f"The demo needs the extra `demo`, which is not installed here: {listed} missing."
        )
        assert second == f"Run this first: {install_command('demo')}"


def test_this_copy_has_a_command() -> None:
    """The command for the copy that runs this test names the clone that it runs from."""
    assert install_command("client").endswith("[client]'")
    assert "install -e " in install_command("client")
    assert "install --force-reinstall --no-deps -e " in reinstall_command()


@pytest.mark.parametrize(
    ("editable", "advice"),
    [(True, "run `git -C {0} pull`"), (False, "run `git -C {0} pull && pip install {0}`")],
)
def test_a_clone_is_upgraded_by_git(
    editable: bool, advice: str, installed: Distribution, tmp_path: Path
) -> None:
    """A clone is pulled, and installed again unless Python reads its files themselves."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "pyproject.toml").touch()
    record(installed, {"url": tmp_path.as_uri(), "dir_info": {"editable": editable}})
    assert choose_upgrade(installed, "pip install") == advice.format(tmp_path)


def test_other_copies_are_upgraded_without_asking_an_index(installed: Distribution) -> None:
    """Only what was released is upgraded from an index; a wheel is replaced by a newer one."""
    upgrade = "run `pip install -U zenml-vertex`"
    assert choose_upgrade(installed, "pip install", released=True) == upgrade
    assert choose_upgrade(installed, "pip install") == "install a newer version of zenml-vertex"
    record(installed, {"url": "https://example.com/x.whl", "archive_info": {}})
    assert "newer version" in choose_upgrade(installed, "pip install", released=True)


def test_nothing_is_missing_here() -> None:
    """The environment of the tests has every extra, and an extra's own extras are looked at."""
    assert find_missing("demo") == []


_ASKS_AN_INDEX = re.compile(
    r"\b(?:pip|uv|pipx|tool)\s(?:install|inject|add)\s[^`\n/]*zenml-vertex(?![\w/.-])"
)


def test_nobody_is_told_to_ask_an_index_before_the_release() -> None:
    """No page and no message asks an index for this package until it is released."""
    files = [*PAGES, *(ROOT / "src").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    found = {
        str(file.relative_to(ROOT)): line
        for file in files
        for line in _ASKS_AN_INDEX.findall(file.read_text("utf-8"))
    }
    # It tells what to try after a release.
    assert RELEASED or set(found) <= {"docs/how-to/release.md"}, found
    assert _ASKS_AN_INDEX.search("pip install 'zenml-vertex[client]'")
    assert _ASKS_AN_INDEX.search("uv pip install -U zenml-vertex")


def test_other_packages_learn_nothing_of_the_search_for_pip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No finder of another package is asked for pip: that of setuptools replaces `distutils`."""
    asked = []

    class Finder:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            del path, target
            asked.append(name)

    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    assert choose_program("install")
    assert uninstall_command.__wrapped__().endswith(" zenml-vertex")
    assert "pip" not in asked


_WITHOUT = """
import sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Wall())
try:
    {statement}
except ModuleNotFoundError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("missing", "statement", "command"),
    [
        (
            "starlette",
            "from vertex_emulator import VertexEmulator",
            "`zenml-vertex emulator` says how.",
        ),
        (
            "uvicorn",
            "from vertex_emulator import VertexEmulator",
            "`zenml-vertex emulator` says how.",
        ),
        ("starlette", "import vertex_emulator.faults", "`zenml-vertex emulator` says how."),
        (
            "docker",
            "from vertex_emulator import DockerRuntime",
            "`zenml-vertex emulator --runtime docker` says how.",
        ),
        ("h11", "from vertex_emulator import VertexEmulator", "No module named 'h11'"),
    ],
)
def test_the_emulators_package_names_its_extra(missing: str, statement: str, command: str) -> None:
    """An import of the emulator without an extra says which it is, and what tells the command."""
    program = _WITHOUT.format(missing={missing}, statement=statement)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip().endswith(command), done.stderr
