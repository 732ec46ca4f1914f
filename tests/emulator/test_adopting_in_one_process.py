"""Emulators that crash, and those that come after them in the same process."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.test_adoption import wait_until_gone
from tests.support.emulators import NO_WAITING
from tests.support.pipelines import wait_until
from vertex_emulator import JobState, ManualClock, VertexEmulator

Json = dict[str, Any]
Submit = Callable[[VertexEmulator, Json], Json]
JobOf = Callable[..., Json]

# Says who it is, and ends with what a FIFO says.
CODE = """
import os, sys
print("alive", os.getpid(), flush=True)
with open(sys.argv[1]) as file:
    sys.exit(int(file.read()))
"""
TIMEOUT_SECONDS = 3600


def messages_of(emulator: VertexEmulator, name: str) -> list[str]:
    """Return what a job's container has written."""
    lines = emulator.log_lines(name)
    return [line for line in lines if line.startswith("alive")]


@contextmanager
def crashed(
    folder: Path, submit: Submit, job: Json, clock: ManualClock
) -> Iterator[tuple[str, list[str]]]:
    """An emulator that has crashed while its job's container runs: the job, and what it wrote."""
    with VertexEmulator(data_dir=folder, clock=clock, timings=NO_WAITING) as emulator:
        name = str(submit(emulator, job)["name"])
        emulator.wait_for_line(name, "alive")
        written = messages_of(emulator, name)
        emulator.crash()
        yield name, written


def test_two_emulators_in_one_process_lead_each_its_own_jobs(
    submit: Submit, job_of: JobOf, tmp_path: Path
) -> None:
    """Two that take over at once do not take the other's, and those that have crashed end nothing.

    A lock that a process holds keeps no other thread of it away, unless it is one of a file.
    """
    clock = ManualClock()
    fifos = [tmp_path / f"fifo-{number}" for number in range(2)]
    folders = [tmp_path / f"data-{number}" for number in range(2)]
    with ExitStack() as crashes, ExitStack() as followed:
        left = []
        for fifo, folder in zip(fifos, folders, strict=True):
            os.mkfifo(fifo)
            job = job_of("python", "-c", CODE, str(fifo))
            left.append(crashes.enter_context(crashed(folder, submit, job, clock)))
        emulators = [
            followed.enter_context(VertexEmulator(data_dir=folder, clock=clock, timings=NO_WAITING))
            for folder in folders
        ]
        crashes.close()
        for (name, _), emulator in zip(left, emulators, strict=True):
            assert emulator.job(name).state is JobState.RUNNING
            assert [job.name for job in emulator.jobs] == [name]
        for number, fifo in enumerate(fifos):
            fifo.write_text(str(number))
        for number, ((name, written), emulator) in enumerate(zip(left, emulators, strict=True)):
            ended = emulator.wait_for_state(name)
            assert ended.state is (JobState.FAILED if number else JobState.SUCCEEDED)
            assert messages_of(emulator, name) == written


@pytest.mark.parametrize("has_ended", [False, True], ids=["runs on", "has ended"])
def test_a_timeout_that_passed_without_an_emulator_ends_what_runs(
    submit: Submit, job_of: JobOf, tmp_path: Path, has_ended: bool
) -> None:
    """The next emulator ends the container of a job whose timeout has passed meanwhile.

    A container that had ended by itself ends its job as if it had been seen.
    """
    clock = ManualClock()
    os.mkfifo(fifo := tmp_path / "fifo")
    spec = {"scheduling": {"timeout": f"{TIMEOUT_SECONDS}s"}}
    job = job_of("python", "-c", CODE, str(fifo), **spec)
    with crashed(tmp_path / "data", submit, job, clock) as (name, written):
        (pid,) = (int(line.split()[1]) for line in written)
        if has_ended:
            fifo.write_text("0")
            wait_until_gone([pid])
            # Its supervisor keeps how it ended, a moment later.
            wait_until(lambda: any((tmp_path / "data").rglob("exit")))
        clock.advance(TIMEOUT_SECONDS + 1)
        with VertexEmulator(
            data_dir=tmp_path / "data", clock=clock, timings=NO_WAITING
        ) as emulator:
            clock.settle()
            ended = emulator.wait_for_state(name)
            assert ended.state is (JobState.SUCCEEDED if has_ended else JobState.CANCELLED)
            assert messages_of(emulator, name) == written
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
