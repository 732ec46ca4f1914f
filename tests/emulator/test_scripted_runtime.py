"""Containers that follow a script instead of running a program."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from vertex_emulator import JobState, ManualClock, Timings, VertexEmulator
from vertex_emulator.core.documents import MemoryStore
from vertex_emulator.core.timer import Timer
from vertex_emulator.runtimes.contract import Container, Exit
from vertex_emulator.runtimes.scripted import Script, ScriptedRuntime


@pytest.mark.parametrize(
    ("status", "state"), [(0, "SUCCEEDED"), (1, "FAILED"), (137, "FAILED"), (139, "FAILED")]
)
def test_a_container_ends_as_scripted(simulation: Any, status: int, state: str) -> None:
    """A container ends at its scripted time and status, with the restarts of that status."""
    simulation.script = lambda _: Script(30.0, status, lines=("hello",))
    name = simulation.create()
    simulation.clock.advance(5 + 180 + 29)
    assert simulation.emulator.job(name).stage == "running"
    simulation.clock.advance(1)
    assert simulation.emulator.job(name).stage != "running"
    simulation.clock.advance(4000)
    assert simulation.state(name) == state
    assert len(simulation.starts) == (4 if status == 139 else 1)
    lines = simulation.emulator.log_lines(name)
    assert lines.count("hello") == len(simulation.starts)


def test_a_step_reports_and_hangs(simulation: Any) -> None:
    """Actions are called at their times, and a container without an end runs until the timeout."""
    reported: list[float] = []

    def report() -> None:
        reported.append((simulation.clock.now() - began).total_seconds())

    simulation.script = lambda _: Script(None, actions=((30.0, report), (1.5, report)))
    began = simulation.clock.now()
    name = simulation.create(scheduling={"timeout": "3600s"})
    simulation.clock.advance(5 + 180 + 3599)
    assert reported == [186.5, 215]
    assert simulation.state(name) == "RUNNING"
    simulation.clock.advance(1 + 50)
    assert simulation.state(name) == "CANCELLED"


def test_an_ended_container_calls_no_actions(simulation: Any) -> None:
    """Actions are called until the end of the grace period, and not afterwards."""
    reported: list[float] = []
    actions = tuple((at, partial(reported.append, at)) for at in (10.0, 20.0, 40.0))
    simulation.script = lambda _: Script(None, actions=actions, grace=15.0)
    name = simulation.create()
    simulation.clock.advance(5 + 180 + 15)
    simulation.client.cancel_custom_job(name=name, timeout=10)
    simulation.clock.advance(14)
    assert simulation.state(name) == "CANCELLING"
    simulation.clock.advance(1 + 50)
    assert simulation.state(name) == "CANCELLED"
    simulation.clock.advance(1000)
    assert reported == [10, 20]


def test_a_container_is_asked_to_end_more_than_once() -> None:
    """The grace period begins with the first request to end, and the container ends once."""
    clock = ManualClock()
    timer = Timer(clock)
    timer.start()
    ends: list[tuple[Exit, float]] = []
    start = clock.now()
    runtime = ScriptedRuntime(lambda _: Script(None, grace=15.0))
    replica = runtime.begin(
        Container("1", 1, "image", ("true",), {}, Path(), "host"),
        lambda _, __: None,
        timer,
        lambda end: ends.append((end, (clock.now() - start).total_seconds())),
    )
    for _ in range(5):
        replica.terminate()
        clock.advance(10)
    replica.kill()
    clock.advance(10)
    timer.stop()
    assert ends == [(Exit(143), 15)]


def test_a_container_knows_what_it_was_given(simulation: Any) -> None:
    """The script is chosen by the command, environment and attempt that Vertex AI gives."""
    simulation.script = lambda container: Script(1.0, 134 if container.attempt == 1 else 0)
    name = simulation.create(
        pool={
            "containerSpec": {
                "imageUri": "image",
                "command": ["python", "-m", "$(ENTRY)"],
                "env": [{"name": "ENTRY", "value": "zenml"}],
            }
        }
    )
    simulation.clock.advance(5 + 180 + 1 + 180 + 1 + 50)
    assert simulation.state(name) == "SUCCEEDED"
    assert [container.attempt for container in simulation.starts] == [1, 2]
    assert simulation.starts[0].command == ("python", "-m", "zenml")
    assert simulation.starts[0].environment["CLOUD_ML_JOB_ID"] == name.rsplit("/", 1)[1]


def test_an_action_can_call_the_emulator(simulation: Any) -> None:
    """An action can read its own job over HTTP, and the job is RUNNING."""
    states: list[str] = []
    simulation.script = lambda _: Script(
        30.0, actions=((10.0, lambda: states.append(simulation.state(name))),)
    )
    name = simulation.create()
    simulation.clock.advance(265)
    assert states == ["RUNNING"]


def test_an_exception_in_play_is_an_internal_error(
    simulation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in `play` is logged and counts as an internal error of the platform."""

    def fail(_: Any) -> Script:
        raise ValueError("no script")

    simulation.script = fail
    name = simulation.create()
    simulation.clock.advance(1000)
    assert simulation.state(name) == "FAILED"
    assert (simulation.emulator.job(name).error or {})["code"] == 13
    assert "no script" in caplog.text


