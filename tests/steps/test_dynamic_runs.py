"""Waking ZenML's dynamic runner, which otherwise asks for its steps every ten seconds."""

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from zenml.execution.pipeline.dynamic.run_context import DynamicPipelineRunContext
from zenml.execution.pipeline.dynamic.runner import DynamicPipelineRunner

from tests.support.worlds import START, STEP, Watched
from zenml_vertex.steps.dynamic_runs import RunnerWaker, find_runner_event


class Runner(DynamicPipelineRunner):
    """A dynamic runner that runs nothing; it notes when it is woken."""

    def __init__(self, world: Watched) -> None:
        self.woken: list[float] = []
        event = threading.Event()

        def note() -> None:
            self.woken.append(world.elapsed)

        event.set = note  # type: ignore[method-assign]
        self._monitoring_event = event


@pytest.fixture
def world() -> Watched:
    """A watcher whose step run is running."""
    return Watched()


@pytest.fixture
def runner(world: Watched) -> Iterator[Runner]:
    """The runner of the current dynamic pipeline."""
    unused: Any = SimpleNamespace()
    runner = Runner(world)
    with DynamicPipelineRunContext(pipeline=unused, snapshot=unused, run=unused, runner=runner):
        yield runner


def _follow(world: Watched) -> list[Callable[[], None]]:
    tasks: list[Callable[[], None]] = []
    world.follow("JOB_STATE_RUNNING")
    RunnerWaker(world.clock, tasks.append).follow(world.watcher, STEP)
    return tasks


def test_the_runner_is_woken_when_a_step_has_finished(world: Watched, runner: Runner) -> None:
    """Nobody asks for the step in between, and the runner is woken soon after its end."""
    world.report(at=START + 100)
    (task,) = _follow(world)
    runs = threading.Thread(target=task)
    on_sleep = world.clock.sleep

    def sleep(seconds: float) -> None:
        on_sleep(seconds)
        if len(runner.woken) == 3:
            world.watcher.forget(STEP)

    world.clock.sleep = sleep  # type: ignore[method-assign]
    runs.start()
    runs.join(30)
    assert not runs.is_alive()
    assert 100 <= runner.woken[0] < 103
    assert runner.woken[2] == runner.woken[0] + 2


def test_a_runner_that_has_gone_is_not_woken_for_ever(world: Watched, runner: Runner) -> None:
    """The thread ends some time after the steps have finished, though nobody forgets them."""
    world.report(at=START)
    (task,) = _follow(world)
    task()
    assert 0 < len(runner.woken) < 100


def test_a_static_pipeline_has_no_runner(world: Watched) -> None:
    """No thread is started for a static pipeline, which waits for its steps itself."""
    assert _follow(world) == []


def test_the_event_is_zenmls(world: Watched, runner: Runner) -> None:
    """ZenML's runner has the event that is set here, and waits for it."""
    assert find_runner_event() is runner._monitoring_event
    source = DynamicPipelineRunner._monitoring_loop.__code__.co_names
    assert {"_monitoring_event", "wait", "clear"} <= set(source)
    del runner._monitoring_event
    assert find_runner_event() is None
    assert world.elapsed == 0
