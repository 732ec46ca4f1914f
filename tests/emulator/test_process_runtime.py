import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from vertex_emulator.runtimes.contract import Container, Exit, Replica
from vertex_emulator.runtimes.process import ProcessRuntime, adapt_command
from vertex_emulator.runtimes.process_tree import find_members

JOB_ID = "4242424242424242424"
MARKER = f"CLOUD_ML_JOB_ID={JOB_ID}"


class Output:
    """The output lines of a container, and a way to wait for one."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._changed = threading.Condition()

    def __call__(self, stream: str, line: str) -> None:
        with self._changed:
            self.lines.append((stream, line))
            self._changed.notify_all()

    def wait_for(self, line: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: ("stdout", line) in self.lines, 20), self.lines


Start = Callable[..., tuple[Replica, Output]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start containers; nothing of them is left at the end."""
    replicas: list[Replica] = []

    def start(
        *command: str,
        environ: Mapping[str, str] | None = None,
        grace: float = 5.0,
        name: str = "a",
        job_id: str = JOB_ID,
        **environment: str,
    ) -> tuple[Replica, Output]:
        folder = tmp_path / name
        folder.mkdir()
        output = Output()
        container = Container(
            job_id=job_id,
            attempt=1,
            image_uri="image:1",
            command=command,
            environment={"CLOUD_ML_JOB_ID": job_id, **environment},
            folder=folder,
            metadata_host="127.0.0.1:1",
        )
        replica = ProcessRuntime(environ or {}, grace).start(container, output)
        replicas.append(replica)
        return replica, output

    yield start
    for replica in replicas:
        replica.terminate()
    assert find_members(MARKER, None) == set()


def test_output_and_status_are_returned(start: Start) -> None:
    """Both streams arrive line by line, with invalid bytes replaced, before `wait` returns."""
    code = (
        "import sys; print('out'); print('no end', end='', flush=True);"
        "sys.stderr.buffer.write(b'\\xff err\\r\\n'); sys.exit(7)"
    )
    replica, output = start("python", "-c", code)
    assert replica.wait() == Exit(7)
    assert [line for stream, line in output.lines if stream == "stdout"] == ["out", "no end"]
    assert ("stderr", "� err") in output.lines


@pytest.mark.parametrize(("number", "status"), [("ABRT", 134), ("SEGV", 139), ("KILL", 137)])
def test_a_signal_gives_the_status_that_a_shell_gives(
    start: Start, number: str, status: int
) -> None:
    """A program that dies of signal N has the exit status 128 + N."""
    replica, _ = start(
        "python", "-c", f"import os, signal; os.kill(os.getpid(), signal.SIG{number})"
    )
    assert replica.wait() == Exit(status)


@pytest.mark.parametrize("command", ["no-such-program", "/etc/passwd", "null\0byte"])
def test_a_command_that_cannot_be_run_is_a_start_error(start: Start, command: str) -> None:
    """A command that cannot be started has status 128 and a reason like containerd's."""
    replica, _ = start(command)
    end = replica.wait()
    assert end.status == 128
    assert (end.start_error or "").startswith("failed to create containerd task: ")


def test_a_job_does_not_inherit_the_environment(start: Start) -> None:
    """A job inherits nothing of the emulator's environment, except three addresses."""
    environ = {
        **os.environ,
        "MY_SECRET": "hunter2",
        "GOOGLE_APPLICATION_CREDENTIALS": "/key.json",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9",
        "SSL_CERT_FILE": "/ca.pem",
        "REQUESTS_CA_BUNDLE": "/ca.pem",
    }
    replica, output = start("env", environ=environ, GIVEN="yes", HOME="/given")
    assert replica.wait() == Exit(0)
    seen = dict(line.split("=", 1) for _, line in output.lines)
    assert seen["PATH"].split(":")[0] == str(Path(sys.executable).parent)
    del seen["PATH"]
    assert seen == {
        "CLOUD_ML_JOB_ID": JOB_ID,
        "GCE_METADATA_HOST": "127.0.0.1:1",
        "GCE_METADATA_IP": "127.0.0.1:1",
        "GIVEN": "yes",
        "HOME": "/given",
        "LANG": "C.UTF-8",
        "REQUESTS_CA_BUNDLE": "/ca.pem",
        "SSL_CERT_FILE": "/ca.pem",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9",
        "VERTEX_EMULATOR_REPLICA": f"{JOB_ID}/workerpool0-0",
    }


