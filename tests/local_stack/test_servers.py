"""Server processes: how they start and how they end."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from zenml_vertex.local_stack.processes import servers
from zenml_vertex.local_stack.processes.ending import end_process, hold_signals
from zenml_vertex.local_stack.processes.loopback import open_listener, send_request
from zenml_vertex.local_stack.processes.servers import Server, StartError, find_announced_url

STORAGE = "zenml_vertex.local_stack.programs.storage_server:main"
HERE = "tests.support.misbehaving"


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def _wait_for_text(file: Path, text: str) -> None:
    deadline = time.monotonic() + 30
    while text not in file.read_text("utf-8"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_server_serves_on_the_socket_that_it_is_given(tmp_path: Path) -> None:
    """A server's address is known before it starts, and is free after it has stopped."""
    server = Server(
        "storage",
        STORAGE,
        ["a-bucket"],
        environment=os.environ,
        log=tmp_path / "log",
        listener=open_listener(),
    )
    try:
        server.wait_until_ready(30)
        answer = send_request(f"{server.url}/storage/v1/b/a-bucket")
        assert (answer.status, answer.content["name"]) == (200, "a-bucket")
    finally:
        server.stop()
    with pytest.raises(OSError, match="refused"):
        send_request(server.url)
    server.stop()


def test_a_module_in_the_current_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever could write to the folder that a stack was started in, such as /tmp, ran code as you.

    Each server imported from there first, with the ZenML server's password in its environment.
    """
    for name in ("zenml_vertex", "uvicorn", "runpy", "vertex_emulator"):
        (tmp_path / f"{name}.py").write_text("open('planted', 'w').close()", "utf-8")
    monkeypatch.chdir(tmp_path)
    server = Server(
        "storage",
        STORAGE,
        ["a-bucket"],
        environment={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        log=tmp_path / "log",
        listener=open_listener(),
    )
    try:
        server.wait_until_ready(30)
    finally:
        server.stop()
    assert not (tmp_path / "planted").exists()


def test_a_server_that_ends_is_reported_with_its_log(tmp_path: Path) -> None:
    """The error names the server and its exit status and shows its last log lines."""
    server = Server(
        "fragile server", f"{HERE}:fail", environment=_environment(), log=tmp_path / "log"
    )
    try:
        with pytest.raises(StartError) as caught:
            server.wait_until_ready(30)
    finally:
        server.stop()
    assert str(caught.value) == (
        f"The fragile server ended with status 3. The end of its log ({tmp_path / 'log'}):\n"
        "    there is no such database"
    )


def test_a_server_that_hangs_is_ended(tmp_path: Path) -> None:
    """The wait for a server times out and ends the server."""
    server = Server(
        "silent server", f"{HERE}:hang", environment=_environment(), log=tmp_path / "log"
    )
    try:
        with pytest.raises(StartError, match="The silent server is not ready after 0 s"):
            server.wait_until_ready(0.1)
    finally:
        server.stop()


def test_a_server_that_takes_its_time_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for a server is told every few seconds what it is doing, and for how long."""
    monkeypatch.setattr(servers, "_PROGRESS_SECONDS", 0.2)
    said: list[str] = []
    server = Server("slow server", f"{HERE}:hang", environment=_environment(), log=tmp_path / "log")
    try:
        _wait_for_text(tmp_path / "log", "thinking\n")
        with pytest.raises(StartError):
            server.wait_until_ready(1.0, said.append)
    finally:
        server.stop()
    assert said[0] == "Waiting for the slow server, which is thinking: 0 s."
    assert 2 <= len(said) <= 5


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed, and ending it twice is no error."""
    with (tmp_path / "log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", HERE, "--stubborn"],
            env=_environment(),
            stdout=output,
            start_new_session=True,
        )
    _wait_for_text(tmp_path / "log", "stubborn")
    end_process(process, patience=0.1)
    assert process.returncode == -signal.SIGKILL
    end_process(process, patience=0.1)


def test_an_address_is_read_from_a_complete_line() -> None:
    """A line that is still being written is not read."""
    assert find_announced_url("An emulator listening on http://127.0.0.1:12") is None
    assert (
        find_announced_url("Warning\nAn emulator listening on http://127.0.0.1:1234\n")
        == "http://127.0.0.1:1234"
    )


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """A server ends with its parent, even if the parent was killed and could not clean up."""
    parent = subprocess.Popen(
        [sys.executable, "-m", HERE, "--with-server", str(tmp_path / "log")],
        env=_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    server.wait(timeout=30)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent")
def test_a_command_on_a_stack_ends_with_the_process_that_started_it() -> None:
    """A command that `local-stack` runs does not go on without the servers if that is killed."""
    code = """
import os, signal, sys
from zenml_vertex.cli.local_stack import _run
stuck = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
_run([sys.executable, "-c", stuck], dict(os.environ), signal.SIGTERM)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        command = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        command.wait(timeout=30)


def test_signals_wait_for_the_end_of_the_block() -> None:
    """A Ctrl-C after a process has started, but before it is recorded, leaves no process."""
    code = """
import signal
from zenml_vertex.local_stack.processes.ending import hold_signals
try:
    with hold_signals():
        signal.raise_signal(signal.SIGINT)
        with hold_signals():
            signal.raise_signal(signal.SIGINT)
        print("held")
except KeyboardInterrupt:
    print("then interrupted")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "held\nthen interrupted\n"), done.stderr


def test_signals_are_held_in_the_main_thread_only() -> None:
    """Outside the main thread, holding signals changes nothing."""
    passed = []

    def hold() -> None:
        with hold_signals():
            passed.append(True)

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    assert passed == [True]
