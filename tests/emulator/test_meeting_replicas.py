"""Replicas as processes of this machine: they meet, and end together."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.emulator.test_adoption import lines_of, wait_until_gone
from tests.emulator.test_command import Process, begin, wait_for_line, wait_for_state
from tests.support.emulators import JobOf, Submit
from vertex_emulator import JobState, VertexEmulator
from vertex_emulator.runtimes.process_tree import find_members

__all__ = ["begin"]

Json = dict[str, Any]
# The rendezvous of PyTorch, in small: rank 0 listens at the master's port, and tells each other
# replica what all have told. Then each hears of its neighbour by its own port of the cluster.
MEET = """
import json, os, socket, time
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
master = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
cluster = json.loads(os.environ["CLUSTER_SPEC"])
places = [place for pool in cluster["cluster"].values() for place in pool]
host, port = places[rank].split(":")
own = socket.create_server((host, int(port)))
if rank == 0:
    door = socket.create_server(master)
    others = [door.accept()[0] for _ in range(size - 1)]
    names = sorted(other.makefile().readline().strip() for other in others)
    for other in others:
        other.sendall((",".join(names) + "\\n").encode())
else:
    while True:
        try:
            there = socket.create_connection(master)
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    there.sendall((cluster["task"]["type"] + "-" + str(cluster["task"]["index"]) + "\\n").encode())
    names = there.makefile().readline().strip().split(",")
host, port = places[(rank + 1) % size].split(":")
neighbour = socket.create_connection((host, int(port)))
neighbour.sendall(str(rank).encode())
neighbour.close()
heard = own.accept()[0].makefile().read()
print("met", *names, "heard", heard, flush=True)
if rank == 0:
    # The others are ended with it: until they have written, too.
    for other in others:
        other.recv(1)
"""
# Says who it is.
WHO = """
import json, os, signal, sys
task = json.loads(os.environ["CLUSTER_SPEC"])["task"]
print(f"{task['type']}-{task['index']} is", os.getpid())
print(f"{task['type']}-{task['index']}", flush=True)
"""
# Waits.
WAIT = f"{WHO}\nsignal.pause()"
# Ends with what a FIFO says.
ASK = f"""{WHO}
print("and asks")
print("and asks", flush=True)
with open(sys.argv[1]) as file:
    sys.exit(int(file.read()))
"""
FIRST, SECOND, THIRD = "workerpool0-0", "workerpool1-0", "workerpool2-0"


def with_pools(job: Json, *pools: tuple[int, tuple[str, ...]]) -> Json:
    """Give a job worker pools: the number of replicas of each, and its program with arguments."""
    (first,) = job["jobSpec"]["workerPoolSpecs"]
    container = first["containerSpec"]
    job["jobSpec"]["workerPoolSpecs"] = [
        {
            **first,
            "replicaCount": str(count),
            "containerSpec": {**container, "command": ["python", "-c", *program]},
        }
        for count, program in pools
    ]
    return job


def pids_of(lines: list[str]) -> dict[str, int]:
    """Return replica -> process ID, as replicas have written them."""
    told = (line.split(" is ") for line in lines if " is " in line)
    return {replica: int(pid) for replica, pid in told if replica.startswith("workerpool")}


def test_replicas_meet(emulator: VertexEmulator, submit: Submit, job_of: JobOf) -> None:
    """By MASTER_ADDR and by CLUSTER_SPEC each replica reaches the others, and all succeed."""
    name = submit(emulator, with_pools(job_of(), (1, (MEET,)), (2, (MEET,))))["name"]
    assert emulator.wait_for_state(name).state is JobState.SUCCEEDED
    for rank, replica in enumerate((FIRST, SECOND, "workerpool1-1")):
        said = [f"met workerpool1-0 workerpool1-1 heard {(rank - 1) % 3}"]
        assert emulator.log_lines(name, replica) == said


def test_a_replicas_end_leaves_the_others_alone(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf, tmp_path: Path
) -> None:
    """A worker that exits takes with it what it has started, and nothing of another replica.

    Until a worker fails: that ends all of them, and what they have started.
    """
    fifos = {replica: tmp_path / replica for replica in (SECOND, THIRD)}
    for fifo in fifos.values():
        os.mkfifo(fifo)
    child = "import os, subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    job = with_pools(
        job_of(),
        (1, (child + WAIT,)),
        (1, (child + ASK, str(fifos[SECOND]))),
        (1, (child + ASK, str(fifos[THIRD]))),
    )
    name = submit(emulator, job)["name"]
    members = {}
    for replica in (FIRST, SECOND, THIRD):
        emulator.wait_for_line(name, f"{replica} is")
        marker = f"VERTEX_EMULATOR_REPLICA={name.rsplit('/', 1)[-1]}/{replica}"
        members[replica] = find_members(marker, None)
        assert len(members[replica]) == 2
    fifos[SECOND].write_text("0")
    wait_until_gone(list(members[SECOND]))
    for pid in members[FIRST] | members[THIRD]:
        os.kill(pid, 0)
    assert emulator.job(name).state is JobState.RUNNING
    fifos[THIRD].write_text("3")
    failed = emulator.wait_for_state(name)
    assert f"The replica {THIRD} exited with a non-zero status of 3." in str(failed.error)
    wait_until_gone([*members[FIRST], *members[THIRD]])


def test_a_killed_emulator_leads_all_replicas_as_before(
    begin: Callable[..., Process], job_of: JobOf, tmp_path: Path
) -> None:
    """After a kill all replicas are followed, also one that has succeeded meanwhile.

    Each line comes once, under its replica. What fails meanwhile fails its job. At the end,
    nothing is left of the replicas.
    """
    data = f"--data-dir={tmp_path / 'data'}"
    first = begin(data)
    fifos = {}
    names = {}
    for job in ("succeeds", "fails"):
        for replica in (FIRST, SECOND):
            fifos[job, replica] = tmp_path / f"{job}-{replica}"
            os.mkfifo(fifos[job, replica])
        pools = [(1, (ASK, str(fifos[job, replica]))) for replica in (FIRST, SECOND)]
        names[job] = first.create(with_pools(job_of(), *pools, (1, (WAIT,))))
    pids = {}
    for job, name in names.items():
        for replica in (FIRST, SECOND, THIRD):
            wait_for_line(first, name.rsplit("/", 1)[-1], replica)
        pids[job] = pids_of(lines_of(first, name))
    first.end(signal.SIGKILL)
    fifos["succeeds", SECOND].write_text("0")
    fifos["fails", SECOND].write_text("3")
    wait_until_gone([pids["succeeds"][SECOND], pids["fails"][SECOND]])

    second = begin(data)
    error = wait_for_state(second, names["fails"], "FAILED")["error"]
    assert f"The replica {SECOND} exited with a non-zero status of 3." in error["message"]
    assert second.get(names["succeeds"])["state"] == "JOB_STATE_RUNNING"
    for pid in (pids["succeeds"][FIRST], pids["succeeds"][THIRD]):
        os.kill(pid, 0)
    fifos["succeeds", FIRST].write_text("0")
    wait_for_state(second, names["succeeds"], "SUCCEEDED")
    for job, name in names.items():
        told = [f"{replica} is {pid}" for replica, pid in pids[job].items()]
        assert sorted(lines_of(second, name)) == sorted(
            [*told, FIRST, SECOND, THIRD, *["and asks"] * 4]
        )
    wait_until_gone([pid for one in pids.values() for pid in one.values()])
    assert second.end(signal.SIGTERM) == 0
    assert list((tmp_path / "data").rglob("output")) == []
