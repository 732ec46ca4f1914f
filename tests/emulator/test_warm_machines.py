"""Jobs on a persistent resource: who may run there, who waits, and what ends them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.emulators import PARENT, Json, call, error_of
from tests.support.warm import GPU_POOL, POOL, SECONDS, Warm, open_warm
from vertex_emulator import JobState
from vertex_emulator.faults import Held, InternalErrors, Paused

NETWORK = "projects/1/global/networks/n"
KEY = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"
ACCOUNT = "trainer@my-project.iam.gserviceaccount.com"
FIRST = "job_spec.worker_pool_specs[0]"
CUSTOM_ACCOUNTS = {"serviceAccountSpec": {"enableCustomServiceAccount": True}}


@pytest.fixture(scope="module")
def shared() -> Iterator[Warm]:
    """One emulator for the module."""
    with open_warm() as warm:
        yield warm


@pytest.fixture
def warm(shared: Warm) -> Warm:
    """An emulator without persistent resources and jobs."""
    shared.emulator.reset()
    return shared


def fields_of(error: Json) -> list[str]:
    """Return the fields that an error names."""
    assert error["status"] == "INVALID_ARGUMENT", error
    (detail,) = (one for one in error["details"] if one["@type"].endswith("BadRequest"))
    return [one["field"] for one in detail["fieldViolations"]]


def test_a_job_starts_at_once(warm: Warm) -> None:
    """On free machines a job runs without having been queued or provisioned."""
    warm.make()
    job = warm.submit()
    warm.clock.settle()
    assert warm.states(job) == ["RUNNING"]
    assert [state.name for state, _ in warm.emulator.job(job).history] == ["PENDING", "RUNNING"]
    warm.clock.advance(60 + 10)
    assert warm.states(job) == ["SUCCEEDED"]
    lines = warm.emulator.log_lines(job, "service")
    assert lines.index("Waiting for job to be provisioned.") == 0
    assert lines[-1] == "Job completed successfully."


def test_replicas_in_use_are_counted(warm: Warm) -> None:
    """`usedReplicaCount` is what jobs have, of each pool, until they have ended; absent for 0."""
    warm.make("warm", POOL, GPU_POOL)
    assert warm.used() == [None, None]
    warm.submit(pool=GPU_POOL)
    assert warm.used() == [None, "1"]
    warm.submit(pool=GPU_POOL)
    warm.submit()
    assert warm.used() == ["1", "2"]
    warm.clock.advance(60)
    assert warm.used() == ["1", "2"]
    warm.clock.advance(10)
    assert warm.used() == [None, None]


def test_a_job_waits_where_all_machines_are_in_use(warm: Warm) -> None:
    """Jobs that find no free machine are QUEUED, and run one after the other, the first first."""
    warm.make()
    jobs = [warm.submit() for _ in range(3)]
    warm.clock.settle()
    assert warm.states(*jobs) == ["RUNNING", "QUEUED", "QUEUED"]
    warm.clock.advance(60 + 10)
    assert warm.states(*jobs) == ["SUCCEEDED", "RUNNING", "QUEUED"]
    warm.clock.advance(60 + 10)
    assert warm.states(*jobs) == ["SUCCEEDED", "SUCCEEDED", "RUNNING"]


def test_a_job_does_not_wait_for_machines_of_another_kind(warm: Warm) -> None:
    """A full pool keeps nobody from another one."""
    warm.make("warm", POOL, GPU_POOL)
    jobs = [warm.submit(), warm.submit(), warm.submit(pool=GPU_POOL)]
    warm.clock.settle()
    assert warm.states(*jobs) == ["RUNNING", "QUEUED", "RUNNING"]


def test_a_small_job_does_not_pass_a_large_one(warm: Warm) -> None:
    """A job for two machines gets them, though one for a single machine could have run before."""
    warm.make("warm", {**POOL, "replicaCount": "2"})
    container = {"imageUri": "registry.example/image:1", "command": ["true"]}
    worker = {**POOL, "containerSpec": container}
    jobs = [warm.submit(), warm.submit(workerPoolSpecs=[worker, worker]), warm.submit()]
    warm.clock.settle()
    assert warm.states(*jobs) == ["RUNNING", "QUEUED", "QUEUED"]
    warm.clock.advance(60 + 10)
    assert warm.states(*jobs) == ["SUCCEEDED", "RUNNING", "QUEUED"]
    assert warm.used() == ["2"]


def test_a_job_that_waits_can_be_cancelled(warm: Warm) -> None:
    """It ends without a start, and its turn goes to the next one."""
    warm.make()
    jobs = [warm.submit() for _ in range(3)]
    assert call(warm.emulator, "POST", f"/v1/{jobs[1]}:cancel", json={}).status_code == 200
    warm.clock.settle()
    assert warm.states(*jobs) == ["RUNNING", "CANCELLED", "QUEUED"]
    call(warm.emulator, "POST", f"/v1/{jobs[0]}:cancel", json={})
    warm.clock.advance(10)
    assert warm.states(*jobs) == ["CANCELLED", "CANCELLED", "RUNNING"]


def test_a_pool_that_scales_has_all_that_it_may(warm: Warm) -> None:
    """With autoscaling, jobs get machines up to the maximum, and clients see how many there are."""
    scaled = {**POOL, "autoscalingSpec": {"minReplicaCount": "1", "maxReplicaCount": "2"}}
    warm.make("warm", scaled)
    jobs = [warm.submit() for _ in range(3)]
    warm.clock.settle()
    assert warm.states(*jobs) == ["RUNNING", "RUNNING", "QUEUED"]
    pool = warm.call("GET", "/warm")["resourcePools"][0]
    assert (pool["replicaCount"], pool["usedReplicaCount"]) == ("2", "2")
    warm.clock.advance(3 * 70)
    assert warm.call("GET", "/warm")["resourcePools"][0]["replicaCount"] == "1"


def test_more_replicas_let_more_jobs_run(warm: Warm) -> None:
    """Those that wait run as soon as an update has brought machines; one cannot take them away."""
    warm.make()
    jobs = [warm.submit(), warm.submit()]
    pool = {**POOL, "id": "n1-standard-4", "replicaCount": "2"}
    warm.call("PATCH", "/warm?updateMask=resourcePools", json={"resourcePools": [pool]})
    warm.clock.advance(SECONDS.updating)
    assert warm.states(*jobs) == ["RUNNING", "RUNNING"]
    pool["replicaCount"] = "1"
    body = {"resourcePools": [pool]}
    error = warm.refused("PATCH", "/warm?updateMask=resourcePools", json=body)
    assert error["status"] == "FAILED_PRECONDITION"
    assert "Jobs use 2 replicas" in error["message"]


def test_a_job_on_none_is_refused(warm: Warm) -> None:
    """A persistent resource that does not exist is named so, and no job is created."""
    error = error_of(warm.try_job("gone"))
    assert (error["status"], error["message"]) == (
        "NOT_FOUND", "The PersistentResource does not exist.",
    )  # fmt: skip
    warm.make()
    elsewhere = PARENT.replace("us-central1", "europe-west4")
    body = {
        "displayName": "a job",
        "jobSpec": {
            "persistentResourceId": "warm",
            "workerPoolSpecs": [{**POOL, "containerSpec": {"imageUri": "i", "command": ["true"]}}],
        },
    }
    answer = call(warm.emulator, "POST", f"/v1/{elsewhere}/customJobs", json=body)
    assert error_of(answer)["status"] == "NOT_FOUND"
    assert warm.emulator.jobs == ()


def test_a_job_on_one_that_is_not_ready_is_refused(warm: Warm) -> None:
    """The error names the resource and its state, until it is RUNNING."""
    warm.create()
    error = error_of(warm.try_job())
    assert error["status"] == "FAILED_PRECONDITION"
    assert 'persistentResources/warm" is in state PROVISIONING' in error["message"]
    warm.clock.advance(SECONDS.provisioning)
    warm.submit()


@pytest.mark.parametrize(
    ("resource", "job", "fields"),
    [
        ({}, {"pool": {**POOL, "machineSpec": {"machineType": "n1-standard-8"}}}, [FIRST]),
        ({}, {"pool": GPU_POOL}, [FIRST]),
        ({}, {"pool": {**POOL, "diskSpec": {"bootDiskType": "pd-standard"}}}, [FIRST]),
        ({}, {"pool": {**POOL, "diskSpec": {"bootDiskSizeGb": 200}}}, [FIRST]),
        ({}, {"network": NETWORK}, ["job_spec.network"]),
        ({"network": NETWORK}, {}, ["job_spec.network"]),
        ({"network": NETWORK}, {"network": NETWORK}, []),
        ({}, {"encryptionSpec": {"kmsKeyName": KEY}}, ["encryption_spec.kms_key_name"]),
        ({"encryptionSpec": {"kmsKeyName": KEY}}, {}, ["encryption_spec.kms_key_name"]),
        ({}, {"encryptionSpec": {}}, []),
        ({}, {"serviceAccount": ACCOUNT}, ["job_spec.service_account"]),
        ({"resourceRuntimeSpec": CUSTOM_ACCOUNTS}, {}, ["job_spec.service_account"]),
        ({"resourceRuntimeSpec": CUSTOM_ACCOUNTS}, {"serviceAccount": ACCOUNT}, []),
        (
            {"network": NETWORK},
            {"pool": GPU_POOL, "serviceAccount": ACCOUNT},
            [FIRST, "job_spec.network", "job_spec.service_account"],
        ),
    ],
)  # fmt: skip
def test_a_job_has_to_match(warm: Warm, resource: Json, job: Any, fields: list[str]) -> None:
    """Machine, accelerator, disk, network, key and service account must be the resource's."""
    warm.make("warm", POOL, **resource)
    answer = warm.try_job("warm", **job)
    if fields:
        error = error_of(answer)
        assert fields_of(error) == fields
        assert "`warm`" in error["message"]
    else:
        assert answer.status_code == 200, answer.text


