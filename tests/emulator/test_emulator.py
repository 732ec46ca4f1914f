import json
import os
import stat
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.emulators import PARENT, PATIENCE
from vertex_emulator import JobState, ManualClock, Timings, VertexEmulator
from vertex_emulator.core.folders import DataDirInUseError
from vertex_emulator.faults import Deleted
from vertex_emulator.runtimes.contract import Container, Exit, OutputSink, Replica

Json = dict[str, Any]
Submit = Callable[[VertexEmulator, Json], Json]
JobOf = Callable[..., Json]
REAL = Timings(queueing=5, provisioning=200, teardown=55)


def replica_lines(emulator: VertexEmulator, name: str) -> list[str]:
    """Return what the program of a job has written."""
    return emulator.log_lines(name, "workerpool0-0")


def test_time_is_the_emulators_clock(submit: Submit, job_of: JobOf) -> None:
    """On a clock that stands still no state changes, and every time in the API is the clock's."""
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=timezone.utc))
    with VertexEmulator(clock=clock, timings=REAL) as emulator:
        name = submit(emulator, job_of("true"))["name"]
        assert emulator.job(name).state is JobState.QUEUED
        clock.advance(5)
        emulator.wait_for_state(name, JobState.PENDING)
        clock.advance(199)
        assert emulator.job(name).state is JobState.PENDING
        clock.advance(1)
        emulator.wait_for_state(name, JobState.RUNNING)
        emulator.wait_for(lambda: emulator.job(name).stage == "tearing_down")
        assert emulator.job(name).state is JobState.RUNNING
        clock.advance(55)
        job = emulator.wait_for_state(name)
    shown = job.to_json()
    assert shown["createTime"] == "2026-03-01T00:00:00Z"
    assert shown["startTime"] == shown["endTime"] == "2026-03-01T00:03:25Z"
    assert shown["updateTime"] == "2026-03-01T00:04:20Z"


def test_a_timeout_ends_the_program(submit: Submit, job_of: JobOf) -> None:
    """A job that reaches its timeout is CANCELLED, and its program has ended."""
    clock = ManualClock()
    timings = Timings(queueing=0, provisioning=0, teardown=0)
    with VertexEmulator(clock=clock, timings=timings) as emulator:
        code = "import os, signal; print('pid', os.getpid(), flush=True); signal.pause()"
        spec = {"scheduling": {"timeout": "86400s"}}
        name = submit(emulator, job_of("python", "-c", code, **spec))["name"]
        emulator.wait_for_state(name, JobState.RUNNING)
        emulator.wait_for_line(name, "pid ")
        pid = int(replica_lines(emulator, name)[0].split()[1])
        clock.advance(24 * 3600)
        job = emulator.wait_for_state(name)
        assert job.state is JobState.CANCELLED
        assert (job.error or {})["code"] == 1
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_jobs_run_side_by_side(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf, tmp_path: Path
) -> None:
    """Two jobs that wait for each other both end."""
    code = (
        "import os, sys\n"
        "own, other = (os.open(path, os.O_RDWR) for path in sys.argv[1:])\n"
        "os.write(own, b'x')\n"
        "os.read(other, 1)"
    )
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    os.mkfifo(one)
    os.mkfifo(two)
    first = submit(emulator, job_of("python", "-c", code, one, two))["name"]
    second = submit(emulator, job_of("python", "-c", code, two, one))["name"]
    for name in (first, second):
        assert emulator.wait_for_state(name).state is JobState.SUCCEEDED


def test_a_crash_of_the_program_restarts_it(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf, tmp_path: Path
) -> None:
    """A program that dies of SIGSEGV twice runs three times, each time in a fresh folder."""
    tries = tmp_path / "tries"
    code = (
        "import os, pathlib, signal, sys\n"
        "tries = pathlib.Path(sys.argv[1])\n"
        "seen = tries.read_text() if tries.exists() else ''\n"
        "assert not os.listdir('/app')\n"
        "open('/app/here', 'w').close()\n"
        "tries.write_text(seen + 'x')\n"
        "len(seen) < 2 and os.kill(os.getpid(), signal.SIGSEGV)"
    )
    name = submit(emulator, job_of("python", "-c", code, str(tries)))["name"]
    assert emulator.wait_for_state(name).state is JobState.SUCCEEDED
    assert tries.read_text() == "xxx"


