"""An emulator that crashes, and the one that replaces it."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from vertex_emulator import JobState, ManualClock, Timings, VertexEmulator
from vertex_emulator.core.documents import MemoryStore, StoreReleasedError
from vertex_emulator.faults import (
    AnswerLost,
    HangsAfterWork,
    Interruption,
    Paused,
    Preemption,
    UnknownState,
)
from vertex_emulator.runtimes.contract import Container, Exit, OutputSink
from vertex_emulator.runtimes.scripted import Script, ScriptedRuntime

Json = dict[str, Any]
Submit = Callable[[VertexEmulator, Json], Json]
JobOf = Callable[..., Json]
TIMINGS = Timings(queueing=5, provisioning=180, teardown=50)


def pids_of(emulator: VertexEmulator, name: str) -> list[int]:
    """Return the process IDs that a job's programs have printed."""
    lines = emulator.log_lines(name)
    return [int(line.split()[1]) for line in lines if line.startswith("pid ")]


def test_a_crash_cuts_connections_and_frees_the_port(submit: Submit, job_of: JobOf) -> None:
    """After a crash, kept connections are dead, new ones are refused, and the port is free."""
    store = MemoryStore()
    options: dict[str, Any] = {"runtime": ScriptedRuntime(), "store": store, "timings": TIMINGS}
    with (
        VertexEmulator(clock=ManualClock(), **options) as emulator,
        requests.Session() as session,
    ):
        name = submit(emulator, job_of())["name"]
        url = f"{emulator.url}/v1/{name}"
        assert session.get(url, timeout=10).status_code == 200
        emulator.crash()
        emulator.crash()
        with pytest.raises(requests.ConnectionError):
            session.get(url, timeout=10)
        with pytest.raises(requests.ConnectionError, match="refused"):
            requests.get(url, timeout=10)
        with VertexEmulator(clock=ManualClock(), port=emulator.port, **options) as again:
            assert again.host == emulator.host
            assert session.get(url, timeout=10).json()["state"] == "JOB_STATE_QUEUED"


def test_a_crash_ends_nothing_and_the_next_emulator_continues(
    submit: Submit, job_of: JobOf, tmp_path: Path
) -> None:
    """A program outlives a crash, and the next emulator follows it to its end.

    Its lines appear once, and nothing that is left of the crashed emulator touches it.
    """
    code = (
        "import os, pathlib, sys\n"
        "print('pid', os.getpid(), flush=True)\n"
        "print(pathlib.Path(sys.argv[1]).read_text())"
    )
    go = tmp_path / "go"
    os.mkfifo(go)
    timings = Timings(0, 0, 0)
    with VertexEmulator(data_dir=tmp_path / "data", timings=timings) as emulator:
        name = submit(emulator, job_of("python", "-c", code, str(go)))["name"]
        emulator.wait_for_line(name, "pid ")
        (pid,) = pids_of(emulator, name)
        emulator.crash()
        os.kill(pid, 0)
        with VertexEmulator(data_dir=tmp_path / "data", timings=timings) as again:
            emulator.stop()
            os.kill(pid, 0)
            go.write_text("the end")
            assert again.wait_for_state(name).state is JobState.SUCCEEDED
            assert [state.name for state, _ in again.job(name).history] == [
                "PENDING", "RUNNING", "SUCCEEDED",
            ]  # fmt: skip
            lines = again.log_lines(name)
            assert (lines.count(f"pid {pid}"), lines.count("the end")) == (1, 1)
        # What was kept of the container is removed after its job has ended, and before the stop is.
        folder = tmp_path / "data" / name / "attempt-1"
        assert sorted(file.name for file in folder.iterdir()) == ["app", "home"]


def test_a_stop_after_a_crash_ends_the_leftovers(submit: Submit, job_of: JobOf) -> None:
    """Stopping a crashed emulator ends the programs that it left and removes its folder."""
    with VertexEmulator(timings=Timings(0, 0, 0)) as emulator:
        code = "import os, signal; print('pid', os.getpid(), flush=True); signal.pause()"
        name = submit(emulator, job_of("python", "-c", code))["name"]
        emulator.wait_for_line(name, "pid ")
        (pid,) = pids_of(emulator, name)
        folder = emulator.data_dir
        emulator.crash()
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not folder.exists()


