from collections.abc import Callable
from typing import Any

import pytest

from vertex_emulator.jobs.rules import LABELS_MESSAGE, RESOURCE_ID_MESSAGE, find_violations

Json = dict[str, Any]
POOL = "job_spec.worker_pool_specs[0]"


def found(job: Json, location: str = "us-central1") -> dict[str, str]:
    """Return field -> description of every violation."""
    return {item.field: item.description for item in find_violations(job, location)}


def machine(**spec: Any) -> Json:
    """Build a pool with a machine."""
    return {"pool": {"machineSpec": spec}}


def container(**spec: Any) -> Json:
    """Build a pool with a container."""
    return {"pool": {"containerSpec": {"imageUri": "i", "command": ["true"], **spec}}}


def test_a_plain_job_breaks_no_rule(job_of: Callable[..., Json]) -> None:
    """A job with a machine, an image and a command is valid."""
    assert find_violations(job_of("true"), "us-central1") == []


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        (
            machine(machineType="n1-standard-4", acceleratorType="NVIDIA_TESLA_T4"),
            f"{POOL}.machine_spec.accelerator_type",
            "Both `accelerator_type` and `accelerator_count` should be specified or none.",
        ),
        (
            machine(machineType="n1-standard-4", acceleratorCount=1),
            f"{POOL}.machine_spec.accelerator_type",
            "Both `accelerator_type` and `accelerator_count` should be specified or none.",
        ),
        (
            machine(machineType="n1-standard-1"),
            f"{POOL}.machine_spec.machine_type",
            'Machine type "n1-standard-1" is not supported.',
        ),
        (
            machine(
                machineType="n1-standard-4",
                acceleratorType="NVIDIA_TESLA_K80",
                acceleratorCount=1,
            ),
            f"{POOL}.machine_spec.accelerator_type",
            'Accelerator "NVIDIA_TESLA_K80" is not supported for machine type "n1-standard-4".',
        ),
        ({"labels": {"Upper": "x"}}, "labels", LABELS_MESSAGE),
        (
            {"persistentResourceId": "Bad_Id"},
            "persistent_resource_id",
            RESOURCE_ID_MESSAGE,
        ),
        (
            {"scheduling": {"maxWaitDuration": "60s", "strategy": "SPOT"}},
            "job_spec.scheduling.max_wait_duration",
            "max_wait_duration is only supported for FLEX_START.",
        ),
        (
            container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
            f"{POOL}.container_spec.env",
            "EnvVar names must be unique.",
        ),
        (
            {"serviceAccount": "nobody"},
            "job_spec.service_account",
            "You do not have permission to act as service_account: nobody. (or it may not exist).",
        ),
    ],
)
def test_violations_have_the_services_text(
    job_of: Callable[..., Json], spec: Json, field: str, message: str
) -> None:
    """Where a public report quotes the service, the text and the field equal the quotation."""
    assert found(job_of(**spec)) == {field: message}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"displayName": ""}, "display_name"),
        ({"displayName": "x" * 129}, "display_name"),
        ({"labels": {f"k{n}": "" for n in range(65)}}, "labels"),
        ({"labels": {"-a": "b"}}, "labels"),
        ({"labels": {"a": "b" * 64}}, "labels"),
        ({"labels": {"a": "ж" * 63 + "x"}}, "labels"),
        ({"labels": {"a": "漢" * 43}}, "labels"),
        ({"labels": {"a": "b.c"}}, "labels"),
        (
            {"encryptionSpec": {"kmsKeyName": "my-key"}},
            "encryption_spec.kms_key_name",
        ),
        (
            {
                "encryptionSpec": {
                    "kmsKeyName": "projects/p/locations/global/keyRings/r/cryptoKeys/k"
                }
            },
            "encryption_spec.kms_key_name",
        ),
        ({"network": "projects/my-project/global/networks/default"}, "job_spec.network"),
        ({"network": "default"}, "job_spec.network"),
        ({"tensorboard": "projects/1/locations/l/tensorboards/2"}, "job_spec.service_account"),
        (
            {"baseOutputDirectory": {"outputUriPrefix": "/tmp/out"}},
            "job_spec.base_output_directory.output_uri_prefix",
        ),
        ({"scheduling": {"timeout": "-1s"}}, "job_spec.scheduling.timeout"),
        ({"pool": {"replicaCount": "2"}}, f"{POOL}.replica_count"),
        ({"pool": {"diskSpec": {"bootDiskSizeGb": 99}}}, f"{POOL}.disk_spec.boot_disk_size_gb"),
        (
            {"pool": {"diskSpec": {"bootDiskSizeGb": 64001}}},
            f"{POOL}.disk_spec.boot_disk_size_gb",
        ),
        ({"pool": {"diskSpec": {"bootDiskType": "ssd"}}}, f"{POOL}.disk_spec.boot_disk_type"),
        (container(env=[{"name": "1A", "value": ""}]), f"{POOL}.container_spec.env[0].name"),
        (
            container(env=[{"name": f"A{n}", "value": ""} for n in range(101)]),
            f"{POOL}.container_spec.env",
        ),
        (container(imageUri=""), f"{POOL}.container_spec.image_uri"),
        (machine(), f"{POOL}.machine_spec.machine_type"),
        (machine(machineType="a2-highgpu-1g"), f"{POOL}.machine_spec.accelerator_type"),
        (
            machine(
                machineType="a2-highgpu-1g",
                acceleratorType="NVIDIA_TESLA_A100",
                acceleratorCount=2,
            ),
            f"{POOL}.machine_spec.accelerator_count",
        ),
        (
            machine(machineType="ct5lp-hightpu-4t", tpuTopology="9x9"),
            f"{POOL}.machine_spec.tpu_topology",
        ),
        (machine(machineType="cloud-tpu"), f"{POOL}.machine_spec.accelerator_type"),
        (
            {"pool": {"nfsMounts": [{"server": "1.2.3.4", "path": "p", "mountPoint": "m"}]}},
            f"{POOL}.nfs_mounts[0].path",
        ),
        (
            {"pscInterfaceConfig": {"networkAttachment": "n"}},
            "job_spec.psc_interface_config.network_attachment",
        ),
    ],
)  # fmt: skip
def test_documented_rules_are_kept(job_of: Callable[..., Json], spec: Json, field: str) -> None:
    """Each documented rule gives a violation of exactly the field that breaks it."""
    assert list(found(job_of(**spec))) == [field]


