"""Where a step's job runs: on its persistent resource as it is, adapted to it, or cold."""

from typing import Any

import pytest

from zenml_vertex import VertexStepOperatorSettings
from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.fields import JobFields
from zenml_vertex.resources.placing import Placement, Wishes, place
from zenml_vertex.resources.resource import PersistentResource, read_resource

NAME = "projects/my-project/locations/us-central1/persistentResources/warm"
FITS: dict[str, Any] = {"machine_type": "n1-standard-4"}


def make_job(**asked: Any) -> JobFields:
    """What a step on the resource asks for."""
    return VertexStepOperatorSettings(persistent_resource_id="warm", **asked).to_job_fields()


def make_resource(state: str = "RUNNING", used: int = 0, **content: Any) -> PersistentResource:
    """A resource with two machines."""
    pool = {
        "id": "n1",
        "machineSpec": {"machineType": "n1-standard-4"},
        "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100},
        "replicaCount": "2",
        **({"usedReplicaCount": str(used)} if used else {}),
    }
    return read_resource({"name": NAME, "state": state, "resourcePools": [pool], **content})


def decide(
    job: JobFields, resource: PersistentResource | None, taken: int = 0, **wishes: bool
) -> Placement:
    """Decide where the job of the step `train` runs."""
    return place(
        job, resource, Wishes(**wishes), name=NAME, step="step `train`", taken={"n1": taken}
    )


def test_a_job_that_fits_is_left_as_it_is() -> None:
    """A job that fits a resource with a free machine is the same afterwards, without a word."""
    job = make_job(**FITS)
    assert decide(job, make_resource(used=1)) == Placement(job, pool_id="n1")


def test_differences_are_shown_side_by_side() -> None:
    """The error has every setting that differs, both values, and both ways out."""
    job = make_job(machine_type="n1-standard-8", boot_disk_size_gb=200)
    with pytest.raises(ConfigurationError) as raised:
        decide(job, make_resource(network="projects/1/global/networks/a"))
    lines = str(raised.value).splitlines()
    assert lines[0].startswith("Vertex settings of step `train`: the job does not fit persistent ")
    assert [line.split() for line in lines[1:-1]] == [
        ["setting", "step", "resource", "warm"],
        ["machine_type", "n1-standard-8", "n1-standard-4"],
        ["boot_disk_size_gb", "200", "100"],
        ["network", "none", "projects/1/global/networks/a"],
    ]
    assert "`persistent_resource_match` to `adopt`" in lines[-1]
    assert f"`zenml-vertex persistent-resource show {NAME}`" in lines[-1]


def test_a_job_takes_over_what_the_resource_has() -> None:
    """With `adopt` the job has the resource's values, and one line says which, and which before."""
    job = make_job(machine_type="n1-standard-8", boot_disk_size_gb=200)
    placed = decide(job, make_resource(network="projects/1/global/networks/a"), adopts=True)
    has = {**FITS, "boot_disk_size_gb": 100, "network": "projects/1/global/networks/a"}
    assert placed.job == make_job(**has)
    assert placed.notes == (
        "taking over from persistent resource `warm`: `machine_type` n1-standard-4 (instead of "
        "n1-standard-8), `boot_disk_size_gb` 100 (instead of 200), `network` "
        "projects/1/global/networks/a (instead of none).",
    )


@pytest.mark.parametrize("has_account", [True, False])
def test_a_service_account_is_never_taken_over(has_account: bool) -> None:
    """A step would run as somebody else: it fails with `adopt` too, and only for that."""
    account = None if has_account else "trainer@p.iam.gserviceaccount.com"
    runtime = {"serviceAccountSpec": {"enableCustomServiceAccount": has_account}}
    resource = make_resource(resourceRuntimeSpec=runtime)
    job = make_job(machine_type="n1-standard-8", service_account=account)
    with pytest.raises(ConfigurationError) as raised:
        decide(job, resource, adopts=True, falls_back=True)
    said = str(raised.value)
    assert "service_account" in said
    assert "n1-standard-8" not in said
    assert "A service account is never taken over" in said


@pytest.mark.parametrize(
    ("state", "command"),
    [
        ("PROVISIONING", "show"),
        ("REBOOTING", "show"),
        ("STOPPING", "create"),
        ("ERROR", "reboot"),
        (None, "create"),
    ],
)
def test_a_resource_that_takes_no_jobs_is_said_with_the_next_command(
    state: str | None, command: str
) -> None:
    """A resource that is gone or not RUNNING fails the step, or has its job run cold."""
    resource = make_resource(state, error={"message": "no machines"}) if state else None
    job = make_job(machine_type="n1-standard-8")
    with pytest.raises(ConfigurationError) as raised:
        decide(job, resource)
    assert f"`zenml-vertex persistent-resource {command} {NAME}`" in str(raised.value)
    assert "`persistent_resource_fallback: true`" in str(raised.value)
    placed = decide(job, resource, falls_back=True, adopts=True)
    assert placed.job.persistent_resource_id is None
    assert placed.job.machine_type == "n1-standard-8"
    assert placed.job.persistent_resource_id is None
    (warning,) = placed.warnings
    assert "The job runs cold" in warning
    assert ("no machines" in warning) == bool(state)


@pytest.mark.parametrize(("used", "taken"), [(2, 0), (1, 1), (0, 2)])
def test_a_busy_resource_is_waited_for_or_left(used: int, taken: int) -> None:
    """Machines that this process has taken count as those that others have."""
    job = make_job(**FITS)
    placed = decide(job, make_resource(used=used), taken)
    assert placed.job == job
    assert "has no free replicas now, of 2: the job waits" in placed.warnings[0]
    placed = decide(job, make_resource(used=used), taken, falls_back=True)
    assert placed.job.persistent_resource_id is None


def test_a_pool_that_scales_has_its_most_machines() -> None:
    """A pool that can grow is not busy, however few machines it has now."""
    pool = {
        "id": "n1",
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": "1",
        "usedReplicaCount": "1",
        "autoscalingSpec": {"minReplicaCount": "1", "maxReplicaCount": "3"},
    }
    resource = read_resource({"name": NAME, "state": "RUNNING", "resourcePools": [pool]})
    job = make_job(**FITS)
    assert decide(job, resource, 1) == Placement(job, pool_id="n1")
    assert decide(job, resource, 2).warnings


def test_a_state_that_is_not_known_keeps_no_job() -> None:
    """What Google may add is a warning; a resource that is updated takes jobs."""
    job = make_job(**FITS)
    placed = decide(job, make_resource("HIBERNATING"))
    assert placed.job == job
    assert "in state HIBERNATING" in placed.warnings[0]
    assert decide(job, make_resource("UPDATING")) == Placement(job, pool_id="n1")
