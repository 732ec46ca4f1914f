"""The Makefile's environment: of a right Python, whole, and made anew where it is not."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import ROOT

_UV = (ROOT / ".ci/uv.txt").read_text("utf-8").split()[0].partition("==")[2]
_OWN = f"{sys.version_info.major}.{sys.version_info.minor}"
# Stands for a Python of some version, and for `uv` in the environment that it makes. Told to
# wait, uv does so until a line is written to its FIFO.
_PYTHON = """#!/bin/sh
case "$1$2" in
    -c*) echo {version} ;;
    -mvenv)
        mkdir -p "$3/bin"
        touch "$3/pyvenv.cfg" "$3/made-with-{version}"
        cp "$0" "$3/bin/python"
        cp "$UV" "$3/bin/uv" ;;
esac
"""
_UV_PROGRAM = """#!/bin/sh
[ "$1" != --version ] || {{ echo "uv {version}"; exit; }}
echo "uv $*"
[ -z "${{UV_WAITS:-}}" ] || read -r line <"$UV_WAITS"
exit "${{UV_STATUS:-0}}"
"""


class Machine:
    """A machine with Pythons of some versions, and none of those of this one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "bin"
        self.path.mkdir()
        self.environment = folder / ".venv"
        for tool in ("chmod", "cp", "dirname", "mkdir", "rm", "sh", "touch"):
            (self.path / tool).symlink_to(str(shutil.which(tool)))
        self.uv = folder / "uv"
        self.write_uv(_UV)

    def write_uv(self, version: str) -> None:
        """Let new environments have an uv of that version."""
        self.uv.write_text(_UV_PROGRAM.format(version=version), "utf-8")
        self.uv.chmod(0o755)

    def add(self, name: str, version: str) -> None:
        """Put a program on the search path that says it is a Python of that version."""
        self.write(name, _PYTHON.format(version=version))

    def write(self, name: str, text: str) -> None:
        """Put a program on the search path."""
        (self.path / name).write_text(text, "utf-8")
        (self.path / name).chmod(0o755)

    def run(
        self, program: str, *arguments: object, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run one of the programs of `.ci`."""
        return subprocess.run(
            [ROOT / ".ci" / program, *map(str, arguments)], env=self.variables | variables,
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of its processes."""
        return {"PATH": str(self.path), "HOME": str(self.folder), "UV": str(self.uv)}

    def install(self, asked: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        """Install something into the environment."""
        return self.run("environment", self.environment, asked, "--extra", "demo", **variables)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without any Python."""
    return Machine(tmp_path)


def test_a_right_python_is_looked_for(machine: Machine) -> None:
    """The newest supported Python is found, whichever one `python3` is."""
    machine.add("python3", "3.9")
    machine.add("python3.14", "3.14")
    machine.add("python3.11", "3.11")
    assert machine.run("find-python").stdout == f"{machine.path}/python3.11\n"
    machine.add("python3", "3.12")
    assert machine.run("find-python").stdout == f"{machine.path}/python3\n"


@pytest.mark.parametrize("variable", ["PYENV_ROOT", "UV_PYTHON_INSTALL_DIR"])
def test_pythons_are_looked_for_where_their_tools_put_them(
    machine: Machine, tmp_path: Path, variable: str
) -> None:
    """The variables of pyenv and uv are followed to the Pythons that they have installed."""
    folders = {
        "PYENV_ROOT": "versions/3.12.1/bin/python",
        "UV_PYTHON_INSTALL_DIR": "cpython-3.12.1-linux/bin/python3",
    }
    machine.add("python", "3.12")
    python = tmp_path / "elsewhere" / folders[variable]
    python.parent.mkdir(parents=True)
    (machine.path / "python").rename(python)
    done = machine.run("find-python", **{variable: str(tmp_path / "elsewhere")})
    assert done.stdout == f"{python}\n", done.stderr


@pytest.mark.parametrize("arguments", [["help"], ["clean", "-n"], ["demo", "-n"], ["-n"]])
def test_make_looks_for_no_python_that_is_not_needed(
    machine: Machine, tmp_path: Path, arguments: list[str]
) -> None:
    """Without any Python, make helps, and tells what it would do, with no complaint."""
    for tool in ("make", "awk"):
        (machine.path / tool).symlink_to(str(shutil.which(tool)))
    (machine.environment / "bin").mkdir(parents=True)
    (machine.environment / ".demo").touch()
    done = subprocess.run(
        ["make", "-C", ROOT, f"VENV={machine.environment}", *arguments],
        env={"PATH": str(machine.path), "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert ("make demo " in done.stdout) == (arguments == ["help"])
    assert (machine.environment / ".demo").exists()


def test_clean_removes_what_the_targets_make(tmp_path: Path) -> None:
    """All that Git ignores and a target has made goes, and nothing else."""
    made = [".cache/site/html/index.html", ".coverage", ".hypothesis/examples/a", "dist/a.whl"]
    made += [".venv/bin/python", ".venv-oldest/a", ".import_linter_cache/a", "src/__pycache__/a"]
    kept = ["src/a.py", ".zen/config.yaml", ".git/a"]
    for name in [*made, *kept]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "-C", tmp_path, "-f", ROOT / "Makefile", "clean"], check=True)
    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert left == set(kept)


def test_without_a_right_python_the_others_are_named(machine: Machine) -> None:
    """Only too old ones: nothing is made, and the message says what there is and what to do."""
    machine.add("python3", "3.9")
    done = machine.install()
    assert done.returncode == 1
    assert not machine.environment.exists()
    assert f"{machine.path}/python3: 3.9" in done.stderr
    assert "make PYTHON=/path/to/python3.13" in done.stderr
    (machine.path / "python3").unlink()
    assert "There is no Python from 3.10 to 3.13 here" in machine.install().stderr


def test_a_python_that_cannot_make_environments_is_named(machine: Machine, tmp_path: Path) -> None:
    """Debian's Python without `python3-venv` is passed over, with the package that it lacks."""
    (tmp_path / "ensurepip.py").write_text("raise ImportError", "utf-8")
    machine.write(
        f"python{_OWN}", f'#!/bin/sh\nPYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"\n'
    )
    done = machine.run("find-python")
    assert done.returncode == 1
    assert f"apt-get install python{_OWN}-venv" in done.stderr
    machine.write(f"python{_OWN}", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    assert machine.run("find-python").stdout == f"{machine.path}/python{_OWN}\n"


def test_a_free_threaded_python_is_passed_over(machine: Machine, tmp_path: Path) -> None:
    """A Python without its global lock, for which packages here have no wheels, is named."""
    (tmp_path / "sysconfig.py").write_text("get_config_var = 'Py_GIL_DISABLED'.__eq__", "utf-8")
    name = f"python{_OWN}"
    machine.write(name, f'#!/bin/sh\nPYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"\n')
    for asked in (name, "", _OWN):
        done = machine.run("find-python", asked)
        assert done.returncode == 1
        assert f"{_OWN} as a free-threaded build, which is not supported" in done.stderr


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("python3.9", "PYTHON=python3.9 is Python 3.9."),
        ("python3.14", "PYTHON=python3.14 is Python 3.14."),
        ("3.9", "PYTHON=3.9 is not supported. A Python from 3.10 to 3.13 is needed."),
        ("no-such-python", "PYTHON=no-such-python does not start."),
    ],
)
def test_a_wrong_python_is_refused_by_its_name(machine: Machine, asked: str, said: str) -> None:
    """A PYTHON that is too old, too new or not there is refused before anything is made."""
    for version in ("3.9", "3.12", "3.14"):
        machine.add(f"python{version}", version)
    done = machine.install(asked)
    assert done.returncode == 1
    assert said in done.stderr
    assert not machine.environment.exists()


def test_a_good_environment_is_kept(machine: Machine) -> None:
    """What is there and works is added to; with another PYTHON, it is made anew."""
    for version in ("3.12", "3.13"):
        machine.add(f"python{version}", version)
    assert "uv pip install --python" in machine.install().stdout
    (machine.environment / ".demo").touch()
    machine.run("environment", "--check", machine.environment, "")
    assert "Making" not in machine.install().stdout
    assert "Making" not in machine.install("python3.13").stdout
    assert (machine.environment / ".demo").exists()
    assert "Making" not in machine.install("3.13").stdout
    machine.run("environment", "--check", machine.environment, "3.13")
    assert (machine.environment / ".demo").exists()
    machine.run("environment", "--check", machine.environment, "3.12")
    assert not (machine.environment / ".demo").exists()
    assert (
        "has Python 3.13, and not that of PYTHON=python3.12" in machine.install("python3.12").stdout
    )
    assert (machine.environment / "made-with-3.12").exists()


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("touch $1/.unfinished", "was left half made"),
        ("rm $1/bin/python", "has no Python that starts"),
        (
            "printf '#!/bin/sh\\necho 3.9\\n' >$1/bin/python",
            "has Python 3.9, which is not supported",
        ),
    ],
)
def test_a_bad_environment_is_made_anew(machine: Machine, damage: str, fault: str) -> None:
    """Left by Ctrl-C, without its Python or of a wrong one, an environment is made anew."""
    machine.add("python3.13", "3.13")
    machine.install()
    old = machine.environment / "left-over"
    old.touch()
    subprocess.run(["sh", "-c", damage, "sh", machine.environment], check=True)
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert fault in done.stdout
    assert not old.exists()
    assert not (machine.environment / ".unfinished").exists()


