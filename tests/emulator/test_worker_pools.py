"""Jobs with several replicas: when they end, how, and what of them is seen."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.emulators import NO_WAITING, PARENT, JobOf, Submit, call, error_of
from vertex_emulator import JobState, ManualClock, VertexEmulator
from vertex_emulator.core.documents import MemoryStore
from vertex_emulator.faults import HangsAfterWork, Preemption, StartsAgain
from vertex_emulator.jobs.events import ReplicaEnded, event_to_json
from vertex_emulator.runtimes.contract import Container, Exit
from vertex_emulator.runtimes.scripted import Script, ScriptedRuntime

Json = dict[str, Any]
BEFORE, TEARDOWN = 5 + 180, 50
FIRST, SECOND, THIRD = "workerpool0-0", "workerpool1-0", "workerpool1-1"


def pool(count: int = 1, **spec: Any) -> Json:
    """Build a worker pool."""
    return {
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": str(count),
        "containerSpec": {"imageUri": "registry.example/image:1", "command": ["true"]},
        **spec,
    }


def play(**scripts: Script) -> Callable[[Container], Script]:
    """Play a script for each replica, which is named with `_` for `-`."""
    return lambda container: scripts[container.replica.replace("-", "_")]


def create(simulation: Any, count: int = 2, **spec: Any) -> str:
    """Create a job with a primary replica and workers; return its resource name."""
    return str(simulation.create(workerPoolSpecs=[pool(), pool(count)], **spec))


def started(simulation: Any) -> list[tuple[int, str]]:
    """Return attempt and replica of each container that was started."""
    return [(one.attempt, one.replica) for one in simulation.starts]


def test_all_replicas_start_together(simulation: Any) -> None:
    """Each replica has a container of its own, in one attempt, with a folder of its own."""
    name = create(simulation)
    simulation.clock.advance(BEFORE)
    assert started(simulation) == [(1, FIRST), (1, SECOND), (1, THIRD)]
    assert len({one.folder for one in simulation.starts}) == 3
    assert [one.environment["RANK"] for one in simulation.starts] == ["0", "1", "2"]
    assert simulation.state(name) == "RUNNING"


def test_the_primary_replicas_end_is_the_jobs(simulation: Any) -> None:
    """When the primary replica has succeeded, the others are ended, and the job succeeds."""
    simulation.script = play(
        workerpool0_0=Script(30.0),
        workerpool1_0=Script(10.0),
        workerpool1_1=Script(None, grace=7.0),
    )
    name = create(simulation)
    simulation.clock.advance(BEFORE + 30)
    assert simulation.emulator.job(name).stage == "running"
    simulation.clock.advance(7)
    assert simulation.emulator.job(name).stage == "tearing_down"
    simulation.clock.advance(TEARDOWN)
    assert simulation.state(name) == "SUCCEEDED"
    assert not simulation.emulator.job(name).error


def test_a_worker_that_succeeds_ends_nothing(simulation: Any) -> None:
    """Workers that exit with 0 leave the job running until its primary replica ends."""
    simulation.script = lambda one: Script(None if one.replica == FIRST else 1.0)
    name = create(simulation)
    simulation.clock.advance(BEFORE + 10_000)
    assert simulation.state(name) == "RUNNING"


@pytest.mark.parametrize("replica", [FIRST, SECOND, THIRD])
def test_a_failing_replica_ends_the_job(simulation: Any, replica: str) -> None:
    """Whichever replica fails first is named in the error, and the others are ended."""
    simulation.script = lambda one: Script(9.0, 3) if one.replica == replica else Script(None)
    name = create(simulation)
    simulation.clock.advance(BEFORE + 9 + TEARDOWN)
    failed = simulation.get(name)
    assert simulation.state(name) == "FAILED"
    assert failed.error.code == 3
    assert f"The replica {replica} exited with a non-zero status of 3. " in failed.error.message
    assert len(simulation.starts) == 3


def test_a_worker_without_memory_names_its_pool(simulation: Any) -> None:
    """The error of a worker that ran out of memory is the recorded one, with its pool."""
    simulation.script = lambda one: (
        Script(9.0, 137, is_out_of_memory=True) if one.replica == THIRD else Script(None)
    )
    name = create(simulation)
    simulation.clock.advance(BEFORE + 9 + TEARDOWN)
    assert simulation.get(name).error.message == (
        "Replicas low on memory: workerpool1. Specify a machine with larger memory and try again."
    )


@pytest.mark.parametrize("how", ["transient", "preempted"])
def test_a_restart_restarts_all(simulation: Any, how: str) -> None:
    """A worker's transient end, and a preemption, start every replica again in a new attempt."""
    if how == "preempted":
        simulation.emulator.faults.plan(Preemption(after=9))
    simulation.script = lambda one: (
        Script(9.0, 139)
        if how == "transient" and (one.attempt, one.replica) == (1, SECOND)
        else Script(60.0)
    )
    name = create(simulation)
    simulation.clock.advance(10_000)
    assert simulation.state(name) == "SUCCEEDED"
    assert started(simulation) == [
        (attempt, replica) for attempt in (1, 2) for replica in (FIRST, SECOND, THIRD)
    ]


