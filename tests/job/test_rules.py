"""Settings that are refused before anything is built, and settings that only bring advice."""

from typing import Any

import pytest

from zenml_vertex import VertexStepOperatorConfig, VertexStepOperatorSettings
from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.resolution import resolve_fields
from zenml_vertex.job.rules import advise, find_problems

pytestmark = pytest.mark.smoke


@pytest.mark.parametrize(
    ("settings", "cure"),
    [
        ({"machine_typ": "n1-standard-4"}, "Did you mean `machine_type`?"),
        ({"gpu": 1}, "The settings are:"),
        ({"boot_disk_size_gb": 99}, "Write boot_disk_size_gb=100"),
        ({"disk_size_gb": 64001}, "Write disk_size_gb=64000"),
        ({"region": "europe-west4-a"}, "Write region=europe-west4."),
        ({"region": "europe_west4"}, "Write region=europe-west4."),
        ({"region": "europ-west4"}, "Did you mean `europe-west4`?"),
        ({"network": "default"}, "gcloud projects describe"),
        ({"network": "projects/my-project/global/networks/vpc"}, "with the project's number"),
        ({"reserved_ip_ranges": "10.0.0.0/16"}, "Write names, not addresses"),
        ({"encryption_spec_key_name": "my-key"}, "gcloud kms keys list"),
        (
            {"nfs_mounts": [{"server": "10.0.0.2"}]},
            "has a mount `[0]` without `path` and `mount_point`. A mount has `server`, `path` and",
        ),
        (
            {"nfs_mounts": [{"server": "10.0.0.2", "path": "data", "mountPoint": "m"}]},
            "has `data` for `[0].path`, which must start with `/`",
        ),
        (
            {"lustre_mounts": [{"instanceIp": "1", "filesystem": "f", "mount_point": "m"}]},
            "without `volume_handle`. A mount has `instance_ip`, `volume_handle`, `filesystem` and",
        ),
        ({"persistent_resource_id": "My_Resource"}, "lower-case letters"),
        ({"service_account": "trainer"}, "e-mail address"),
        ({"accelerator_count": -1}, "Write 0"),
        ({"accelerator_count": 10**5000}, "fits into 32 bits"),
        ({"lingering_seconds": -1}, "must be 0 to 2147483647."),
        ({"lingering_seconds": 10**5000}, "fits into 32 bits."),
        ({"disk_type": "pd-ssd", "boot_disk_type": "pd-standard"}, "Keep `boot_disk_type`"),
    ],
)
def test_an_invalid_value_is_refused_with_a_cure(settings: dict[str, Any], cure: str) -> None:
    """The error names the setting and says what to write instead."""
    with pytest.raises(ConfigurationError) as raised:
        VertexStepOperatorSettings(**settings)
    assert cure in str(raised.value)
    assert any(f"`{name}`" in str(raised.value) for name in settings)


def test_all_problems_are_reported_at_once() -> None:
    """One run of the pipeline reports every mistake."""
    with pytest.raises(ConfigurationError) as raised:
        VertexStepOperatorSettings(boot_disk_size_gb=1, network="vpc", region="mars")
    assert len(raised.value.problems) == 3


@pytest.mark.parametrize(
    ("settings", "gpu_count", "cure"),
    [
        ({"accelerator_type": "NVIDIA_TESLA_T4"}, None, "Write accelerator_count=1"),
        ({"accelerator_count": 1}, None, "accelerator_type='NVIDIA_TESLA_T4'"),
        ({}, 2, "`gpu_count` of ResourceSettings is 2 and `accelerator_type` is not set"),
        (
            {"encryption_spec_key_name": "projects/p/locations/us/keyRings/r/cryptoKeys/k"},
            None,
            "Use a key of the job's region",
        ),
        ({"region": ""}, None, "`region` is not set"),
        ({"machine_type": ""}, None, "`machine_type` is empty"),
        ({"machine_type": " "}, None, "`machine_type` is empty"),
    ],
)
def test_incompatible_values_are_refused(
    settings: dict[str, Any], gpu_count: int | None, cure: str
) -> None:
    """An incomplete GPU request is an error, rather than a job that silently runs on the CPU."""
    merged = VertexStepOperatorSettings(**({"region": "europe-west4"} | settings))
    (problem,) = find_problems(merged.to_job_fields(gpu_count=gpu_count))
    assert cure in problem


