"""Short versions of the counted benchmark rows, on a manual clock."""

from typing import TYPE_CHECKING

import pytest

from benchmarks.processes import run_alone, run_on_stack
from benchmarks.reads import count_reads, count_reads_of_processes, spread_reads
from benchmarks.runner_rounds import create_jobs
from benchmarks.simulated_vertex import (
    StoppingClock,
    count_by_minute,
    name_step_run,
    open_simulated_vertex,
    run_until_stopped,
)

if TYPE_CHECKING:
    from zenml_vertex.local_stack.stack import LocalStack


def test_the_built_in_operator_reads_at_its_own_pace() -> None:
    """ZenML's unmodified operator reads after 1, 2, 4, 8 and 16 s, and then every 16 s."""
    assert run_alone("reads", "2", operator="builtin") == [
        0,
        1,
        3,
        7,
        15,
        31,
        47,
        63,
        79,
        95,
        111,
    ]


def test_reads_of_equal_processes_are_summed_by_the_minute() -> None:
    """Reads are summed by the minute over processes that start one second apart."""
    assert spread_reads([0, 1, 59, 61], 2, 3) == [5, 3, 0]
    assert spread_reads([0], 150, 3) == [60, 60, 30]
    assert count_by_minute([0, 59.999, 60, 180], 3) == [2, 1, 0]


@pytest.mark.parametrize(("steps", "pages"), [(1, 1), (100, 1), (101, 2)])
def test_one_process_reads_lists(steps: int, pages: int) -> None:
    """One process makes at most 12 lists a minute, with one page for each hundred jobs."""
    reads = count_reads(steps, 2)
    assert len(reads) == 2
    assert all(10 * pages <= count <= 12 * pages for count in reads), reads


def test_a_wait_that_returns_early_fails_the_row() -> None:
    """A wait that ends before the clock stops it fails its row, because it measured nothing."""
    slept: list[float] = []
    clock = StoppingClock(10.0, on_sleep=slept.append)

    def wait() -> None:
        while True:
            clock.sleep(4.0)

    run_until_stopped(wait)
    assert slept == [4.0, 4.0]
    assert clock.monotonic() == 8.0
    with pytest.raises(RuntimeError, match="before its time was up"):
        run_until_stopped(lambda: None)


def test_many_processes_share_the_quota() -> None:
    """Processes that start one second apart together read less than they would alone."""
    with open_simulated_vertex() as vertex:
        reads = count_reads_of_processes(vertex, 60, 4)
        created = [call for call in vertex.emulator.calls if call.method == "POST"]
        assert len(created) == len(vertex.emulator.jobs) == 60
        assert (created[-1].time - created[0].time).total_seconds() == 59
    assert max(reads) < 300
    # Alone, 60 processes would poll 12 times a minute each.
    assert 0 < reads[-1] < 60 * 12 / 3


def test_the_runner_asks_for_each_step_in_turn(local_stack: "LocalStack") -> None:
    """A process on a stack returns the seconds of its rounds, its memory and its threads."""
    with open_simulated_vertex() as vertex:
        names = create_jobs(vertex.emulator.url, local_stack, 30)
        result = run_on_stack(
            "runner_rounds",
            *("30", "2"),
            stack=local_stack,
            emulator_host=vertex.emulator.host,
            content=names,
        )
        calls = [call for call in vertex.emulator.calls if call.method == "GET"]
    assert name_step_run(29) == "00000000-0000-0000-0000-00000000001e"
    assert len(result["seconds"]) == 2
    # To take over thirty steps, a read and a list; for two rounds, a list or two. When the
    # process ends, it looks once at each job that it followed.
    reads = [call for call in calls if not call.path.endswith("/customJobs")]
    assert len(reads) == 1 + 30
    assert 2 <= len(calls) - len(reads) <= 3
    assert result["bytes"] > 1e6
    assert result["threads"] >= 1