def test_a_deletion_ends_what_runs_there(warm: Warm) -> None:
    """Jobs are cancelled, those that wait too; the resource is STOPPING until they have ended."""
    warm.make()
    jobs = [warm.submit(), warm.submit()]
    warm.clock.settle()
    operation = warm.call("DELETE", "/warm")
    assert "done" not in operation
    assert warm.state() == "STOPPING"
    assert error_of(warm.try_job())["status"] == "FAILED_PRECONDITION"
    assert warm.refused("DELETE", "/warm")["status"] == "FAILED_PRECONDITION"
    warm.clock.advance(10)
    assert warm.states(*jobs) == ["CANCELLED", "CANCELLED"]
    assert warm.operation(operation)["done"] is True
    assert warm.refused("GET", "/warm")["status"] == "NOT_FOUND"


def test_a_reboot_is_refused_while_jobs_are_there(warm: Warm) -> None:
    """The error says how many jobs have not ended."""
    warm.make()
    warm.submit()
    error = warm.refused("POST", "/warm:reboot", json={})
    assert error["status"] == "FAILED_PRECONDITION"
    assert "has jobs that have not ended" in error["message"]
    warm.clock.advance(70)
    warm.call("POST", "/warm:reboot", json={})


def test_a_restarted_job_keeps_its_machines(warm: Warm) -> None:
    """A job that is restarted does not go behind those that wait."""
    warm.make()
    with warm.emulator.faults.planned(InternalErrors(after=10)):
        jobs = [warm.submit(), warm.submit()]
        warm.clock.advance(10)
    assert warm.states(*jobs) == ["RUNNING", "QUEUED"]
    assert warm.emulator.job(jobs[0]).attempt == 2