def test_a_gpu_count_of_zero_disables_the_accelerator() -> None:
    """One step of a component with a GPU can run without it."""
    merged = VertexStepOperatorSettings(region="europe-west4", accelerator_type="NVIDIA_TESLA_T4")
    assert find_problems(merged.to_job_fields(gpu_count=0)) == []


@pytest.mark.parametrize(
    ("settings", "arguments", "words"),
    [
        ({}, {"network": "default"}, "`network` in `additional_training_job_args` is `default`"),
        ({}, {"boot_disk_size_gb": 1}, "`boot_disk_size_gb` in `additional_training_job_args` is"),
        ({}, {"boot_disk_size_gb": 0}, "`boot_disk_size_gb` in `additional_training_job_args` is"),
        ({}, {"accelerator_type": "NVIDIA_L4"}, "Write accelerator_count=1"),
        ({}, {"accelerator_count": 1}, "is 1 and `accelerator_type` is not set"),
        ({}, {"service_account": "trainer"}, "e-mail address"),
        (
            {"restart_job_on_worker_restart": True},
            {"disable_retries": True},
            "while `disable_retries` in `additional_training_job_args` is on",
        ),
        ({}, {"time_out": "1s"}, "Did you mean `timeout`?"),
        ({}, {"timeout": "soon"}, "must be a duration"),
        ({}, {"accelerator_count": -1}, "Write 0 for no accelerator."),
        ({"accelerator_count": 1}, {"accelerator_type": 5}, "must be a string"),
        (
            {},
            {"accelerator_type": "NVIDIA_L4", "accelerator_count": "one"},
            "must be an integer",
        ),
        (
            {},
            {"accelerator_type": "NVIDIA_L4", "accelerator_count": None},
            "`accelerator_count` in `additional_training_job_args` is not set",
        ),
        ({}, {"machine_type": None}, "`machine_type` in `additional_training_job_args` is empty"),
        ({}, {"machine_type": ""}, "`machine_type` in `additional_training_job_args` is empty"),
        ({}, {"machine_type": " "}, "`machine_type` in `additional_training_job_args` is empty"),
        ({}, {"machine_type": 4}, "must be a string"),
        ({}, {"base_output_directory": "notgs"}, "Write a folder in a bucket"),
        ({"service_account": "a@b.c"}, {"tensorboard": "x"}, "Write its full name"),
        ({}, {"env": [{"name": "A", "value": None}]}, "names and values that are strings"),
        ({}, {"env": [{"name": "A", "value": {}}]}, "names and values that are strings"),
        ({}, {"env": [{"name": "A", "value": "1"}] * 2}, "has two variables of one name"),
    ],
)
def test_additional_arguments_are_checked_like_settings(
    settings: dict[str, Any], arguments: dict[str, Any], words: str
) -> None:
    """An invalid argument is refused before an image is built, under the name the user wrote."""
    merged = VertexStepOperatorSettings(
        region="europe-west4", **settings, additional_training_job_args=arguments
    )
    (problem,) = find_problems(merged.to_job_fields())
    assert words in problem


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({"restart_job_on_worker_restart": True}, {"disable_retries": False}),
        ({"accelerator_type": "NVIDIA_L4"}, {"accelerator_count": 1}),
        ({"accelerator_type": "NVIDIA_L4", "accelerator_count": 1}, {"accelerator_count": 0}),
    ],
)
def test_an_additional_argument_can_correct_a_setting(
    settings: dict[str, Any], arguments: dict[str, Any]
) -> None:
    """The resolved values are checked, not settings that an argument overrides."""
    merged = VertexStepOperatorSettings(
        region="europe-west4", **settings, additional_training_job_args=arguments
    )
    assert find_problems(merged.to_job_fields()) == []


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"machine_type": "n1-standart-4"}, "Did you mean `n1-standard-4`?"),
        (
            {"accelerator_type": "NVIDIA_TESLA_T5", "accelerator_count": 1},
            "Did you mean `NVIDIA_TESLA_T4`?",
        ),
        ({"accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 3}, "counts of 1, 2, 4"),
        ({"accelerator_type": "NVIDIA_L4", "accelerator_count": 1}, ", not NVIDIA_L4"),
        ({"boot_disk_type": "pd-sdd"}, "Did you mean `pd-ssd`?"),
        ({"region": "us-east9"}, "list of training regions"),
    ],
)
def test_unknown_google_names_bring_only_advice(settings: dict[str, Any], hint: str) -> None:
    """An unknown machine, accelerator, disk or region brings a warning and is accepted."""
    merged = VertexStepOperatorSettings(**({"region": "europe-west4"} | settings))
    job = merged.to_job_fields()
    assert find_problems(job) == []
    assert hint in " ".join(advise(job))