def test_jobs_survive_a_restart_of_the_emulator(
    submit: Submit, job_of: JobOf, tmp_path: Path
) -> None:
    """A restart keeps finished jobs and logs, and starts a job that was running again."""
    timings = Timings(queueing=0, provisioning=0, teardown=0, cleanup=0)
    starts = tmp_path / "starts"
    code = (
        "import pathlib, signal, sys\n"
        "starts = pathlib.Path(sys.argv[1])\n"
        "again = starts.exists()\n"
        "starts.touch()\n"
        "print('it runs', flush=True)\n"
        "again or signal.pause()"
    )
    with VertexEmulator(data_dir=tmp_path / "data", timings=timings) as emulator:
        done = submit(emulator, job_of("python", "-c", "print('hello')"))["name"]
        finished = emulator.wait_for_state(done, seconds=PATIENCE)
        entries = emulator.log_entries(done)
        running = submit(emulator, job_of("python", "-c", code, str(starts)))["name"]
        emulator.wait_for_line(running, "it runs", seconds=PATIENCE)
    with VertexEmulator(data_dir=tmp_path / "data", timings=timings) as emulator:
        assert emulator.job(done) == finished
        assert emulator.log_entries(done) == entries
        job = emulator.wait_for_state(running, seconds=PATIENCE)
        assert job.state is JobState.SUCCEEDED
        assert [state.name for state, _ in job.history] == [
            "PENDING", "RUNNING", "PENDING", "RUNNING", "SUCCEEDED",
        ]  # fmt: skip
        lines = emulator.log_lines(running)
        assert "Internal error occurred for the current attempt." in lines
        assert lines.count("it runs") == 2


class LastingRuntime:
    """A runtime whose containers run until they are told to end, and which records its calls."""

    name = "lasting"

    def __init__(self, asked: list[tuple[str, str]]) -> None:
        self._asked = asked

    def find_unserved(self, job_spec: Json) -> list[str]:
        return ["job_spec.network: no"] if "network" in job_spec else []

    def start(self, container: Container, sink: OutputSink) -> Replica:
        self._asked.append(("start", container.job_id))
        sink("stdout", f"attempt {container.attempt} of {container.image_uri}")
        return LastingReplica()

    def end_leftovers(self, job_id: str) -> None:
        self._asked.append(("end leftovers", job_id))


class LastingReplica:
    """A container that runs until it is told to end."""

    def __init__(self) -> None:
        self._told = threading.Event()

    def wait(self) -> Exit:
        self._told.wait()
        return Exit(143)

    def terminate(self) -> None:
        self._told.set()

    def kill(self) -> None:
        self._told.set()

    def abandon(self) -> None:
        """Do nothing; the container ends only when it is told to."""


def test_leftovers_are_ended_before_a_job_runs_again(
    submit: Submit, job_of: JobOf, tmp_path: Path
) -> None:
    """A job's leftovers of a crash are ended first: two of its programs never run at once."""
    asked: list[tuple[str, str]] = []
    timings = Timings(0, 0, 0)
    for _ in range(2):
        runtime = LastingRuntime(asked)
        with VertexEmulator(data_dir=tmp_path, timings=timings, runtime=runtime) as emulator:
            if not emulator.jobs:
                submit(emulator, job_of("true"))
            (job,) = emulator.jobs
            emulator.wait_for(lambda: emulator.jobs[0].stage == "running")
            attempt = emulator.jobs[0].attempt
            emulator.wait_for_line(job.name, f"attempt {attempt} of registry.example/image:1")
    assert asked == [
        ("start", job.job_id),
        ("end leftovers", job.job_id),
        ("start", job.job_id),
    ]


def test_a_field_that_the_runtime_does_not_serve_is_refused(job_of: JobOf) -> None:
    """A job with a field that the runtime does not serve is UNIMPLEMENTED and not created."""
    with VertexEmulator(runtime=LastingRuntime([])) as emulator:
        job = job_of("true", network="projects/1/global/networks/n")
        answer = requests.post(f"{emulator.url}/v1/{PARENT}/customJobs", json=job, timeout=10)
        assert answer.status_code == 400
        assert answer.json()["error"]["status"] == "UNIMPLEMENTED"
        assert "job_spec.network: no" in answer.json()["error"]["message"]
        assert emulator.jobs == ()


def test_files_are_private(emulator: VertexEmulator, submit: Submit, job_of: JobOf) -> None:
    """Only the owner can read the data folder, because jobs hold tokens."""
    name = submit(emulator, job_of("python", "-c", "print(1)"))["name"]
    emulator.wait_for_state(name)
    job_folder = emulator.data_dir / name
    assert (job_folder / "document.json").exists()
    paths = [emulator.data_dir, *emulator.data_dir.rglob("*")]
    mine = [path for path in paths if "attempt-1/" not in str(path)]
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in mine)