def test_a_job_that_is_held_has_its_machines(warm: Warm) -> None:
    """One that is held in the queue for 100 s starts then, and keeps its turn."""
    warm.make()
    with warm.emulator.faults.planned(Held(at="queued", seconds=100)):
        jobs = [warm.submit(), warm.submit()]
        warm.clock.advance(99)
        assert warm.states(*jobs) == ["QUEUED", "QUEUED"]
        warm.clock.advance(1)
    assert warm.states(*jobs) == ["RUNNING", "QUEUED"]


def test_a_job_that_was_paused_in_the_queue_waits_for_machines(warm: Warm) -> None:
    """The end of its pause does not give it machines that are in use."""
    warm.make()
    first = warm.submit()
    with warm.emulator.faults.planned(Paused(at="queued", seconds=10)):
        second = warm.submit()
        warm.clock.advance(11)
    assert warm.states(first, second) == ["RUNNING", "PAUSED"]
    warm.clock.advance(60)
    assert warm.states(first, second) == ["SUCCEEDED", "RUNNING"]


def test_waiting_and_running_outlive_a_crash(tmp_path: Path) -> None:
    """After a restart, machines are in use as before, and jobs wait as before."""
    with open_warm(tmp_path) as first:
        first.make()
        jobs = [first.submit(), first.submit()]
        first.clock.settle()
        first.emulator.crash()
        with open_warm(tmp_path, first.clock) as second:
            second.clock.settle()
            assert second.states(*jobs) == ["RUNNING", "QUEUED"]
            assert second.used() == ["1"]
            second.clock.advance(60 + 10)
            assert second.states(*jobs) == ["SUCCEEDED", "RUNNING"]


def test_a_deletion_outlives_a_crash(tmp_path: Path) -> None:
    """A resource that was being deleted is gone once its jobs have ended."""
    with open_warm(tmp_path) as first:
        first.make()
        job = first.submit()
        first.clock.settle()
        operation = first.call("DELETE", "/warm")
        first.emulator.crash()
        with open_warm(tmp_path, first.clock) as second:
            second.clock.advance(10)
            assert second.emulator.job(job).state is JobState.CANCELLED
            assert second.operation(operation)["done"] is True
            assert second.refused("GET", "/warm")["status"] == "NOT_FOUND"


def test_a_crash_amid_a_deletion_leaves_no_job_waiting(tmp_path: Path) -> None:
    """Jobs that a killed emulator had still to cancel are cancelled by the next one.

    One that waited for machines stayed QUEUED, and the resource STOPPING, for ever.
    """
    with open_warm(tmp_path) as first:
        first.make()
        jobs = [first.submit(), first.submit()]
        first.clock.settle()
        files = [tmp_path / job / "document.json" for job in jobs]
        kept = [file.read_bytes() for file in files]
        operation = first.call("DELETE", "/warm")
        first.emulator.crash()
        # As after a kill before either was.
        for file, content in zip(files, kept, strict=True):
            file.write_bytes(content)
        with open_warm(tmp_path, first.clock) as second:
            second.clock.advance(10)
            assert second.states(*jobs) == ["CANCELLED", "CANCELLED"]
            assert second.operation(operation)["done"] is True
            assert second.refused("GET", "/warm")["status"] == "NOT_FOUND"