@pytest.mark.parametrize(
    ("machine", "kind", "count", "named"),
    [
        ("n1-standard-4", "NVIDIA_H100_80GB", 1, "1 of them: `a3-highgpu-1g`."),
        ("n1-standard-4", "NVIDIA_TESLA_A100", 1, "1 of them: `a2-highgpu-1g`."),
        (
            "n1-standard-4",
            "NVIDIA_TESLA_T4",
            3,
            "it in another number: `n1-standard-4`, `n1-standard-8`",
        ),
        ("e2-standard-4", "NVIDIA_TESLA_T4", 2, "`n1-highmem-16` and 3 more."),
    ],
)
def test_a_machine_without_the_accelerator_names_those_that_have_it(
    machine: str, kind: str, count: int, named: str
) -> None:
    """The warning says that Vertex AI will refuse the job, and which machines take that many."""
    settings = VertexStepOperatorSettings(
        region="europe-west4", machine_type=machine, accelerator_type=kind, accelerator_count=count
    )
    (text,) = advise(settings.to_job_fields())
    assert (
        "Google's table of 2026-08-22. Vertex AI will refuse the job. Machines that take " in text
    )
    assert named in text


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"machine_type": "n1-standart-4"}, "Did you mean `n1-standard-4`?"),
        (
            {"accelerator_type": "NVIDIA_TESLA_T5", "accelerator_count": 1},
            "`accelerator_type` in `additional_training_job_args` is `NVIDIA_TESLA_T5`",
        ),
        ({"accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 3}, "counts of 1, 2, 4"),
    ],
)
def test_additional_arguments_bring_the_same_advice(arguments: dict[str, Any], hint: str) -> None:
    """An unknown accelerator brings the same warning when an additional argument requests it."""
    merged = VertexStepOperatorSettings(
        region="europe-west4", additional_training_job_args=arguments
    )
    assert hint in " ".join(advise(merged.to_job_fields()))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 1},
        {
            "machine_type": "g2-standard-4",
            "accelerator_type": "NVIDIA_L4",
            "accelerator_count": 1,
        },
        {"machine_type": "ct6e-standard-1t", "tpu_topology": "1x1"},
    ],
)
def test_documented_values_bring_no_advice(settings: dict[str, Any]) -> None:
    """A documented value brings no warning."""
    merged = VertexStepOperatorSettings(**({"region": "europe-west4"} | settings))
    assert advise(merged.to_job_fields()) == []


