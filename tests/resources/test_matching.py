"""Whether a job fits a persistent resource, judged beside the emulator."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.emulators import PARENT, call
from tests.support.warm import SECONDS, Warm, open_warm
from zenml_vertex import VertexStepOperatorSettings
from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.request import build_custom_job
from zenml_vertex.resources.matching import adopt, describe_side_by_side, find_match
from zenml_vertex.resources.request import Replicas, build_resource
from zenml_vertex.resources.resource import PersistentResource, read_resource

KEY = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/{}"
ACCOUNT = "trainer@p.iam.gserviceaccount.com"
MACHINES: list[dict[str, Any]] = [
    {"machine_type": "n1-standard-4"},
    {"machine_type": "n1-standard-8"},
    {"machine_type": "n1-standard-8", "accelerator_type": "T4", "accelerator_count": 1},
    {"machine_type": "n1-standard-8", "accelerator_type": "T4", "accelerator_count": 2},
    {"machine_type": "a2-highgpu-1g", "accelerator_type": "A100", "accelerator_count": 1},
]
SETTINGS = st.fixed_dictionaries(
    {
        "machine": st.sampled_from(MACHINES),
        "boot_disk_type": st.sampled_from(["pd-ssd", "pd-standard"]),
        "boot_disk_size_gb": st.sampled_from([100, 200]),
        "network": st.sampled_from([None, "projects/1/global/networks/a"]),
        "encryption_spec_key_name": st.sampled_from([None, KEY.format("a"), KEY.format("b")]),
        "service_account": st.sampled_from([None, ACCOUNT]),
    }
)


def make_job(asked: dict[str, Any], **more: Any) -> JobFields:
    """What a step with these settings asks for."""
    rest = {key: value for key, value in asked.items() if key != "machine"}
    return VertexStepOperatorSettings(**asked.get("machine", {}), **rest, **more).to_job_fields()


def build(job: JobFields) -> dict[str, Any]:
    """The job as it is sent."""
    return build_custom_job(
        job,
        display_name="a job",
        image="registry.example/image:1",
        command=["true"],
        environment={},
        labels={},
    )


def make_resource(warm: Warm, resource_id: str, job: JobFields) -> PersistentResource:
    """Create a resource that a job is to fit, and read it."""
    body = build_resource(job, Replicas(4))
    warm.call("POST", f"?persistentResourceId={resource_id}", json=body)
    warm.clock.advance(SECONDS.provisioning)
    return read_resource(warm.call("GET", f"/{resource_id}"))


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    """An emulator whose clock stands still."""
    with open_warm() as warm:
        yield warm


@settings(max_examples=100)
@given(theirs=SETTINGS, ours=SETTINGS, number=st.integers(0, 10**9))
def test_a_match_is_what_vertex_ai_accepts(
    warm: Warm, theirs: dict[str, Any], ours: dict[str, Any], number: int
) -> None:
    """A job fits exactly the resources on which it is accepted, and those made from its settings.

    With what it takes over, it is accepted too, unless the service account keeps it from it.
    """
    resource_id = f"warm-{number}"
    pool = make_job(theirs)
    resource = make_resource(warm, resource_id, pool)
    try:
        same, job = (
            make_job(asked, persistent_resource_id=resource_id) for asked in (theirs, ours)
        )
        assert find_match(same, resource).is_exact
        found = find_match(job, resource)
        path = f"/v1/{PARENT}/customJobs"
        answer = call(warm.emulator, "POST", path, json=build(job))
        assert answer.ok == found.is_exact, (answer.text, found)
        names = {one.field for one in found.differences}
        settled = {name for name in ours if name != "machine"}
        differing = {name for name in settled if theirs[name] != ours[name]}
        if (theirs["service_account"] is None) == (ours["service_account"] is None):
            differing.discard("service_account")
        machine = {"machine_type", "accelerator_type", "accelerator_count"}
        assert names - machine == differing
        assert bool(names & machine) == (theirs["machine"] != ours["machine"])
        adapted = {**adopt(found.differences)}
        from dataclasses import replace

        answer = call(warm.emulator, "POST", path, json=build(replace(job, **adapted)))
        assert answer.ok == ("service_account" not in names), answer.text
    finally:
        warm.emulator.reset()


def test_the_pool_that_fits_best_is_compared() -> None:
    """Of several pools, the differences are those from the nearest one, in its words."""
    resource = read_resource(
        {
            "name": f"{PARENT}/persistentResources/warm",
            "state": "RUNNING",
            "resourcePools": [
                {
                    "machineSpec": {"machineType": "a2-highgpu-1g"},
                    "diskSpec": {"bootDiskType": "pd-standard", "bootDiskSizeGb": 500},
                    "replicaCount": "1",
                },
                {"machineSpec": {"machineType": "n1-standard-8"}, "replicaCount": "1"},
            ],
        }
    )
    job = make_job({"machine": {"machine_type": "n1-standard-4"}}, boot_disk_size_gb=200)
    found = find_match(job, resource)
    assert [(one.field, one.wanted, one.there) for one in found.differences] == [
        ("machine_type", "n1-standard-4", "n1-standard-8"),
        ("boot_disk_size_gb", "200", "100"),
    ]
    assert describe_side_by_side(found.differences, "warm").splitlines() == [
        "",
        "    setting            step           resource warm",
        "    machine_type       n1-standard-4  n1-standard-8",
        "    boot_disk_size_gb  200            100",
    ]


def test_a_difference_is_cited_as_it_was_written() -> None:
    """A value is named by the additional arguments; a disk that Vertex AI fills in is none."""
    resource = read_resource(
        {
            "name": f"{PARENT}/persistentResources/warm",
            "resourcePools": [{"machineSpec": {"machineType": "n1-standard-4"}}],
            "pscInterfaceConfig": {"networkAttachment": "a"},
        }
    )
    job = make_job(
        {},
        additional_training_job_args={
            "boot_disk_type": None,
            "boot_disk_size_gb": None,
            "psc_interface_config": {"network_attachment": "b"},
        },
    )
    (difference,) = find_match(job, resource).differences
    assert difference.cited == "`psc_interface_config` in `additional_training_job_args`"
    assert difference.value == {"networkAttachment": "a"}


@pytest.mark.parametrize("machine", ["a3-ultragpu-8g", "a4-highgpu-8g"])
def test_machines_with_another_default_disk_have_it(machine: str) -> None:
    """A pool without a disk has the one that is documented for its machine."""
    pool = {"machineSpec": {"machineType": machine}, "replicaCount": "1"}
    resource = read_resource({"name": f"{PARENT}/persistentResources/w", "resourcePools": [pool]})
    job = make_job({"machine": {"machine_type": machine}}, boot_disk_type="hyperdisk-balanced")
    assert find_match(job, resource).is_exact
    job = make_job({"machine": {"machine_type": machine}})
    assert [one.field for one in find_match(job, resource).differences] == ["boot_disk_type"]
