"""Whole CustomJob requests, compared with literals."""

from typing import Any

import pytest

from zenml_vertex import VertexStepOperatorSettings
from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.request import JobJson, build_custom_job


def build(
    settings: VertexStepOperatorSettings, gpu_count: int | None = None, **changes: Any
) -> JobJson:
    """Build a job around the settings, everything else being ordinary."""
    arguments: dict[str, Any] = {
        "display_name": "run-train",
        "image": "europe-west4-docker.pkg.dev/p/zenml/zenml@sha256:0",
        "command": ["python", "-m", "zenml.entrypoints.entrypoint"],
        "environment": {"ZENML_STORE_URL": "https://zenml.example.com"},
        "labels": {"zenml-step": "train"},
    }
    return build_custom_job(settings, gpu_count=gpu_count, **(arguments | changes))


def test_the_defaults_are_the_documented_ones() -> None:
    """Without settings: n1-standard-4, pd-ssd, 100 GB; the step's code is started once."""
    assert build(VertexStepOperatorSettings()) == {
        "displayName": "run-train",
        "labels": {"zenml-step": "train"},
        "jobSpec": {
            "scheduling": {"disableRetries": True},
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
    """Each setting of the built-in operator has its place in the request."""
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
            "scheduling": {"restartJobOnWorkerRestart": True},
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


def variables_of(job: dict[str, Any]) -> dict[str, str]:
    """The container's variables."""
    container = job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    return {item["name"]: item["value"] for item in container.get("env", ())}


def test_a_gpus_variables_are_the_users_where_they_set_them() -> None:
    """What slim images need is set for an NVIDIA accelerator, and never over the step's own."""
    settings = VertexStepOperatorSettings(accelerator_type="NVIDIA_L4", accelerator_count=1)

    variables = variables_of(build(settings, environment={"LD_LIBRARY_PATH": "/opt/cuda"}))

    assert variables == {
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "LD_LIBRARY_PATH": "/opt/cuda",
    }


@pytest.mark.parametrize(
    ("accelerator", "gpu_count"), [(None, None), ("NVIDIA_TESLA_T4", 0), ("TPU_V3", 8)]
)
def test_without_a_gpu_no_variable_of_one_is_set(
    accelerator: str | None, gpu_count: int | None
) -> None:
    """No accelerator, one that the step turns off, and a TPU: the image is left as it is."""
    settings = VertexStepOperatorSettings(
        accelerator_type=accelerator, accelerator_count=8 if accelerator else 0
    )

    assert variables_of(build(settings, gpu_count, environment={"A": "b"})) == {"A": "b"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"disableRetries": True}),
        ({"disable_retries": True}, {"disableRetries": True}),
        ({"disable_retries": False}, {}),
        ({"restart_job_on_worker_restart": True}, {"restartJobOnWorkerRestart": True}),
        (
            {"restart_job_on_worker_restart": True, "disable_retries": False},
            {"restartJobOnWorkerRestart": True},
        ),
        (
            {"additional_training_job_args": {"disable_retries": False, "timeout": "60s"}},
            {"disableRetries": False, "timeout": "60s"},
        ),
    ],
)
def test_vertex_ai_restarts_a_job_only_if_it_is_asked_to(
    settings: dict[str, Any], expected: dict[str, Any]
) -> None:
    """A restart runs the step's code from its beginning."""
    job = build(VertexStepOperatorSettings(**settings))
    assert job["jobSpec"].get("scheduling", {}) == expected


@pytest.mark.parametrize(
    ("gpu_count", "expected"),
    [
        (None, {"acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 2}),
        (1, {"acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 1}),
        (0, {}),
    ],
)
def test_gpu_count_of_the_step_goes_before_the_accelerator_count(
    gpu_count: int | None, expected: dict[str, Any]
) -> None:
    """ResourceSettings win where they say something, and 0 is something."""
    settings = VertexStepOperatorSettings(accelerator_type="NVIDIA_TESLA_T4", accelerator_count=2)

    machine = build(settings, gpu_count)["jobSpec"]["workerPoolSpecs"][0]["machineSpec"]

    assert machine == {"machineType": "n1-standard-4"} | expected


def test_additional_arguments_become_fields_and_win() -> None:
    """`additional_training_job_args` are read under the names that ZenML documents."""
    settings = VertexStepOperatorSettings(
        machine_type="n1-standard-8",
        additional_training_job_args={
            "machine_type": "n1-highmem-16",
            "timeout": "3600s",
            "strategy": "SPOT",
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
        "restartJobOnWorkerRestart": True,
    }
    assert spec["baseOutputDirectory"] == {"outputUriPrefix": "gs://bucket/out"}
    # The label by which the job is found again stays what it is.
    assert job["labels"] == {"team": "vision", "zenml-step": "train"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time_out": "1s"}, "Did you mean `timeout`?"),
        ({"replica_count": 3}, "a step runs on one replica"),
        ({"env": {"A": "1"}}, "must be a list of"),
    ],
)
def test_wrong_additional_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    """Nothing in `additional_training_job_args` is dropped in silence."""
    with pytest.raises(ConfigurationError) as raised:
        build(VertexStepOperatorSettings(additional_training_job_args=arguments))
    assert message in str(raised.value)


def test_references_to_variables_stay_text() -> None:
    """`$(NAME)` in a value or a command reaches the container as it was written."""
    job = build(
        VertexStepOperatorSettings(),
        environment={"TOKEN": "t", "GREETING": "$(TOKEN) $(date) $HOME"},
        command=["sh", "-c", "echo $(TOKEN) $(date)"],
    )

    container = job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    assert container["env"][1]["value"] == "$$(TOKEN) $(date) $HOME"
    assert container["command"] == ["sh", "-c", "echo $$(TOKEN) $(date)"]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({f"V{n}": "" for n in range(101)}, "has 101 environment variables"),
        ({"my-name": "x"}, "`my-name`"),
    ],
)
def test_environments_that_the_api_refuses_are_refused_first(
    environment: dict[str, str], message: str
) -> None:
    """More than 100 variables, or a name that is no C identifier, is said beforehand."""
    with pytest.raises(ConfigurationError) as raised:
        build(VertexStepOperatorSettings(), environment=environment)
    assert message in str(raised.value)


def test_an_error_about_the_environment_shows_no_value() -> None:
    """Values may be secrets; only names are named."""
    with pytest.raises(ConfigurationError) as raised:
        build(VertexStepOperatorSettings(), environment={"my-name": "hunter2"})
    assert "hunter2" not in str(raised.value)
