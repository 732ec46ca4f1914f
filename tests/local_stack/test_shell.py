"""`zenml-vertex local-stack`, as a user runs it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.leftovers import find_processes

BIN = Path(sys.executable).parent
COMMAND = [str(BIN / "zenml-vertex"), "local-stack"]
# The servers alone, which take 8 s on two cores.
SECONDS = 90

LOOK = """
echo "zenml is $(command -v zenml)"
echo kept >~/kept.txt
echo "project is $GOOGLE_CLOUD_PROJECT."
python -c 'from zenml.client import Client; print("stack is", Client().active_stack_model.name)'
echo "secret is $ZENML_DEFAULT_USER_PASSWORD"
exit 7
echo too late
"""

# What the user has in their home folder, and nobody is to read or change.
USERS_FILES = {
    ".config/fsspec/gcs.json": '{"gcs": {"endpoint_url": "http://127.0.0.1:9"}}',
    ".config/gcloud/configurations/config_default": "[core]\nproject = users-project\n",
    ".config/zenml/config.yaml": "store:\n  type: rest\n  url: https://zenml.example.com\n",
    ".docker/config.json": '{"auths": {"europe-west4-docker.pkg.dev": {"auth": "dTpw"}}}',
}

# Exits in its own time after it was interrupted once, and otherwise if it is interrupted again.
PATIENT = """
import signal, sys
interrupt = [signal.SIGINT]
signal.pthread_sigmask(signal.SIG_BLOCK, interrupt)
print("up", flush=True)
signal.sigwait(interrupt)
sys.exit(12 if signal.sigtimedwait(interrupt, 0.3) else 11)
"""
# Is told to end, says so, and goes on.
STUBBORN = """
import os, signal
signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"told\\n"))
print("up", flush=True)
while True:
    signal.pause()
"""
STUCK = "import signal; print('up', flush=True); signal.pause()"


@pytest.fixture
def user(tmp_path: Path) -> dict[str, str]:
    """The environment of a user with a project of their own and no active virtual environment."""
    home = tmp_path / "home"
    for name, content in USERS_FILES.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(content, "utf-8")
    (tmp_path / "temporary").mkdir()
    return {
        **os.environ,
        "GOOGLE_CLOUD_PROJECT": "users-project",
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
        "SHELL": "/bin/sh",
        "TMPDIR": str(tmp_path / "temporary"),
    }


@contextmanager
def _start(user: dict[str, str], program: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a command on the stack in its own process group, and wait until it is up."""
    with subprocess.Popen(
        [*COMMAND, "python", "-c", program],
        env=user,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            yield process
        finally:
            process.kill()


def _assert_nothing_is_left(folder: Path, *written: str) -> None:
    """The user's home folder is as it was, with what was written there, and all else is gone."""
    assert find_processes(folder / "temporary") == []
    assert list((folder / "temporary").iterdir()) == []
    home = folder / "home"
    files = {str(file.relative_to(home)) for file in home.rglob("*") if file.is_file()}
    assert files == {*USERS_FILES, *written}
    for name, content in USERS_FILES.items():
        assert (home / name).read_text("utf-8") == content


def test_a_shell_works_with_the_stack(user: dict[str, str], tmp_path: Path) -> None:
    """In the shell, `python` and `zenml` are this environment's, and the local stack is active.

    Nothing of the user's configuration is there, but their home folder is. The exit status is
    the shell's. The command's own messages go to stderr and hold no secret; nothing is left at
    the end, except what was written to the home folder.
    """
    done = subprocess.run(
        COMMAND, env=user, input=LOOK, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 7, done.stderr
    lines = dict(line.split(" is ") for line in done.stdout.splitlines() if " is " in line)
    assert lines["zenml"] == str(BIN / "zenml")
    assert lines["project"] == "."
    assert lines["stack"] == "local-vertex"
    assert len(lines["secret"]) > 20
    assert lines["secret"] not in done.stderr
    assert "too late" not in done.stdout
    assert "nothing is left running" in done.stderr
    _assert_nothing_is_left(tmp_path, "kept.txt")


def test_ctrl_c_reaches_the_command_once(user: dict[str, str], tmp_path: Path) -> None:
    """The command gets Ctrl-C once, from the terminal; when it has exited, the stack ends."""
    with _start(user, PATIENT) as process:
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 11, errors
    assert "Traceback" not in errors
    _assert_nothing_is_left(tmp_path)


def test_sigterm_ends_the_command(user: dict[str, str], tmp_path: Path) -> None:
    """SIGTERM ends the command on the stack, too, which got no signal from a terminal."""
    with _start(user, STUCK) as process:
        process.terminate()
        process.communicate(timeout=SECONDS)
    assert process.returncode == 128 + signal.SIGTERM
    _assert_nothing_is_left(tmp_path)


def test_a_second_sigterm_ends_a_command_that_ignores_the_first(
    user: dict[str, str], tmp_path: Path
) -> None:
    """Whoever asks twice does not wait: the command is killed, and then the stack ends."""
    with _start(user, STUBBORN) as process:
        process.terminate()
        assert process.stdout is not None
        assert process.stdout.readline() == "told\n"
        process.terminate()
        process.communicate(timeout=SECONDS)
    assert process.returncode == 128 + signal.SIGTERM
    _assert_nothing_is_left(tmp_path)


def test_a_command_that_starts_during_a_sigterm_is_ended() -> None:
    """A SIGTERM that comes while the command is being started ends the command as well."""
    code = """
import os, signal
from zenml_vertex.cli.local_stack import _run
from zenml_vertex.cli.signals import exit_cleanly_on_signals
from zenml_vertex.local_stack.processes import launcher
parent = os.getpid()
launcher.plan_end_with_parent = lambda number: lambda: os.kill(parent, signal.SIGTERM)
exit_cleanly_on_signals()
_run(["sh", "-c", "exec sleep 60"], dict(os.environ), signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30)
    assert done.returncode == 128 + signal.SIGTERM, done.stderr


def test_a_command_that_does_not_exist_starts_nothing(user: dict[str, str], tmp_path: Path) -> None:
    """A missing command is one line of error, before any server is started."""
    done = subprocess.run([*COMMAND, "pyhton"], env=user, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "Error: Command not found: `pyhton`.\n")
    _assert_nothing_is_left(tmp_path)