TREE = """
import os, signal, subprocess, sys
keep_away = {"PATH": os.environ["PATH"]}
for options in ({}, {"start_new_session": True}, {"start_new_session": True, "env": keep_away}):
    subprocess.Popen(["sleep", "infinity"], **options)
print("up", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_ending_a_container_ends_its_whole_process_tree(start: Start) -> None:
    """Children end too, even those with sessions and environments of their own."""
    replica, output = start("python", "-c", TREE + "signal.pause()")
    output.wait_for("up")
    members = find_members(MARKER, None)
    assert len(members) == 4
    replica.terminate()
    assert replica.wait() == Exit(143)
    assert not any(Path(f"/proc/{pid}").exists() for pid in members if not is_zombie(pid))


def is_zombie(pid: int) -> bool:
    """Return whether a process has exited."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_background_processes_are_ended(start: Start) -> None:
    """A container ends with its first process, and background processes are ended."""
    replica, output = start("bash", "-c", "setsid sleep infinity & sleep infinity & echo up")
    assert replica.wait() == Exit(0)
    assert output.lines == [("stdout", "up")]
    assert find_members(MARKER, None) == set()


def test_a_program_that_ignores_sigterm_is_killed(start: Start) -> None:
    """A program that ignores SIGTERM gets SIGKILL after the grace period."""
    code = (
        "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    )
    replica, output = start("python", "-c", code, grace=0.1)
    output.wait_for("up")
    replica.terminate()
    assert replica.wait() == Exit(137)


def test_a_program_can_use_the_grace_period(start: Start) -> None:
    """SIGTERM comes first, and the program has the grace period to exit."""
    code = (
        "import os, signal, sys\n"
        "def bye(*_): os.write(1, b'bye\\n'); sys.exit(3)\n"
        "signal.signal(15, bye); print('up', flush=True); signal.pause()"
    )
    replica, output = start("python", "-c", code)
    output.wait_for("up")
    replica.terminate()
    replica.terminate()
    assert replica.wait() == Exit(3)
    assert ("stdout", "bye") in output.lines


def test_leftovers_of_a_crash_are_ended() -> None:
    """Processes with a job's ID are ended by an emulator that did not start them."""
    process = subprocess.Popen(
        ["sleep", "infinity"], env={"CLOUD_ML_JOB_ID": JOB_ID}, start_new_session=True
    )
    ProcessRuntime({}).end_leftovers(JOB_ID)
    assert process.wait(10) == -signal.SIGKILL


APP = """
import os, pathlib, pickle, shutil, sys
os.makedirs("/app", exist_ok=True)
os.chdir("/app")
with open("/app/own.txt", "w") as file:
    file.write(os.environ["WHO"])
pathlib.Path("/app/deep/er").mkdir(parents=True)
pathlib.Path("/app/deep/er/x.txt").write_text("x")
assert os.path.isfile("/app/own.txt") and os.path.exists("own.txt")
assert sorted(os.listdir("/app")) == ["deep", "own.txt"], os.listdir("/app")
assert [entry.name for entry in os.scandir("/app/deep")] == ["er"]
assert sorted(path.name for path in pathlib.Path("/app").iterdir()) == ["deep", "own.txt"]
shutil.copytree("/app/deep", "/app/copy")
assert pathlib.Path("/app/copy/er/x.txt").read_text() == "x"
shutil.rmtree("/app/copy")
os.replace("/app/deep/er/x.txt", "/app/y.txt")
assert not os.path.exists("/application") and not os.path.exists("/app/../app/none")
print(open("/app/own.txt").read(), os.getcwd())
"""


@pytest.mark.parametrize("kind", ["-c", "script"])
def test_each_job_has_its_own_app_folder(start: Start, tmp_path: Path, kind: str) -> None:
    """Jobs that run at once write to the same /app path, and each sees only its own files."""
    script = tmp_path / "program.py"
    script.write_text(APP)
    arguments = ["-c", APP] if kind == "-c" else [str(script)]
    started = [
        start("python3", *arguments, name=who, job_id=number, WHO=who)
        for who, number in (("one", "41"), ("two", "42"))
    ]
    for who, (replica, output) in zip(("one", "two"), started, strict=True):
        assert replica.wait() == Exit(0), output.lines
        assert output.lines == [("stdout", f"{who} {tmp_path / who / 'app'}")]
    assert not Path("/app").exists() or not Path("/app/own.txt").exists()


MODULE = """
import os, pickle, sys
class Thing: pass
assert __name__ == "__main__" and sys.modules["__main__"].__dict__ is globals()
pickle.loads(pickle.dumps(Thing()))
print(sys.argv[1:], os.path.basename(sys.argv[0]), sys.path[0] == os.path.dirname(__file__))
"""


def test_a_module_runs_as_main(start: Start, tmp_path: Path) -> None:
    """`python -m` finds modules on the path and gives them their arguments and `__main__`."""
    (tmp_path / "program.py").write_text(MODULE)
    replica, output = start("python", "-m", "program", "a", "-b c", PYTHONPATH=str(tmp_path))
    assert replica.wait() == Exit(0), output.lines
    assert output.lines == [("stdout", "['a', '-b c'] program.py False")]


def test_a_script_runs_as_main(start: Start, tmp_path: Path) -> None:
    """A script runs as `__main__`, with its own folder first on the path."""
    script = tmp_path / "program.py"
    script.write_text(MODULE)
    replica, output = start("python", str(script), "a")
    assert replica.wait() == Exit(0), output.lines
    assert output.lines == [("stdout", "['a'] program.py True")]


@pytest.mark.parametrize(
    ("command", "adapted"),
    [
        (("python", "-m", "x", "-y"), ["PY", "SHIM", "APP", "-m", "x", "-y"]),
        (("python3", "-u", "-W", "ignore", "-X", "dev", "-m", "x"),
         ["PY", "-u", "-W", "ignore", "-X", "dev", "SHIM", "APP", "-m", "x"]),
        (("/usr/bin/python3.12", "main.py"), ["PY", "SHIM", "APP", "main.py"]),
        (("python", "-Wignore", "-c", "1"), ["PY", "-Wignore", "SHIM", "APP", "-c", "1"]),
        (("python", "--version"), ["PY", "--version"]),
        (("python", "-"), ["PY", "-"]),
        (("python",), ["PY"]),
        (("pythonx", "-m", "x"), ["pythonx", "-m", "x"]),
        (("bash", "-c", "python -m x"), ["bash", "-c", "python -m x"]),
    ],
)  # fmt: skip
def test_python_runs_with_this_interpreter(command: tuple[str, ...], adapted: list[str]) -> None:
    """A command that starts Python uses this interpreter, with its options before the shim."""
    real = adapt_command(command, Path("APP"))
    shown = ["PY" if part == sys.executable else part for part in real]
    shown = ["SHIM" if part.endswith("shim.py") else part for part in shown]
    assert shown == adapted


def test_an_abandoned_container_ends_nothing_of_its_successor(start: Start) -> None:
    """After a crash, the exit of an old program does not end the same job's new one."""
    loop = "import signal\nprint('up', flush=True)\nsignal.pause()"
    old, old_output = start("python", "-c", loop, name="old")
    old_output.wait_for("up")
    old.abandon()
    (old_pid,) = find_members(MARKER, None)
    new, new_output = start("python", "-c", loop, name="new")
    new_output.wait_for("up")
    os.kill(old_pid, signal.SIGKILL)
    assert old.wait() == Exit(137)
    assert find_members(MARKER, None) != set()
    new.kill()
    assert new.wait() == Exit(137)
