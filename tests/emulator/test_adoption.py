"""Containers that outlive a `kill -9` of their emulator, and the emulators that come after it."""

import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from tests.emulator.test_command import Process, begin, wait_for_line, wait_for_state
from tests.support.emulators import PARENT
from vertex_emulator.runtimes import supervisor

__all__ = ["begin"]

Json = dict[str, Any]
# Reads a word from each FIFO, and writes a line in two parts around it; then it exits.
CODE = r"""
import os, sys
print("pid", os.getpid(), file=sys.stderr, flush=True)
print("up", flush=True)
status, *fifos = sys.argv[1:]
for fifo in fifos:
    print("half of ", end="", flush=True)
    with open(fifo) as file:
        print(file.read(), flush=True)
    sys.stdout.buffer.write(b"\xff\n" * 100)
sys.exit(int(status))
"""


def lines_of(process: Process, name: str) -> list[str]:
    """Return the lines of a job's container."""
    body = {
        "resourceNames": ["projects/my-project"],
        "filter": f'resource.labels.job_id="{name.rsplit("/", 1)[-1]}"',
        "pageSize": 5000,
    }
    answer = requests.post(f"{process.url}/v2/entries:list", json=body, timeout=10).json()
    return [
        entry["textPayload"]
        for entry in answer["entries"]
        if entry["resource"]["labels"]["task_name"] != "service"
    ]


def wait_until_gone(pids: list[int]) -> None:
    """Wait until processes have exited."""
    with ExitStack() as opened:
        for pid in pids:
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            opened.callback(os.close, descriptor)
            poll = select.poll()
            poll.register(descriptor)
            assert poll.poll(10_000)


def test_a_killed_emulator_leads_its_jobs_as_before(
    begin: Callable[..., Process], job_of: Callable[..., Json], tmp_path: Path
) -> None:
    """After two kills jobs end as if nothing had been: their lines once, in order, and no restart.

    One ends while no emulator is there, one later, one is cancelled, and one has lost its
    supervisor, which is an internal error.
    """
    data = f"--data-dir={tmp_path / 'data'}"
    first = begin(data)
    fifos = {name: [tmp_path / f"{name}-{n}" for n in (1, 2)] for name in ("away", "later")}
    for fifo in (*fifos["away"], *fifos["later"]):
        os.mkfifo(fifo)
    arguments = {
        "away": ["3", *map(str, fifos["away"])],
        "later": ["0", *map(str, fifos["later"])],
        "cancelled": ["0", str(fifos["later"][1])],
    }
    names = {
        key: first.create(job_of("python", "-c", CODE, *more)) for key, more in arguments.items()
    }
    lost = first.create(
        job_of("sh", "-c", "echo up; sleep 60", scheduling={"disableRetries": True})
    )
    for name in (*names.values(), lost):
        wait_for_line(first, name.rsplit("/", 1)[-1], "up")
    pids = {
        key: next(int(one[4:]) for one in lines_of(first, name) if one.startswith("pid "))
        for key, name in names.items()
    }
    started = (tmp_path / "data" / lost / "attempt-1" / "started").read_text()
    supervisor = int(Path(f"/proc/{started}/stat").read_text().rpartition(")")[2].split()[1])
    fifos["later"][0].write_text("one")
    first.end(signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    fifos["away"][0].write_text("one")
    fifos["away"][1].write_text("two")
    wait_until_gone([pids["away"]])

    second = begin(data)
    assert wait_for_state(second, names["away"], "FAILED")["error"]["code"] == 3
    halves = [f"half of {word}" for word in ("one", "two")]
    expected = ["up", halves[0], *["\ufffd"] * 100, halves[1], *["\ufffd"] * 100]
    away = [line for line in lines_of(second, names["away"]) if not line.startswith("pid ")]
    assert away == expected
    assert wait_for_state(second, lost, "FAILED")["error"]["code"] == 13
    wait_until_gone([int(started)])
    assert second.get(names["later"])["state"] == "JOB_STATE_RUNNING"
    second.end(signal.SIGKILL)

    third = begin(data)
    requests.post(f"{third.url}/v1/{names['cancelled']}:cancel", json={}, timeout=10)
    wait_for_state(third, names["cancelled"], "CANCELLED")
    fifos["later"][1].write_text("two")
    wait_for_state(third, names["later"], "SUCCEEDED")
    later = [line for line in lines_of(third, names["later"]) if not line.startswith("pid ")]
    assert later == expected
    assert third.end(signal.SIGTERM) == 0
    wait_until_gone(list(pids.values()))
    kept = (tmp_path / "data" / PARENT.split("/")[0]).rglob("output")
    assert list(kept) == []


def test_containers_end_with_their_data_folder(
    begin: Callable[..., Process], job_of: Callable[..., Json], tmp_path: Path
) -> None:
    """If nobody can come back for them, containers end, with what they have started."""
    emulator = begin(f"--data-dir={tmp_path / 'data'}")
    script = "setsid sleep 60 >/dev/null 2>&1 & echo $! $$ >$0; echo up; sleep 60"
    name = emulator.create(job_of("sh", "-c", script, str(tmp_path / "pids")))
    wait_for_line(emulator, name.rsplit("/", 1)[-1], "up")
    emulator.end(signal.SIGKILL)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    for pid in pids:
        os.kill(pid, 0)
    shutil.rmtree(tmp_path / "data")
    wait_until_gone(pids)


def test_half_a_command_is_not_run(tmp_path: Path) -> None:
    """A supervisor whose emulator was killed before it had said all starts nothing."""
    (tmp_path / "app").mkdir()
    fields = ["3", "sh", "-c", f"touch {tmp_path / 'seen'}", "PATH=/usr/bin:/bin"]
    body = "\0".join(fields).encode()
    for sent, is_run in ((body[:-1], False), (body, True)):
        hold = os.open(tmp_path / "hold", os.O_RDWR | os.O_CREAT)
        subprocess.run(
            [sys.executable, "-I", "-S", supervisor.__file__, str(tmp_path), "A=1", str(hold)],
            input=b"%d\n%s" % (len(body), sent),
            pass_fds=(hold,),
            check=True,
            capture_output=True,
        )
        os.close(hold)
        assert (tmp_path / "seen").exists() == is_run
