"""`zenml-vertex emulator` as users start it: a process with options and signals."""

import errno
import os
import re
import resource
import select
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pytest
import requests
from click.testing import CliRunner

from tests.support.emulators import PARENT
from zenml_vertex.cli import main

Json = dict[str, Any]
READY = re.compile(r"Vertex AI emulator listening on (http://[\w.]+:\d+(?:/secret=\S+)?)\n")
MAIN = "from zenml_vertex.cli import main; main(prog_name='zenml-vertex')"
COMMAND = [sys.executable, "-c", MAIN, "emulator"]
QUICK = ["--provisioning-seconds=0", "--teardown-seconds=0"]
BEFORE = ("QUEUED", "PENDING", "RUNNING", "CANCELLING")
SECRET = "t0ken-of-the-emulator"


class Process:
    """A running `zenml-vertex emulator`."""

    def __init__(self, *options: str, **variables: str) -> None:
        self._process = subprocess.Popen(
            [*COMMAND, *QUICK, "--log-level=debug", *options],
            env={**os.environ, "ZENML_STORE_API_KEY": SECRET, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.errors: list[str] = []
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,))
        self._reader.start()
        assert self._process.stdout
        self.first_line = self._process.stdout.readline()
        match = READY.fullmatch(self.first_line)
        assert match, (self.first_line, self.errors)
        self.url = match.group(1)

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read(self, stream: IO[str]) -> None:
        self.errors += stream.readlines()

    def end(self, number: signal.Signals) -> int:
        if self._process.poll() is None:
            self._process.send_signal(number)
        status = self._process.wait(20)
        self._reader.join()
        assert self._process.stdout
        assert self._process.stderr
        if not self._process.stdout.closed:
            assert self._process.stdout.read() == ""
        self._process.stdout.close()
        self._process.stderr.close()
        return status

    def create(self, job: Json) -> str:
        answer = requests.post(f"{self.url}/v1/{PARENT}/customJobs", json=job, timeout=10)
        return str(answer.json()["name"])

    def get(self, name: str) -> Json:
        job: Json = requests.get(f"{self.url}/v1/{name}", timeout=10).json()
        return job


@pytest.fixture
def begin() -> Iterator[Callable[..., Process]]:
    """Start the command; every process that still runs is killed at the end."""
    started: list[Process] = []

    def begin(*options: str, **variables: str) -> Process:
        process = Process(*options, **variables)
        started.append(process)
        return process

    yield begin
    for process in started:
        if process._process.poll() is None:
            process.end(signal.SIGKILL)


def wait_for_line(process: Process, job_id: str, text: str) -> None:
    """Wait until a job has written a line."""
    body = {
        "resourceNames": ["projects/my-project"],
        "filter": f'resource.labels.job_id="{job_id}" AND textPayload="{text}"',
    }
    pause = threading.Event()
    for _ in range(500):
        answer = requests.post(f"{process.url}/v2/entries:list", json=body, timeout=10)
        if answer.json():
            return
        pause.wait(0.02)
    raise AssertionError(text)


@pytest.fixture
def terminal() -> Iterator[None]:
    """Processes are told of the end of a terminal, also where the tests run under `nohup`."""
    given = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, given)


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_command_reports_readiness_and_exits_cleanly(
    begin: Callable[..., Process], number: signal.Signals
) -> None:
    """The command prints one line when it is ready.

    SIGTERM, Ctrl-C and the end of its terminal end it with status 0.
    """
    process = begin()
    assert requests.get(f"{process.url}/emulator/health", timeout=10).json()["status"] == "ok"
    assert process.end(number) == 0


def test_sigterm_ends_job_programs_and_the_next_start_resumes_the_jobs(
    begin: Callable[..., Process], job_of: Callable[..., Json], tmp_path: Path
) -> None:
    """SIGTERM ends the programs of jobs; the next emulator on the data folder starts them again."""
    pids = tmp_path / "pids"
    code = (
        "import os, signal, sys\n"
        "with open(sys.argv[1], 'a') as file: print(os.getpid(), file=file)\n"
        "print('it runs', flush=True)\n"
        "len(open(sys.argv[1]).readlines()) < 2 and signal.pause()"
    )
    first = begin(f"--data-dir={tmp_path / 'data'}")
    done = first.create(job_of("true"))
    name = first.create(job_of("python", "-c", code, str(pids)))
    wait_for_line(first, name.rsplit("/", 1)[-1], "it runs")
    assert first.end(signal.SIGTERM) == 0
    assert_gone(pids)

    second = begin(f"--data-dir={tmp_path / 'data'}")
    assert second.get(done)["name"] == done
    wait_for_state(second, name, "SUCCEEDED")
    assert_gone(pids)
    assert len(pids.read_text().split()) == 2
    assert second.end(signal.SIGTERM) == 0