def test_a_crashed_emulator_writes_nothing(submit: Submit, job_of: JobOf, tmp_path: Path) -> None:
    """A crashed emulator's containers write nothing to the folder, which may be in use again."""
    code = (
        "import pathlib, sys\n"
        "print('it runs', flush=True)\n"
        "pathlib.Path(sys.argv[1]).read_text()\n"
        "print('late', flush=True)\n"
        "pathlib.Path(sys.argv[2]).touch()"
    )
    go, gone = tmp_path / "go", tmp_path / "gone"
    os.mkfifo(go)
    data = tmp_path / "data"
    with VertexEmulator(data_dir=data, timings=Timings(0, 0, 0)) as emulator:
        name = submit(emulator, job_of("python", "-c", code, str(go), str(gone)))["name"]
        emulator.wait_for_line(name, "it runs")
        emulator.crash()
        files = {file: file.read_bytes() for file in data.rglob("*.json*")}
        (thread,) = [
            one for one in threading.enumerate() if one.name.endswith(name.rsplit("/", 1)[1])
        ]
        go.write_text("")
        thread.join()
        with pytest.raises(StoreReleasedError):
            emulator._store.put(name, {})
    assert gone.exists()
    assert len(files) == 2
    assert {file: file.read_bytes() for file in data.rglob("*.json*")} == files


def test_a_crash_abandons_containers(submit: Submit, job_of: JobOf, tmp_path: Path) -> None:
    """A crash abandons the containers that run and those that are still starting."""
    told: list[str] = []
    may_start, is_starting = threading.Event(), threading.Event()

    class Slow:
        name = "slow"

        def find_unserved(self, job_spec: Json) -> list[str]:
            del job_spec
            return []

        def start(self, container: Container, sink: OutputSink) -> "Waiting":
            if container.command == ("late",):
                is_starting.set()
                may_start.wait()
            sink("stdout", "it runs")
            return Waiting(container.command[0])

        def end_leftovers(self, job_id: str) -> None:
            """End nothing; there are no leftovers."""

    class Waiting:
        def __init__(self, name: str) -> None:
            self._name = name
            self._may_end = threading.Event()

        def wait(self) -> Exit:
            self._may_end.wait()
            return Exit(143)

        def terminate(self) -> None:
            told.append(f"end {self._name}")
            self._may_end.set()

        def kill(self) -> None:
            self._may_end.set()

        def abandon(self) -> None:
            told.append(f"abandon {self._name}")

    with VertexEmulator(data_dir=tmp_path, timings=Timings(0, 0, 0), runtime=Slow()) as emulator:
        early = submit(emulator, job_of("early"))["name"]
        emulator.wait_for_line(early, "it runs")
        submit(emulator, job_of("late"))
        assert is_starting.wait(10)
        emulator.crash()
        assert told == ["abandon early"]
        may_start.set()
    assert sorted(told) == ["abandon early", "abandon late", "end early", "end late"]


def test_a_script_survives_a_crash(submit: Submit, job_of: JobOf, tmp_path: Path) -> None:
    """The pending incidents of a job happen in the next emulator and count in its plan."""
    clock = ManualClock()
    starts: list[Container] = []

    def play(container: Container) -> Script:
        starts.append(container)
        return Script(30.0)

    def start(**more: Any) -> VertexEmulator:
        return VertexEmulator(
            data_dir=tmp_path, clock=clock, timings=TIMINGS, runtime=ScriptedRuntime(play), **more
        )

    with start() as emulator:
        faults = emulator.faults
        for fault in (
            Preemption(after=10, display_name="preempted"),
            HangsAfterWork(seconds=500, display_name="hangs"),
            Paused(seconds=100, at="queued", display_name="paused"),
            UnknownState(seconds=1000, display_name="unknown"),
        ):
            faults.plan(fault)
        names = {
            name: submit(emulator, job_of(displayName=name))["name"]
            for name in ("preempted", "hangs", "paused", "unknown")
        }
        clock.advance(5)
        emulator.crash()
        clock.advance(5000)
    with start(faults=faults) as emulator:
        # Each job resumes where it was; what was due in the meantime is done now.
        clock.settle()
        states = {key: emulator.job(name).shown_state for key, name in names.items()}
        assert states == {
            "preempted": "JOB_STATE_RUNNING",
            "hangs": "JOB_STATE_RUNNING",
            "paused": "JOB_STATE_PENDING",
            "unknown": 99,
        }
        clock.advance(40)
        emulator.crash()
    with start(faults=faults) as emulator:
        clock.advance(3000)
        assert {emulator.job(name).shown_state for name in names.values()} == {
            "JOB_STATE_SUCCEEDED"
        }
        assert faults.unconsumed() == ()