@pytest.mark.parametrize(
    "spec",
    [
        {"displayName": "名" * 128},
        {"labels": {"zenml-run_1": "", "größe": "ж"}},
        {"network": "projects/123/global/networks/default"},
        {"scheduling": {"maxWaitDuration": "0s", "strategy": "FLEX_START"},
         **machine(machineType="g2-standard-8", acceleratorType="NVIDIA_L4", acceleratorCount=1)},
        machine(machineType="n1-standard-8", acceleratorType="NVIDIA_TESLA_T4", acceleratorCount=4),
        machine(machineType="ct5lp-hightpu-4t", tpuTopology="2x2"),
        {"pool": {"diskSpec": {"bootDiskSizeGb": 64000, "bootDiskType": "hyperdisk-balanced"}}},
        {"encryptionSpec": {}},
        {"encryptionSpec": {"kmsKeyName":
            "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"}},
    ],
)  # fmt: skip
def test_values_at_the_limits_are_accepted(job_of: Callable[..., Json], spec: Json) -> None:
    """The largest and most unusual values that are documented as valid break no rule."""
    assert found(job_of(**spec)) == {}


def test_reservations_exclude_flex_start_and_persistent_resources(
    job_of: Callable[..., Json],
) -> None:
    """A reservation affinity with FLEX_START or a persistent resource is a violation."""
    affinity = {"reservationAffinity": {"reservationAffinityType": "ANY_RESERVATION"}}
    gpu = {"machineType": "g2-standard-8", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 1}
    spec = machine(**gpu, **affinity)
    assert found(job_of(**spec)) == {}
    spec = machine(**gpu, **affinity)
    assert list(found(job_of(**spec, persistentResourceId="pr"))) == [
        "job_spec.persistent_resource_id"
    ]
    spec = machine(**gpu, **affinity)
    assert list(found(job_of(**spec, scheduling={"strategy": "FLEX_START"}))) == [
        f"{POOL}.machine_spec.reservation_affinity"
    ]


def test_every_violation_is_found_at_once(job_of: Callable[..., Json]) -> None:
    """A job with several mistakes gets all violations at once."""
    job = job_of(
        displayName="",
        labels={"A": "b"},
        pool={"machineSpec": {"machineType": "x"}, "diskSpec": {"bootDiskSizeGb": 1}},
    )
    assert set(found(job)) == {
        "display_name",
        "labels",
        f"{POOL}.machine_spec.machine_type",
        f"{POOL}.disk_spec.boot_disk_size_gb",
    }


@pytest.mark.parametrize("spec", [{}, {"jobSpec": {}}, {"jobSpec": {"workerPoolSpecs": [{}]}}])
def test_an_empty_job_gives_violations(spec: Json) -> None:
    """Missing fields are violations and never exceptions."""
    assert "display_name" in found(spec)
    assert len(found(spec)) > 1
