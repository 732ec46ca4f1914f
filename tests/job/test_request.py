"""Whole CustomJob requests, compared with literals."""

from typing import Any

import pytest

from zenml_vertex import VertexStepOperatorSettings
from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.environment import build_environment
from zenml_vertex.job.request import JobJson, build_custom_job


def build(
    settings: VertexStepOperatorSettings, gpu_count: int | None = None, **changes: Any
) -> JobJson:
    """Build a job from the settings, with ordinary values for everything else."""
    arguments: dict[str, Any] = {
        "display_name": "run-train",
        "image": "europe-west4-docker.pkg.dev/p/zenml/zenml@sha256:0",
        "command": ["python", "-m", "zenml.entrypoints.entrypoint"],
        "environment": {"ZENML_STORE_URL": "https://zenml.example.com"},
        "labels": {"zenml-step": "train"},
    }
    fields = settings.to_job_fields(gpu_count=gpu_count)
    arguments |= changes
    arguments["environment"] = build_environment(fields, arguments["environment"], {})
    return build_custom_job(fields, **arguments)


def test_the_defaults_are_the_documented_ones() -> None:
    """Without settings, a job has n1-standard-4, pd-ssd, 100 GB and no restarts."""
    assert build(VertexStepOperatorSettings()) == {
        "displayName": "run-train",
        "labels": {"zenml-step": "train"},
        "jobSpec": {
            "scheduling": {"disableRetries": True, "restartJobOnWorkerRestart": False},
            "workerPoolSpecs": [
                {
                    "machineSpec": {"machineType": "n1-standard-4"},
                    "replicaCount": "1",
                    "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100},
                    "containerSpec": {
                        "imageUri": "europe-west4-docker.pkg.dev/p/zenml/zenml@sha256:0",
                        "command": ["python", "-m", "zenml.entrypoints.entrypoint"],
                        "env": [{"name": "ZENML_STORE_URL", "value": "https://zenml.example.com"}],
                    },
                }
            ],
        },
    }


def test_every_field_reaches_the_job() -> None:
    """Each setting of the built-in operator appears at its place in the request."""
    settings = VertexStepOperatorSettings(
        machine_type="n1-standard-8",
        accelerator_type="nvidia_tesla_t4",
        accelerator_count=2,
        disk_type="pd-standard",
        disk_size_gb=200,
        service_account="train@p.iam.gserviceaccount.com",
        network="projects/123/global/networks/vpc",
        reserved_ip_ranges="range-a, range-b",
        encryption_spec_key_name="projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k",
        persistent_resource_id="warm",
        restart_job_on_worker_restart=True,
    )

    job = build(settings, environment={})

    assert job == {
        "displayName": "run-train",
        "labels": {"zenml-step": "train"},
        "encryptionSpec": {
            "kmsKeyName": "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k"
        },
        "jobSpec": {
            "scheduling": {"disableRetries": False, "restartJobOnWorkerRestart": True},
            "serviceAccount": "train@p.iam.gserviceaccount.com",
            "network": "projects/123/global/networks/vpc",
            "reservedIpRanges": ["range-a", "range-b"],
            "persistentResourceId": "warm",
            "workerPoolSpecs": [
                {
                    "machineSpec": {
                        "machineType": "n1-standard-8",
                        "acceleratorType": "NVIDIA_TESLA_T4",
                        "acceleratorCount": 2,
                    },
                    "replicaCount": "1",
                    "diskSpec": {"bootDiskType": "pd-standard", "bootDiskSizeGb": 200},
                    "containerSpec": {
                        "imageUri": "europe-west4-docker.pkg.dev/p/zenml/zenml@sha256:0",
                        "command": ["python", "-m", "zenml.entrypoints.entrypoint"],
                        "env": [
                            {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
                            {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "compute,utility"},
                            {
                                "name": "LD_LIBRARY_PATH",
                                "value": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
                            },
                        ],
                    },
                }
            ],
        },
    }


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, (True, False)),
        ({"disable_retries": True}, (True, False)),
        ({"disable_retries": False}, (False, False)),
        ({"restart_job_on_worker_restart": True}, (False, True)),
        ({"restart_job_on_worker_restart": True, "disable_retries": False}, (False, True)),
        ({"additional_training_job_args": {"disable_retries": False}}, (False, False)),
        ({"additional_training_job_args": {"restart_job_on_worker_restart": True}}, (False, True)),
    ],
)
def test_vertex_ai_restarts_a_job_only_on_request(
    settings: dict[str, Any], expected: tuple[bool, bool]
) -> None:
    """Vertex AI's restarts, which run the step from its beginning, are off by default."""
    scheduling = build(VertexStepOperatorSettings(**settings))["jobSpec"]["scheduling"]
    assert (scheduling["disableRetries"], scheduling["restartJobOnWorkerRestart"]) == expected