def test_a_temporary_folder_is_removed() -> None:
    """An emulator without a data folder leaves nothing on disk."""
    with VertexEmulator() as emulator:
        folder = emulator.data_dir
        assert folder.exists()
    assert not folder.exists()


def test_a_data_folder_is_used_by_one_emulator(tmp_path: Path) -> None:
    """A second emulator on a data folder is refused while the first one runs."""
    with (
        VertexEmulator(data_dir=tmp_path),
        pytest.raises(DataDirInUseError, match="data-dir"),
    ):
        VertexEmulator(data_dir=tmp_path)
    with VertexEmulator(data_dir=tmp_path):
        pass


def test_a_stop_ends_everything(submit: Submit, job_of: JobOf) -> None:
    """A stop ends threads and jobs and frees the port; a second stop does nothing."""
    before = set(threading.enumerate())
    emulator = VertexEmulator().start()
    submit(emulator, job_of("sleep", "infinity"))
    emulator.stop()
    emulator.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(emulator.url, timeout=1)
    left = {thread for thread in set(threading.enumerate()) - before if "emulator" in thread.name}
    assert left == set()


def test_a_deleted_job_leaves_nothing(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf
) -> None:
    """A job that someone deletes while it runs has its program ended and its folder removed."""
    code = "import os, signal; print('pid', os.getpid(), flush=True); signal.pause()"
    name = submit(emulator, job_of("python", "-c", code))["name"]
    emulator.wait_for_line(name, "pid ")
    pid = int(replica_lines(emulator, name)[0].split()[1])
    folder = emulator.data_dir / name
    refused = requests.delete(f"{emulator.url}/v1/{name}", timeout=10).json()["error"]
    assert refused["status"] == "FAILED_PRECONDITION"
    emulator.faults.plan(Deleted(job_id=name.rsplit("/", 1)[-1]))
    emulator.wait_for(lambda: not emulator.jobs)
    assert requests.get(f"{emulator.url}/v1/{name}", timeout=10).status_code == 404
    emulator.wait_for(lambda: not folder.exists())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(KeyError):
        emulator.job(name)


def test_a_manual_clock_does_not_go_back() -> None:
    """Moving a manual clock back raises an error."""
    with pytest.raises(ValueError, match="negative seconds"):
        ManualClock().advance(-1)


def test_waiting_times_out(emulator: VertexEmulator, submit: Submit, job_of: JobOf) -> None:
    """A job that does not reach a state in time is a TimeoutError that names its state."""
    name = submit(emulator, job_of("sleep", "infinity"))["name"]
    emulator.wait_for_state(name, JobState.RUNNING)
    with pytest.raises(TimeoutError, match="JOB_STATE_RUNNING"):
        emulator.wait_for_state(name, seconds=0.01)


def test_a_stored_job_is_whole_after_a_crash(submit: Submit, job_of: JobOf, tmp_path: Path) -> None:
    """A half-written log line or job document does no harm; entries are in the order of time."""
    with VertexEmulator(data_dir=tmp_path, timings=Timings(0, 0, 0, 0)) as emulator:
        name = submit(emulator, job_of("python", "-c", "print('x')"))["name"]
        job = emulator.wait_for_state(name)
        entries = emulator.log_entries(name)
    folder = tmp_path / name
    with (folder / "log.jsonl").open("a") as log:
        log.write(json.dumps({"cut": "off"})[:5])
    (folder / "document.draft").write_text("{")
    with VertexEmulator(data_dir=tmp_path) as again:
        assert again.log_entries(name) == entries
        assert again.job(name) == job
    with (folder / "log.jsonl").open("a") as log:
        log.write(json.dumps(entries[0]) + "\n")
    with VertexEmulator(data_dir=tmp_path) as again:
        assert again.log_entries(name) == [entries[0], *entries]


def test_the_repr_of_a_job_has_no_environment(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf
) -> None:
    """The repr of a job does not show its environment variables."""
    env = [{"name": "A", "value": "s3cret"}]
    container = {"imageUri": "i", "command": ["true"], "env": env}
    name = submit(emulator, job_of(pool={"containerSpec": container}))["name"]
    assert emulator.job(name).request["jobSpec"]
    assert "s3cret" not in repr(emulator.job(name))