def test_programs_end_with_a_killed_emulator_that_has_no_data_folder(
    begin: Callable[..., Process], job_of: Callable[..., Json], tmp_path: Path
) -> None:
    """After SIGKILL nobody finds its jobs again: their programs end, with what they started."""
    os.mkfifo(line := tmp_path / "line")
    reader = os.open(line, os.O_RDONLY | os.O_NONBLOCK)
    code = (
        "import os, subprocess, sys\n"
        "writer = os.open(sys.argv[1], os.O_WRONLY)\n"
        "tail = subprocess.Popen(['sleep', '60'], pass_fds=[writer], start_new_session=True)\n"
        "os.write(writer, b'up')\n"
        "tail.wait()"
    )
    emulator = begin()
    emulator.create(job_of("python", "-c", code, str(line)))
    with os.fdopen(reader, "rb", buffering=0) as stream:
        assert select.select([stream], [], [], 20)[0]
        assert stream.read(2) == b"up"
        emulator.end(signal.SIGKILL)
        # The end of the file: whoever held the other end has exited.
        assert select.select([stream], [], [], 20)[0]
        assert stream.read() == b""


def test_faults_are_planned_from_outside(
    begin: Callable[..., Process], job_of: Callable[..., Json], tmp_path: Path
) -> None:
    """After a kill the plan of faults is gone, but pending incidents of a job still happen.

    SIGUSR1 takes Vertex AI down meanwhile, and SIGUSR2 brings it back.
    """
    first = begin(f"--data-dir={tmp_path}")
    faults = [
        {"fault": "Held", "at": "queued"},
        {"fault": "Expired", "at": "queued", "after": 0.5},
        {"fault": "ErrorAnswer", "method": "get", "status": 503, "count": 0},
    ]
    planned = requests.post(f"{first.url}/emulator/faults", json={"faults": faults}, timeout=10)
    assert len(planned.json()["faults"]) == 3
    name = first.create(job_of("true"))
    assert first.get(name)["error"]["status"] == "UNAVAILABLE"
    first.end(signal.SIGKILL)
    second = begin(f"--data-dir={tmp_path}")
    assert requests.get(f"{second.url}/emulator/faults", timeout=10).json() == {"faults": []}
    pause = threading.Event()
    os.kill(second.pid, signal.SIGUSR1)
    plan_url = f"{second.url}/emulator/faults"
    while not requests.get(plan_url, timeout=10).json()["faults"]:
        pause.wait(0.02)
    with pytest.raises(requests.ConnectionError):
        second.get(name)
    os.kill(second.pid, signal.SIGUSR2)
    while requests.get(plan_url, timeout=10).json()["faults"]:
        pause.wait(0.02)
    while (state := second.get(name)["state"]) == "JOB_STATE_QUEUED":
        pause.wait(0.02)
    assert state == "JOB_STATE_EXPIRED"


def wait_for_state(process: Process, name: str, state: str) -> Json:
    """Wait until a job that runs has another state."""
    pause = threading.Event()
    while (job := process.get(name))["state"] != f"JOB_STATE_{state}":
        assert job["state"] in {f"JOB_STATE_{one}" for one in BEFORE}, job
        pause.wait(0.02)
    return job


def assert_gone(file: Path) -> None:
    """Assert that no process whose ID is in a file is alive."""
    for pid in file.read_text().split():
        with suppress(FileNotFoundError):
            # An exited process that has not been reaped yet is a zombie.
            assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_no_secret_is_written(begin: Callable[..., Process], job_of: Callable[..., Json]) -> None:
    """The output holds no variable of a job, no token of a caller and no secret of the process."""
    process = begin()
    env = [{"name": "ZENML_STORE_API_TOKEN", "value": "t0ken-of-the-job"}]
    command = ["python", "-c", "import os; print(dict(os.environ))"]
    container = {"imageUri": "i", "command": command, "env": env}
    job_id = process.create(job_of(pool={"containerSpec": container})).rsplit("/", 1)[-1]
    headers = {"Authorization": "Bearer t0ken-of-the-caller"}
    body = {
        "resourceNames": ["projects/my-project"],
        "filter": f'resource.labels.job_id="{job_id}"',
    }
    wait_for_line(process, job_id, "Job completed successfully.")
    logs = requests.post(
        f"{process.url}/v2/entries:list", json=body, headers=headers, timeout=10
    ).text
    assert SECRET not in logs
    assert "ZENML_STORE_API_KEY" not in logs
    requests.get(f"{process.url}/v1/x?access_token=t0ken-in-the-url", headers=headers, timeout=10)
    calls = requests.get(f"{process.url}/emulator/requests", timeout=10).text
    process.end(signal.SIGTERM)
    assert any("customJobs" in line for line in process.errors)
    assert "t0ken" not in "".join(process.errors) + calls


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--host=0.0.0.0"], "not a loopback address"),
        (["--host=example.com"], "not a loopback address"),
        (["--port=70000"], "65535"),
        (["--data-dir=/etc/hosts"], "is a file"),
        (["--runtime=magic"], "magic"),
        (["--recorded-timings", "--teardown-seconds=1"], "cannot be used together"),
        (["--provisioning-seconds=-1"], "-1"),
        (["--token-lifetime=0"], "0"),
        *(
            ([f"{option}={number}"], f"'{option}': {float(number)} is not")
            for option in ("--provisioning-seconds", "--teardown-seconds", "--token-lifetime")
            for number in ("nan", "inf", "1e300")
        ),
    ],
)
def test_an_invalid_option_is_explained(options: list[str], text: str) -> None:
    """An invalid value is a usage error that names the option."""
    result = CliRunner().invoke(main, ["emulator", *options])
    assert result.exit_code == 2
    assert text in result.output