def test_a_reset_forgets_containers(simulation: Any) -> None:
    """An action that was scripted before a reset is not called after it."""
    reported: list[str] = []
    simulation.script = lambda _: Script(
        None, actions=((10.0, lambda: reported.append("x")),), lines=("up",)
    )
    simulation.create()
    simulation.clock.advance(5 + 180 + 5)
    assert len(simulation.starts) == 1
    simulation.emulator.reset()
    simulation.clock.advance(100_000)
    assert reported == []
    assert simulation.emulator.jobs == ()


def test_the_same_seed_gives_the_same_jobs() -> None:
    """Two runs of one seed give the same jobs, IDs included, and another seed gives others."""

    def play(seed: int) -> list[Any]:
        clock = ManualClock()
        runtime = ScriptedRuntime(lambda _: Script(30.0, 139))
        with VertexEmulator(
            clock=clock, runtime=runtime, store=MemoryStore(), seed=seed, timings=Timings(1, 2, 3)
        ) as emulator:
            for _ in range(3):
                body = {
                    "displayName": "a job",
                    "jobSpec": {
                        "workerPoolSpecs": [
                            {
                                "machineSpec": {"machineType": "n1-standard-4"},
                                "containerSpec": {"imageUri": "i", "command": ["true"]},
                            }
                        ]
                    },
                }
                parent = "projects/p/locations/us-central1"
                requests.post(f"{emulator.url}/v1/{parent}/customJobs", json=body, timeout=10)
                clock.advance(500)
            entries = [emulator.log_entries(job.name) for job in emulator.jobs]
            return [*emulator.jobs, *entries]

    assert play(1) == play(1)
    assert play(1) != play(2)


def test_a_memory_store_can_be_reused(simulation: Any) -> None:
    """The next emulator with the store has the same jobs, though not their logs."""
    del simulation
    store = MemoryStore()
    clock = ManualClock()
    runtime = ScriptedRuntime(lambda _: Script(30.0))
    body = {
        "displayName": "a job",
        "jobSpec": {
            "workerPoolSpecs": [
                {
                    "machineSpec": {"machineType": "n1-standard-4"},
                    "containerSpec": {"imageUri": "i", "command": ["true"]},
                }
            ]
        },
    }
    with VertexEmulator(clock=clock, runtime=runtime, store=store) as emulator:
        url = f"{emulator.url}/v1/projects/p/locations/us-central1/customJobs"
        name = requests.post(url, json=body, timeout=10).json()["name"]
    with VertexEmulator(clock=clock, runtime=runtime, store=store) as emulator:
        clock.advance(100)
        assert emulator.job(name).state is JobState.SUCCEEDED