def test_a_scripted_container_goes_on(submit: Submit, job_of: JobOf) -> None:
    """A crashed emulator calls no action of a script; the next one does, at its time or at once."""
    clock = ManualClock()
    reported: list[str] = []
    store = MemoryStore()
    runtime = ScriptedRuntime(
        lambda _: Script(
            300.0,
            actions=(
                (5.0, lambda: reported.append("5")),
                (20.0, lambda: reported.append("20")),
                (250.0, lambda: reported.append("250")),
            ),
        )
    )
    options: dict[str, Any] = {"clock": clock, "runtime": runtime, "store": store}
    with VertexEmulator(timings=TIMINGS, **options) as emulator:
        name = submit(emulator, job_of())["name"]
        clock.advance(5 + 180 + 10)
        emulator.crash()
        clock.advance(100)
        assert reported == ["5"]
        with VertexEmulator(timings=TIMINGS, **options) as again:
            clock.settle()
            assert reported == ["5", "20"]
            clock.advance(190 - 1)
            assert again.job(name).stage == "running"
            clock.advance(1 + 50)
            job = again.job(name)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
    assert reported == ["5", "20", "250"]


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_crash_in_the_middle_of_a_create(
    submit: Submit,
    job_of: JobOf,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    after_effect: bool,
) -> None:
    """The client's connection breaks, the job exists if it was stored, and nothing is logged."""
    clock = ManualClock()
    with VertexEmulator(data_dir=tmp_path, clock=clock) as emulator:
        emulator.faults.plan(Interruption("create", emulator.crash, after_effect=after_effect))
        with pytest.raises(requests.ConnectionError):
            submit(emulator, job_of())
    with VertexEmulator(data_dir=tmp_path, clock=clock) as emulator:
        assert len(emulator.jobs) == after_effect
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_scripted_action_can_crash_the_emulator(submit: Submit, job_of: JobOf) -> None:
    """An action of a container's script can crash the emulator."""
    clock = ManualClock()
    store = MemoryStore()
    crashes: list[VertexEmulator] = []

    def play(container: Container) -> Script:
        is_first = container.attempt == 1
        return Script(30.0, actions=((10.0, crashes[0].crash),) if is_first else ())

    runtime = ScriptedRuntime(play)
    options: dict[str, Any] = {"clock": clock, "runtime": runtime, "store": store}
    with VertexEmulator(timings=TIMINGS, **options) as emulator:
        crashes.append(emulator)
        name = submit(emulator, job_of())["name"]
        clock.advance(5 + 180 + 10)
        with pytest.raises(requests.ConnectionError):
            requests.get(emulator.url, timeout=10)
    with VertexEmulator(timings=TIMINGS, **options) as emulator:
        clock.advance(180 + 30 + 50)
        assert emulator.job(name).state is JobState.SUCCEEDED


def test_a_late_effect_is_lost_with_the_emulator(submit: Submit, job_of: JobOf) -> None:
    """A create whose effect was still pending at a crash never has one."""
    clock = ManualClock()
    store = MemoryStore()
    runtime = ScriptedRuntime()
    with VertexEmulator(clock=clock, runtime=runtime, store=store) as emulator:
        emulator.faults.plan(AnswerLost("create", late=10))
        with pytest.raises(requests.ConnectionError):
            submit(emulator, job_of())
        emulator.crash()
        clock.advance(20)
    assert list(store.items("customJobs")) == []