@pytest.mark.parametrize(
    ("gpu_count", "expected"),
    [
        (None, {"acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 2}),
        (1, {"acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 1}),
        (0, {}),
    ],
)
def test_gpu_count_overrides_the_accelerator_count(
    gpu_count: int | None, expected: dict[str, Any]
) -> None:
    """`gpu_count` of ResourceSettings overrides `accelerator_count`, also when it is 0."""
    settings = VertexStepOperatorSettings(accelerator_type="NVIDIA_TESLA_T4", accelerator_count=2)

    machine = build(settings, gpu_count)["jobSpec"]["workerPoolSpecs"][0]["machineSpec"]

    assert machine == {"machineType": "n1-standard-4"} | expected


def test_additional_arguments_override_the_settings() -> None:
    """`additional_training_job_args` override the settings, under the names ZenML documents."""
    settings = VertexStepOperatorSettings(
        machine_type="n1-standard-8",
        additional_training_job_args={
            "machine_type": "n1-highmem-16",
            "timeout": "3600s",
            "strategy": "spot",
            "restart_job_on_worker_restart": True,
            "base_output_directory": "gs://bucket/out",
            "nfs_mounts": [{"server": "10.0.0.2", "path": "/data", "mount_point": "data"}],
            "labels": {"team": "vision", "zenml-step": "stolen"},
            "env": [{"name": "MODE", "value": 3}],
        },
    )

    job = build(settings)

    spec, pool = job["jobSpec"], job["jobSpec"]["workerPoolSpecs"][0]
    assert pool["machineSpec"] == {"machineType": "n1-highmem-16"}
    assert pool["nfsMounts"] == [{"server": "10.0.0.2", "path": "/data", "mountPoint": "data"}]
    assert pool["containerSpec"]["env"][-1] == {"name": "MODE", "value": "3"}
    assert spec["scheduling"] == {
        "timeout": "3600s",
        "strategy": "SPOT",
        "disableRetries": False,
        "restartJobOnWorkerRestart": True,
    }
    assert spec["baseOutputDirectory"] == {"outputUriPrefix": "gs://bucket/out"}
    # The label by which the job is found again cannot be overridden.
    assert job["labels"] == {"team": "vision", "zenml-step": "train"}


@pytest.mark.parametrize(
    ("arguments", "path", "value"),
    [
        ({"enable_web_access": False}, ("enableWebAccess",), False),
        ({"boot_disk_size_gb": 0}, ("workerPoolSpecs", 0, "diskSpec", "bootDiskSizeGb"), 0),
        (
            {"nfs_mounts": [{"server": "", "mount_point": "data"}]},
            ("workerPoolSpecs", 0, "nfsMounts"),
            [{"server": "", "mountPoint": "data"}],
        ),
    ],
)
def test_falsy_values_are_sent(
    arguments: dict[str, Any], path: tuple[str | int, ...], value: object
) -> None:
    """False and 0 are sent, and the contents of an object are sent as they are written."""
    found: Any = build(VertexStepOperatorSettings(additional_training_job_args=arguments))
    for key in ("jobSpec", *path):
        found = found[key]
    assert found == value


def test_a_label_can_be_empty() -> None:
    """An empty label value is sent, because Google's labels allow it."""
    settings = VertexStepOperatorSettings(additional_training_job_args={"labels": {"team": ""}})
    assert build(settings)["labels"] == {"team": "", "zenml-step": "train"}


@pytest.mark.parametrize(
    "settings",
    [
        {"service_account": "", "network": "", "reserved_ip_ranges": "", "boot_disk_type": ""},
        {"persistent_resource_id": "", "encryption_spec_key_name": "", "accelerator_type": ""},
        {"additional_training_job_args": {"tensorboard": "", "timeout": None, "nfs_mounts": []}},
        {"service_account": "a@b.c", "additional_training_job_args": {"service_account": ""}},
    ],
)
def test_unset_fields_are_left_out(settings: dict[str, Any]) -> None:
    """None, an empty string and an empty list are left out, so Vertex AI's own default applies."""
    job = build(VertexStepOperatorSettings(**settings))
    disk = {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100}
    if settings.get("boot_disk_type") == "":
        del disk["bootDiskType"]
    pool = job["jobSpec"]["workerPoolSpecs"][0]
    assert set(job) == {"displayName", "labels", "jobSpec"}
    assert set(job["jobSpec"]) == {"workerPoolSpecs", "scheduling"}
    assert set(job["jobSpec"]["scheduling"]) == {"disableRetries", "restartJobOnWorkerRestart"}
    assert set(pool) == {"machineSpec", "replicaCount", "diskSpec", "containerSpec"}
    assert pool["machineSpec"] == {"machineType": "n1-standard-4"}
    assert pool["diskSpec"] == disk


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time_out": "1s"}, "Did you mean `timeout`?"),
        ({"replica_count": 3}, "a step runs on one replica"),
        ({"env": {"A": "1"}}, "must be a list of"),
    ],
)
def test_invalid_additional_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    """An invalid entry in `additional_training_job_args` is an error and is never dropped."""
    with pytest.raises(ConfigurationError) as raised:
        build(VertexStepOperatorSettings(additional_training_job_args=arguments))
    assert message in str(raised.value)
