"""A container that fails is started a second time on its machine, and its job is over meanwhile."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.emulators import PATIENCE, JobOf, Submit
from vertex_emulator import (
    JobState,
    ManualClock,
    SecondStart,
    Timings,
    VertexEmulator,
    recorded_timings,
)
from vertex_emulator.faults import HangsAfterWork, OutOfMemory, Preemption, StartsAgain
from vertex_emulator.runtimes.contract import Container
from vertex_emulator.runtimes.scripted import Script, ScriptedRuntime

# The simulation's jobs are queued, provisioned, and torn down.
BEFORE, TEARDOWN = 5 + 180, 50


def starts_of(simulation: Any) -> list[tuple[int, int]]:
    """Return attempt and start of each container that was started."""
    return [(one.attempt, one.start) for one in simulation.starts]


def play(first: Script, second: Script) -> Callable[[Container], Script]:
    """Play one script at the first start of a container and another one at the second."""
    return lambda container: second if container.start > 1 else first


def test_a_failed_container_runs_twice(simulation: Any) -> None:
    """The second start comes after the end of the first, and the service ends it after the job."""
    simulation.script = play(Script(30.0, 1, ("one",)), Script(None, lines=("two",)))
    simulation.emulator.faults.plan(StartsAgain(wait=10, seconds=100))
    name = simulation.create()
    simulation.clock.advance(BEFORE + 30 + 9)
    assert starts_of(simulation) == [(1, 1)]
    simulation.clock.advance(1)
    assert starts_of(simulation) == [(1, 1), (1, 2)]
    assert simulation.state(name) == "RUNNING"
    simulation.clock.advance(TEARDOWN - 10)
    assert simulation.state(name) == "FAILED"
    failed = simulation.get(name)
    assert "exited with a non-zero status of 1" in failed.error.message
    assert simulation.emulator.job(name).is_running_again
    simulation.clock.advance(60)
    assert not simulation.emulator.job(name).is_running_again
    assert simulation.get(name) == failed
    assert simulation.states(name) == ["QUEUED", "PENDING", "RUNNING", "FAILED"]
    assert starts_of(simulation) == [(1, 1), (1, 2)]


def test_the_second_run_is_in_the_log(simulation: Any) -> None:
    """What the second start writes comes after the failure and before the last of the service."""
    second = Script(None, lines=("two",), later_lines=((70.0, "late"),))
    simulation.script = play(Script(30.0, 1, ("one",)), second)
    simulation.emulator.faults.plan(StartsAgain(wait=10, seconds=100))
    name = simulation.create()
    simulation.clock.advance(1000)
    texts = [str(entry) for entry in simulation.emulator.log_entries(name)]
    places = [
        next(place for place, text in enumerate(texts) if re.search(rf"\b{word}\b", text))
        for word in ("one", "non-zero status of 1", "two", "late", "Finished tearing down")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("status", [0, 139])
def test_other_ends_have_no_second_start(simulation: Any, status: int) -> None:
    """A program that succeeds, or may be restarted elsewhere, is not started again here."""
    simulation.script = lambda _: Script(30.0, status)
    planned = simulation.emulator.faults.plan(StartsAgain())
    simulation.create()
    simulation.clock.advance(2000)
    assert {start for _, start in starts_of(simulation)} == {1}
    assert not planned.is_consumed
    planned.withdraw()


def test_a_container_without_memory_runs_twice(simulation: Any) -> None:
    """A container that was killed for its memory is started again too."""
    simulation.script = lambda _: Script(600.0)
    simulation.emulator.faults.plan(StartsAgain(wait=8, seconds=20))
    simulation.emulator.faults.plan(OutOfMemory(after=60))
    name = simulation.create()
    simulation.clock.advance(BEFORE + 60 + 8)
    assert starts_of(simulation) == [(1, 1), (1, 2)]
    simulation.clock.advance(1000)
    assert simulation.state(name) == "FAILED"
    assert not simulation.emulator.job(name).is_running_again


def test_a_cancel_ends_the_second_start(simulation: Any) -> None:
    """A job that is cancelled before its failure is noticed ends CANCELLED, and nothing runs on."""
    simulation.script = play(Script(30.0, 1), Script(None))
    for fault in (StartsAgain(wait=10, seconds=1000), HangsAfterWork()):
        simulation.emulator.faults.plan(fault)
    name = simulation.create()
    simulation.clock.advance(BEFORE + 30 + 20)
    assert simulation.emulator.job(name).is_running_again
    simulation.client.cancel_custom_job(name=name, timeout=10)
    simulation.clock.advance(TEARDOWN)
    assert simulation.state(name) == "CANCELLED"
    assert not simulation.emulator.job(name).is_running_again


def test_a_new_machine_ends_the_second_start(simulation: Any) -> None:
    """A job that loses the machine of a second start begins anew on another one."""
    simulation.script = play(Script(30.0, 1), Script(None))
    for fault in (StartsAgain(wait=10, seconds=1000), HangsAfterWork(), Preemption(after=60)):
        simulation.emulator.faults.plan(fault)
    name = simulation.create()
    simulation.clock.advance(BEFORE + 60)
    assert simulation.state(name) == "PENDING"
    simulation.clock.advance(180)
    assert starts_of(simulation) == [(1, 1), (1, 2), (2, 1)]
    assert not simulation.emulator.job(name).is_running_again


def test_a_program_really_runs_twice(submit: Submit, job_of: JobOf, tmp_path: Path) -> None:
    """A process is started again in a folder of its own, and ended although it would run on."""
    # Its folder is new each time.
    code = "[ ! -e mine ] && touch mine && echo pid $$; [ -e $0 ] && sleep 60; touch $0; exit 1"
    second = SecondStart(after=0, seconds=0.2)
    with VertexEmulator(timings=Timings(0, 0, 0, second_start=second)) as emulator:
        name = submit(emulator, job_of("sh", "-c", code, str(tmp_path / "seen")))["name"]
        emulator.wait_for_state(name, seconds=PATIENCE)
        assert emulator.job(name).state is JobState.FAILED
        emulator.wait_for(
            lambda: not (emulator.job(name).due or emulator.job(name).is_running_again),
            seconds=PATIENCE,
        )
        text = str(emulator.log_entries(name))
        pids = [int(pid) for pid in re.findall(r"\bpid (\d+)", text)]
        assert len(pids) == 2
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


def test_a_second_start_ends_with_its_emulator(
    submit: Submit, job_of: JobOf, tmp_path: Path
) -> None:
    """The emulator after a crash ends what was started a second time, and the job stays FAILED."""
    code = (
        "import os, pathlib, signal, sys\n"
        "seen = pathlib.Path(sys.argv[1])\n"
        "if seen.exists():\n"
        "    print('pid', os.getpid(), flush=True)\n"
        "    signal.pause()\n"
        "seen.touch()\n"
        "raise SystemExit(1)\n"
    )
    timings = Timings(0, 0, 0, second_start=SecondStart(after=0, seconds=3600))
    data = tmp_path / "data"
    with VertexEmulator(data_dir=data, timings=timings) as emulator:
        name = submit(emulator, job_of("python", "-c", code, str(tmp_path / "seen")))["name"]
        emulator.wait_for_line(name, "pid ", seconds=PATIENCE)
        (pid,) = map(int, re.findall(r"\bpid (\d+)", str(emulator.log_entries(name))))
        emulator.crash()
        os.kill(pid, 0)
        with VertexEmulator(data_dir=data, timings=timings) as again:
            assert again.wait_for_state(name).state is JobState.FAILED
            assert not again.job(name).is_running_again
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


def test_output_comes_before_the_state(submit: Submit, job_of: JobOf) -> None:
    """With a head start, a container writes while its job is PENDING, and may even end so."""
    clock = ManualClock()
    runtime = ScriptedRuntime(lambda _: Script(20.0, lines=("up",)))
    timings = Timings(provisioning=100, head_start=9, teardown=10)
    with VertexEmulator(clock=clock, runtime=runtime, timings=timings) as emulator:
        name = submit(emulator, job_of("true"))["name"]
        clock.advance(100)
        emulator.wait_for_line(name, "up")
        assert emulator.job(name).state is JobState.PENDING
        clock.advance(9)
        assert emulator.job(name).state is JobState.RUNNING
        clock.advance(11 + 10)
        states = [state.name for state, _ in emulator.job(name).history]
        assert states == ["PENDING", "RUNNING", "SUCCEEDED"]
    runtime = ScriptedRuntime(lambda _: Script(5.0, 1))
    with VertexEmulator(clock=clock, runtime=runtime, timings=timings) as emulator:
        name = submit(emulator, job_of("true"))["name"]
        clock.advance(100 + 5 + 10)
        states = [state.name for state, _ in emulator.job(name).history]
        assert states == ["PENDING", "RUNNING", "FAILED"]


def test_recorded_timings_are_those_of_recorded_jobs(submit: Submit, job_of: JobOf) -> None:
    """Each job lasts as some recorded one, the same job always the same, and most fail twice."""
    clock = ManualClock()
    starts: list[Container] = []

    def fail(container: Container) -> Script:
        starts.append(container)
        return Script(60.0, 1)

    jobs = 40
    with VertexEmulator(
        clock=clock, runtime=ScriptedRuntime(fail), timings=recorded_timings, seed=5
    ) as emulator:
        for _ in range(jobs):
            submit(emulator, job_of("true"))
        clock.advance(1000)
        for job in emulator.jobs:
            times = {state.name: moment for state, moment in job.history}
            pending = (times["RUNNING"] - job.create_time).total_seconds()
            assert 126 <= pending <= 295
            assert job.end_time is not None
            assert 1 <= (times["FAILED"] - job.end_time).total_seconds() <= 30
            assert recorded_timings(job.job_id) == recorded_timings(job.job_id)
    again = sum(one.start == 2 for one in starts)
    assert jobs / 3 < again < jobs
    assert len({recorded_timings(str(number)).provisioning for number in range(200)}) == 10
