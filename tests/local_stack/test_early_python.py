"""A Python that starts before its script is known runs it as if it had just been started."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from zenml_vertex.local_stack.processes.early_python import EarlyPython

_SCRIPT = """
import __main__, json, os, sys
from neighbour import NAME
print(json.dumps({
    "argv": sys.argv,
    "main": __main__.__file__,
    "name": __name__,
    "cwd": os.getcwd(),
    "neighbour": NAME,
    "told": os.environ.get("TOLD"),
    "early": os.environ.get("EARLY"),
    "was_imported": "colorsys" in sys.modules,
    "input": sys.stdin.read(),
}))
sys.exit(7)
"""


@pytest.fixture
def early() -> Iterator[EarlyPython]:
    """One that imports a module which no other imports."""
    waiting = EarlyPython(["colorsys"], {"PATH": os.defpath, "EARLY": "1"})
    yield waiting
    waiting.end()


@contextmanager
def pidfd(number: int) -> Iterator[int]:
    """What tells when a process that is not a child has ended."""
    descriptor = os.pidfd_open(number)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(process: "subprocess.Popen[bytes]") -> str:
    output, _ = process.communicate(timeout=60)
    return output.decode()


def test_a_script_finds_what_it_would_find_in_a_python_of_its_own(
    early: EarlyPython, tmp_path: Path
) -> None:
    """Arguments, folder, neighbours, environment and exit status are the script's own."""
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT, "utf-8")
    (tmp_path / "neighbour.py").write_text("NAME = 'neighbour'\n", "utf-8")
    environment = {"PATH": os.defpath, "TOLD": "ä\n"}

    process = early.run(["script.py", "a b"], folder=tmp_path, environment=environment)
    found = json.loads(_read(process))

    assert process.returncode == 7
    assert (found["told"], found["early"], found["neighbour"]) == ("ä\n", None, "neighbour")
    assert found["was_imported"]
    plain = subprocess.run(
        [sys.executable, "script.py", "a b"],
        cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        check=False,
    )  # fmt: skip
    assert found == {**json.loads(plain.stdout), "was_imported": True}


def test_it_runs_one_script(early: EarlyPython, tmp_path: Path) -> None:
    """Whoever asks for a second script is told, and the first is not disturbed."""
    script = tmp_path / "script.py"
    script.write_text("print('ran')", "utf-8")
    process = early.run(["script.py"], folder=tmp_path, environment={})

    assert not early.is_waiting
    with pytest.raises(RuntimeError, match="already"):
        early.run(["script.py"], folder=tmp_path, environment={})
    early.end()
    assert _read(process) == "ran\n"


def test_a_module_that_cannot_be_imported_is_in_the_output(tmp_path: Path) -> None:
    """The pipeline's output says what was missing."""
    early = EarlyPython(["no_such_module"], {})
    process = early.run(["script.py"], folder=tmp_path, environment={"WIDE": "x" * 1_000_000})

    assert "No module named 'no_such_module'" in _read(process)
    assert process.returncode == 1


def test_it_ends_without_a_script_when_the_other_process_is_gone() -> None:
    """Nothing is left running of a demo that was killed before its pipeline started."""
    parent = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os\n"
            "from zenml_vertex.local_stack.processes.early_python import EarlyPython\n"
            "early = EarlyPython([], dict(os.environ))\n"
            "print(early._process.pid, flush=True)\n"
            "os._exit(9)\n",
        ],
        stdout=subprocess.PIPE,
        check=False,
    )
    assert parent.returncode == 9
    pid = int(parent.stdout)
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with os.fdopen(descriptor) as watched:
        assert select.select([watched], [], [], 30)[0], "it is still waiting for a script"


def test_its_script_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    """A demo that is killed leaves no pipeline behind."""
    (tmp_path / "script.py").write_text(
        "import signal, time\nprint('runs', flush=True)\nsignal.pause()\n", "utf-8"
    )
    starter = (
        "import sys\n"
        "from pathlib import Path\n"
        "from zenml_vertex.local_stack.processes.early_python import EarlyPython\n"
        "early, folder = EarlyPython([], {}), Path(sys.argv[1])\n"
        "process = early.run(['script.py'], folder=folder, environment={})\n"
        "print(process.pid, process.stdout.readline().decode(), flush=True)\n"
        "process.wait()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", starter, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    number, word = parent.stdout.readline().split()
    assert word == "runs"
    with pidfd(int(number)) as descriptor:
        parent.kill()
        parent.wait(timeout=30)
        ended, _, _ = select.select([descriptor], [], [], 30)
    parent.stdout.close()
    assert ended