@pytest.mark.parametrize("how", ["cancel", "timeout", "delete"])
def test_what_ends_a_job_ends_all_replicas(simulation: Any, how: str) -> None:
    """A cancel and a timeout end all replicas, each after its grace; the job waits for the last."""
    simulation.script = lambda one: Script(None, grace=20.0 if one.replica == THIRD else 0.0)
    timeout: Json = {"scheduling": {"timeout": "100s"}} if how == "timeout" else {}
    name = create(simulation, **timeout)
    simulation.clock.advance(BEFORE + 99)
    if how == "delete":
        folder = simulation.emulator.data_dir / name
        simulation.emulator._driver.delete(name.rsplit("/", 1)[-1])
        simulation.clock.advance(19)
        assert folder.exists()
        simulation.clock.advance(1)
        assert not folder.exists()
        return
    if how == "cancel":
        simulation.client.cancel_custom_job(name=name, timeout=10)
    simulation.clock.advance(1 + 18)
    assert simulation.emulator.job(name).stage == "stopping"
    simulation.clock.advance(2 + TEARDOWN)
    assert simulation.state(name) == "CANCELLED"


def test_a_replica_that_is_lost_restarts_all(simulation: Any) -> None:
    """The platform's loss of one replica ends the others, and starts all again."""

    def lose(one: Container) -> Script:
        if (one.attempt, one.replica) == (1, SECOND):
            raise RuntimeError("lost")
        return Script(None if one.attempt == 1 else 60.0)

    simulation.script = lose
    name = create(simulation)
    simulation.clock.advance(10_000)
    assert simulation.state(name) == "SUCCEEDED"
    assert [attempt for attempt, replica in started(simulation) if replica == FIRST] == [1, 2]


def test_only_the_failed_replica_starts_again(simulation: Any) -> None:
    """On a failed job's machines, the container that failed has its second start, no other."""
    simulation.emulator.faults.plan(StartsAgain(wait=5, seconds=20))
    simulation.script = lambda one: (
        Script(9.0, 3) if (one.replica, one.start) == (THIRD, 1) else Script(None)
    )
    name = create(simulation)
    simulation.clock.advance(10_000)
    assert simulation.state(name) == "FAILED"
    assert [(one.replica, one.start) for one in simulation.starts][3:] == [(THIRD, 2)]


def test_an_end_can_be_noticed_late(simulation: Any) -> None:
    """A job whose exits are hidden keeps running, although no container is left."""
    simulation.emulator.faults.plan(HangsAfterWork(seconds=300))
    simulation.script = lambda one: Script(9.0 if one.replica == FIRST else None)
    name = create(simulation)
    simulation.clock.advance(BEFORE + 299)
    assert simulation.state(name) == "RUNNING"
    simulation.clock.advance(20 + TEARDOWN)
    assert simulation.state(name) == "SUCCEEDED"


def test_each_replica_has_a_log_of_its_own(simulation: Any) -> None:
    """Lines stand under their replica's name, from machines of their own."""
    simulation.script = lambda one: Script(1.0, lines=(f"I am {one.replica}",))
    name = create(simulation)
    simulation.clock.advance(BEFORE + 1)
    entries = simulation.emulator.log_entries(name)
    nodes = set()
    for replica in (FIRST, SECOND, THIRD):
        assert simulation.emulator.log_lines(name, replica) == [f"I am {replica}"]
        (entry,) = (one for one in entries if one.get("textPayload") == f"I am {replica}")
        assert entry["logName"].endswith(f"/logs/{replica}")
        assert entry["resource"]["labels"]["task_name"] == replica
        assert entry["labels"]["ml.googleapis.com/task_name"] == replica
        nodes.add(entry["labels"]["compute.googleapis.com/resource_name"])
    assert len(nodes) == 3