def test_a_port_or_data_folder_in_use_is_refused(
    begin: Callable[..., Process], tmp_path: Path
) -> None:
    """A port or data folder in use is one clear line, without a traceback."""
    process = begin(f"--data-dir={tmp_path}")
    port = process.url.rsplit(":", 1)[-1]
    for option in (f"--port={port}", f"--data-dir={tmp_path}"):
        done = subprocess.run(
            [*COMMAND, option],
            capture_output=True,
            text=True,
            timeout=30,
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.startswith("Error: ")
        assert done.stderr.count("\n") == 1
        if option.startswith("--port"):
            assert f"Port {port} on 127.0.0.1 is already in use. Process " in done.stderr
            assert f"Process {process.pid} (" in done.stderr
            assert done.stderr.endswith("`zenml-vertex emulator --port 0` takes a free one.\n")


def test_the_advice_about_a_port_keeps_the_other_options(tmp_path: Path) -> None:
    """Who followed the advice about a port in use got an emulator without the other options."""
    options = ["--data-dir", str(tmp_path / "a b"), "--host", "127.0.0.2"]
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(
            main, ["emulator", *options, "--port", port], prog_name="zenml-vertex"
        )
    assert f"Port {port} on 127.0.0.2 is already in use." in result.stderr
    advised = shlex.split(result.stderr.split("`")[1])
    given = ["--host", "127.0.0.2", "--port", "0", "--data-dir", str(tmp_path / "a b")]
    assert advised == ["zenml-vertex", "emulator", *given]


@pytest.mark.parametrize("number", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_an_address_that_the_machine_lacks_is_not_cured_by_a_port(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Where an address is missing, as `::1` is without IPv6, another port does not help."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    options = ["--host", "127.0.0.3", "--port", "8000"]
    result = CliRunner().invoke(main, ["emulator", *options], prog_name="zenml-vertex")
    assert result.stderr == (
        f"Error: This machine cannot listen on 127.0.0.3: {os.strerror(number)}. "
        "`zenml-vertex emulator --host 127.0.0.1 --port 8000` listens on one that every machine "
        "has.\n"
    )


def test_a_disk_that_is_full_is_explained(
    begin: Callable[..., Process], job_of: Callable[..., Json], tmp_path: Path
) -> None:
    """A job that cannot be kept is refused with a sentence that names the folder, as on stderr."""
    process = begin(f"--data-dir={tmp_path}")
    # Nothing more can be written, as on a full disk.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    url = f"{process.url}/v1/{PARENT}/customJobs"
    error = requests.post(url, json=job_of("true"), timeout=10).json()["error"]
    assert error["message"].startswith(f"Cannot write to {tmp_path}: ")
    assert "another --data-dir." in error["message"]
    assert process.end(signal.SIGTERM) == 0
    assert "Traceback" not in "".join(process.errors)


def test_a_bad_document_is_explained(tmp_path: Path) -> None:
    """A document that cannot be read is one clear line that names it, without a traceback."""
    file = tmp_path / "projects/1/locations/us-central1/customJobs/2/document.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    done = subprocess.run(
        [*COMMAND, f"--data-dir={tmp_path}"],
        capture_output=True,
        text=True,
        timeout=30,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: Cannot read {file}: ")
    assert done.stderr.count("\n") == 1


def test_the_emulator_does_not_import_zenml_or_google() -> None:
    """The emulator starts quickly, because it imports neither ZenML nor Google's packages."""
    code = (
        "import sys; before = set(sys.modules)\n"
        "import vertex_emulator.server, zenml_vertex.cli.emulator\n"
        "print([name for name in set(sys.modules) - before if name.split('.')[0] in "
        "{'zenml', 'google', 'grpc', 'requests', 'pydantic'}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "[]\n"
