"""A disk that is full: calls end in errors, jobs go on, and there may be room again."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from tests.support.emulators import NO_WAITING, PARENT, JobOf, Submit, call, error_of
from vertex_emulator import JobState, ManualClock, Timings, VertexEmulator


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB and a hundred files."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k,nr_inodes=100,mode=700", "none", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root can mount a file system")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _fill(disk: Path) -> Path:
    file = disk / "filler"
    with file.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(bytes(4096)):
            pass
    return file


def test_a_job_that_cannot_be_stored_continues(
    submit: Submit, job_of: JobOf, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """It is reported once, goes on to its end, and is stored as soon as that is possible."""
    clock = ManualClock()
    with VertexEmulator(clock=clock, timings=Timings(10, 0, 0), data_dir=tmp_path) as emulator:
        name = submit(emulator, job_of("true"))["name"]
        obstacle = tmp_path / name / "document.draft"
        obstacle.mkdir()
        clock.advance(10)
        assert emulator.wait_for_state(name).state is JobState.SUCCEEDED
        obstacle.rmdir()
        clock.advance(5)
        job = emulator.job(name)
    assert caplog.text.count(f"{name} continues, but is not stored: Cannot write to ") == 1
    assert "Traceback" not in caplog.text
    with VertexEmulator(clock=clock, data_dir=tmp_path) as again:
        assert again.job(name) == job


def test_a_full_disk_wedges_nothing(
    submit: Submit, job_of: JobOf, small_disk: Path, tmp_path: Path
) -> None:
    """A program that writes goes on, a create is refused without a trace, and all works again."""
    script = (
        "echo it runs; cat $1; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); "
        "echo a line that is as long as most lines of a log are, $i; done; "
        "echo the end; cat $2; echo room again"
    )
    fifos = [tmp_path / name for name in ("full", "room")]
    for fifo in fifos:
        subprocess.run(["mkfifo", str(fifo)], check=True)
    clock = ManualClock()
    with VertexEmulator(clock=clock, data_dir=small_disk, timings=NO_WAITING) as emulator:
        name = submit(emulator, job_of("sh", "-c", script, "sh", *map(str, fifos)))["name"]
        clock.settle()
        emulator.wait_for_line(name, "it runs")
        filler = _fill(small_disk)
        fifos[0].write_text("")
        emulator.wait_for_line(name, "the end")
        jobs = f"/v1/{PARENT}/customJobs"
        refused = call(emulator, "POST", jobs, json=job_of("true"))
        assert "Cannot write to " in error_of(refused)["message"]
        assert [job.name for job in emulator.jobs] == [name]
        filler.unlink()
        fifos[1].write_text("")
        assert emulator.wait_for_state(name).state is JobState.SUCCEEDED
        other = submit(emulator, job_of("true"))["name"]
        clock.settle()
        assert emulator.wait_for_state(other).state is JobState.SUCCEEDED
        clock.advance(5)
    with VertexEmulator(clock=clock, data_dir=small_disk) as again:
        assert {job.name: job.state.name for job in again.jobs} == {
            name: "SUCCEEDED",
            other: "SUCCEEDED",
        }
        kept = again.log_lines(name)
        assert "it runs" in kept
        assert "room again" in kept
        assert "the end" not in kept


def test_a_job_without_room_for_its_container_fails(
    submit: Submit, job_of: JobOf, small_disk: Path
) -> None:
    """A job whose container gets no folder ends in an internal error, and not never."""
    clock = ManualClock()
    with VertexEmulator(clock=clock, data_dir=small_disk, timings=Timings(10, 0, 0)) as emulator:
        name = submit(emulator, job_of("true"))["name"]
        filler = _fill(small_disk)
        with suppress(OSError):
            for number in range(100):
                (small_disk / f"folder-{number}").mkdir()
        clock.advance(10)
        for _ in range(5):
            clock.advance(60)
        assert emulator.wait_for_state(name).state is JobState.FAILED
        filler.unlink()
        answer = requests.get(f"{emulator.url}/v1/{name}", timeout=10)
        assert answer.json()["state"] == "JOB_STATE_FAILED"