@pytest.mark.parametrize("when", ["all run", "one has failed", "it was about to end the others"])
def test_the_next_emulator_leads_all_replicas(submit: Submit, job_of: JobOf, when: str) -> None:
    """After a crash, the next emulator goes on with all, and knows what has been decided."""
    clock = ManualClock()
    grace = 50.0
    runtime = ScriptedRuntime(
        lambda one: Script(100.0 if one.replica == SECOND else None, 4, lines=("up",), grace=grace)
    )
    store = MemoryStore()
    options: Json = {"clock": clock, "runtime": runtime, "store": store, "timings": NO_WAITING}
    with VertexEmulator(**options) as first:
        job = job_of("true")
        job["jobSpec"]["workerPoolSpecs"] = [pool(), pool(2)]
        name = submit(first, job)["name"]
        clock.advance(100 if when == "one has failed" else 10)
        assert first.job(name).state is JobState.RUNNING
        first.crash()
        if when == "it was about to end the others":
            decided = event_to_json(ReplicaEnded(1, Exit(4), replica=SECOND))
            store.put(name, {**(store.get(name) or {}), "decided": decided})
        with VertexEmulator(**options) as second:
            clock.advance(90 + grace if when == "all run" else grace)
            ended = second.job(name)
            assert ended.state is JobState.FAILED
            assert ended.attempt == 1
            assert f"{SECOND} exited with a non-zero status of 4" in (ended.error or {})["message"]


@pytest.mark.parametrize(
    ("pools", "field"),
    [
        ([pool(2)], "[0].replica_count"),
        ([{}, pool()], "[0].machine_spec.machine_type"),
        ([pool(), pool(-1)], "[1].replica_count"),
        ([pool(), pool(containerSpec={})], "[1].container_spec.image_uri"),
        (
            [pool(machineSpec={"machineType": "ct5lp-hightpu-4t", "tpuTopology": "2x2"}), pool()],
            "",
        ),
    ],
)
def test_pools_that_vertex_ai_refuses(
    emulator: VertexEmulator, job_of: JobOf, pools: list[Json], field: str
) -> None:
    """The primary pool has one replica and is not empty, and each pool must be valid."""
    job = job_of("true")
    job["jobSpec"]["workerPoolSpecs"] = pools
    error = error_of(call(emulator, "POST", f"/v1/{PARENT}/customJobs", json=job))
    assert error["status"] == "INVALID_ARGUMENT"
    assert f"Field: job_spec.worker_pool_specs{field};" in error["message"]


def test_flex_start_has_the_same_machines_everywhere(
    emulator: VertexEmulator, job_of: JobOf
) -> None:
    """With FLEX_START, a pool with another machine is refused."""
    gpu = {"machineType": "g2-standard-4", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 1}
    more = {**gpu, "machineType": "g2-standard-8"}
    job = job_of("true", scheduling={"strategy": "FLEX_START"})
    for machines, is_refused in (((gpu, more), True), ((gpu, gpu), False)):
        pools = [pool(machineSpec=machine) for machine in machines]
        job["jobSpec"]["workerPoolSpecs"] = pools
        answer = call(emulator, "POST", f"/v1/{PARENT}/customJobs", json=job)
        assert ("the same machines" in answer.text) == is_refused, answer.text


def test_more_replicas_than_a_machine_bears_are_not_run(
    emulator: VertexEmulator, job_of: JobOf
) -> None:
    """A job with thousands of replicas is UNIMPLEMENTED here, with the number."""
    job = job_of("true")
    job["jobSpec"]["workerPoolSpecs"] = [pool(), pool(5000)]
    error = error_of(call(emulator, "POST", f"/v1/{PARENT}/customJobs", json=job))
    assert error["status"] == "UNIMPLEMENTED"
    assert "5001 replicas, where at most 100 can be run" in error["message"]