def test_strings_from_the_command_line_are_parsed() -> None:
    """`--key=value` strings of ZenML's CLI are parsed into numbers, lists and objects."""
    arguments: dict[str, Any] = {
        "region": "europe-west4",
        "accelerator_count": "2",
        "disk_size_gb": "200",
        "additional_training_job_args": '{"timeout": "3600s"}',
        "reserved_ip_ranges": "a,b",
    }
    config = VertexStepOperatorConfig(**arguments)
    assert config.accelerator_count == 2
    assert config.boot_disk_size_gb == 200
    assert config.additional_training_job_args == {"timeout": "3600s"}


def test_an_empty_alias_is_unset() -> None:
    """An empty alias, which ZenML keeps in components, does not hide the setting itself."""
    settings = VertexStepOperatorSettings(disk_type="", boot_disk_type="pd-standard")
    assert settings.boot_disk_type == "pd-standard"


@pytest.mark.parametrize(("alias", "size"), [("200", 200), (200, "200")])
def test_two_spellings_of_one_value_agree(alias: Any, size: Any) -> None:
    """Two spellings of a setting agree if their values do, a number or a string of digits."""
    settings = VertexStepOperatorSettings(disk_size_gb=alias, boot_disk_size_gb=size)
    assert settings.boot_disk_size_gb == 200


def test_a_message_shows_no_value_of_a_secret() -> None:
    """A value that ZenML has looked up in a secret is in no message and no advice.

    Whoever reads the output of CI could have read it there.
    """
    for name in ("machine_type", "region"):
        fields = resolve_fields({name: "hunter2-highmem"}, secrets=frozenset({name}))
        said = [*find_problems(fields), *advise(fields)]
        assert said
        assert "hunter2" not in " ".join(said)


def test_a_secret_reference_is_not_resolved_by_validation() -> None:
    """A component may hold `{{secret.key}}`; loading its config does not resolve the secret."""
    config = VertexStepOperatorConfig(region="europe-west4", service_account="{{gcp.account}}")
    assert config.model_dump(exclude_unset=True)["service_account"] == "{{gcp.account}}"


def test_a_component_with_unknown_keys_loads() -> None:
    """A registered component loads even if an older version left unknown keys in it."""
    body: dict[str, Any] = {"region": "europe-west4", "gone_since_0_1": "x"}
    config = VertexStepOperatorConfig(**body)
    assert not hasattr(config, "gone_since_0_1")


def test_a_component_with_invalid_additional_arguments_loads() -> None:
    """Invalid additional arguments are refused when a pipeline is about to run, naming the step."""
    config = VertexStepOperatorConfig(
        region="europe-west4",
        additional_training_job_args={"network": "default", "time_out": "1s", "timeout": "x"},
    )
    assert len(find_problems(config.to_job_fields())) == 3


@pytest.mark.parametrize("machine", ["a3-highgpu-1g", "a3-highgpu-2g", "a3-highgpu-4g"])
def test_a_machine_that_is_not_to_be_had_on_demand_is_said(machine: str) -> None:
    """Small A3 machines are Spot or Flex-start VMs; without either, the warning has its source."""
    count = int(machine[-2])
    kind: dict[str, Any] = {"accelerator_type": "H100", "accelerator_count": count}
    for strategy in ("STANDARD", "SPOT", "FLEX_START"):
        job = VertexStepOperatorSettings(
            region="europe-west4",
            machine_type=machine,
            **kind,
            additional_training_job_args={"strategy": strategy},
        ).to_job_fields()
        said = advise(job)
        assert len(said) == (strategy == "STANDARD")
        assert all("Spot or Flex-start VM, says https://cloud.google.com/" in text for text in said)


def test_an_accelerator_that_the_region_lacks_is_said() -> None:
    """The warning names the regions that have it for training."""
    settings = VertexStepOperatorSettings(
        region="us-west3", machine_type="g2-standard-4", accelerator_type="L4", accelerator_count=1
    )
    (text,) = advise(settings.to_job_fields())
    assert "NVIDIA_L4 is not available for training in `us-west3`" in text
    assert "Regions that have it: asia-northeast3, asia-south1, " in text