def test_only_what_has_a_hash_is_installed(machine: Machine) -> None:
    """Packages and what builds this one are those of constraints.txt, and uv is that of uv.txt."""
    machine.add("python3.13", "3.13")
    machine.write_uv("0.0.1")
    with_pip = _PYTHON.format(version="3.13").replace("esac", '    -mpip) echo "pip $*" ;;\nesac')
    machine.write("python3.13", with_pip)
    pip, packages, package = machine.install().stdout.splitlines()[-3:]
    assert pip.endswith(f"--require-hashes --requirement {ROOT}/.ci/uv.txt")
    assert f" --require-hashes --constraints {ROOT}/constraints.txt " in packages
    assert packages.endswith(" --extra demo")
    assert f" --no-deps --build-constraints {ROOT}/constraints.txt --editable" in package
    for name in ("constraints.txt", "constraints-oldest.txt", ".ci/uv.txt"):
        for pin in re.split(r"\n(?=\w)", (ROOT / name).read_text("utf-8")):
            assert re.fullmatch(r"\S+==\S+( ;[^\\]+)?( \\\n    --hash=sha256:\w{64})+\n?", pin), pin


def test_two_at_a_time_do_not_install_into_one(machine: Machine, tmp_path: Path) -> None:
    """A second make ends beside one that installs, names its process and changes nothing."""
    machine.add("python3.13", "3.13")
    os.mkfifo(tmp_path / "end")
    end = os.open(tmp_path / "end", os.O_RDWR)
    first = subprocess.Popen(
        [ROOT / ".ci/environment", machine.environment, "", "--extra", "demo"],
        env={**machine.variables, "UV_WAITS": str(tmp_path / "end")},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with first:
        assert first.stdout is not None
        try:
            assert any(line.startswith("uv pip install") for line in first.stdout)
            (machine.environment / ".demo").touch()
            machine.run("environment", "--check", machine.environment, "3.12")
            assert (machine.environment / ".demo").exists()
            second = machine.install()
            assert second.returncode == 1
            assert f"process {first.pid} is installing there" in second.stderr
            os.write(end, b"\n\n")
            assert first.wait(60) == 0
        finally:
            first.kill()
            os.close(end)
    assert "Making" not in machine.install().stdout


def test_a_failed_installation_says_so(machine: Machine) -> None:
    """Without a network the command fails, and leaves what was there."""
    machine.add("python3.13", "3.13")
    machine.install()
    done = machine.install(UV_STATUS="2")
    assert done.returncode == 1
    assert "The packages could not be installed." in done.stderr
    assert "Making" not in machine.install().stdout


def test_a_folder_that_is_something_else_is_kept(machine: Machine) -> None:
    """A folder that no Python has made is not removed."""
    machine.add("python3.13", "3.13")
    machine.environment.mkdir()
    (machine.environment / "thesis.txt").touch()
    done = machine.install()
    assert done.returncode == 1
    assert "is not an environment of Python; move it away" in done.stderr
    assert [file.name for file in machine.environment.iterdir()] == ["thesis.txt"]
