"""What is refused beforehand, and what is only advice."""

from typing import Any

import pytest

from zenml_vertex import VertexStepOperatorConfig, VertexStepOperatorSettings
from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.rules import advise, check_job, parse_reserved_ip_ranges

pytestmark = pytest.mark.smoke


@pytest.mark.parametrize(
    ("settings", "cure"),
    [
        ({"machine_typ": "n1-standard-4"}, "Did you mean `machine_type`?"),
        ({"gpu": 1}, "The settings are:"),
        ({"boot_disk_size_gb": 99}, "Write boot_disk_size_gb=100"),
        ({"disk_size_gb": 64001}, "Write boot_disk_size_gb=64000"),
        ({"region": "europe-west4-a"}, "Write region=europe-west4."),
        ({"region": "europe_west4"}, "Write region=europe-west4."),
        ({"region": "europ-west4"}, "Did you mean `europe-west4`?"),
        ({"network": "default"}, "gcloud projects describe"),
        ({"network": "projects/my-project/global/networks/vpc"}, "with the number"),
        ({"reserved_ip_ranges": "10.0.0.0/16"}, "Write names, not addresses"),
        ({"encryption_spec_key_name": "my-key"}, "gcloud kms keys list"),
        ({"persistent_resource_id": "My_Resource"}, "lower-case letters"),
        ({"service_account": "trainer"}, "e-mail address"),
        ({"accelerator_count": -1}, "Write 0"),
        ({"disk_type": "pd-ssd", "boot_disk_type": "pd-standard"}, "Keep `boot_disk_type`"),
    ],
)
def test_a_value_that_cannot_work_is_refused_with_its_cure(
    settings: dict[str, Any], cure: str
) -> None:
    """The error names the setting and says what to write instead."""
    with pytest.raises(ConfigurationError) as raised:
        VertexStepOperatorSettings(**settings)
    assert cure in str(raised.value)
    assert any(f"`{name}`" in str(raised.value) for name in (*settings, "boot_disk_size_gb"))


def test_all_problems_are_told_at_once() -> None:
    """One run of the pipeline shows every mistake."""
    with pytest.raises(ConfigurationError) as raised:
        VertexStepOperatorSettings(boot_disk_size_gb=1, network="vpc", region="mars")
    assert len(raised.value.problems) == 3


@pytest.mark.parametrize(
    ("settings", "gpu_count", "cure"),
    [
        ({"accelerator_type": "NVIDIA_TESLA_T4"}, None, "Write accelerator_count=1"),
        ({"accelerator_count": 1}, None, "accelerator_type='NVIDIA_TESLA_T4'"),
        ({}, 2, "gpu_count=2 without `accelerator_type`"),
        (
            {"encryption_spec_key_name": "projects/p/locations/us/keyRings/r/cryptoKeys/k"},
            None,
            "Use a key of the job's region",
        ),
        ({"region": ""}, None, "`region` is not set"),
    ],
)
def test_values_that_cannot_go_together_are_refused(
    settings: dict[str, Any], gpu_count: int | None, cure: str
) -> None:
    """A GPU that was half asked for is an error, not a silent CPU job."""
    merged = VertexStepOperatorSettings(**({"region": "europe-west4"} | settings))
    with pytest.raises(ConfigurationError) as raised:
        check_job(merged, gpu_count=gpu_count, where="step `train`")
    assert cure in str(raised.value)
    assert "step `train`" in str(raised.value)


def test_a_gpu_count_of_zero_turns_the_accelerator_off() -> None:
    """A component with a GPU can run one step without."""
    merged = VertexStepOperatorSettings(region="europe-west4", accelerator_type="NVIDIA_TESLA_T4")
    check_job(merged, gpu_count=0)


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"machine_type": "n1-standart-4"}, "Did you mean `n1-standard-4`?"),
        (
            {"accelerator_type": "NVIDIA_TESLA_T5", "accelerator_count": 1},
            "Did you mean `NVIDIA_TESLA_T4`?",
        ),
        ({"accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 3}, "counts of 1, 2, 4"),
        ({"accelerator_type": "NVIDIA_L4", "accelerator_count": 1}, "and not NVIDIA_L4"),
        ({"machine_type": "a2-highgpu-1g"}, "accelerator_type='NVIDIA_TESLA_A100'"),
        ({"boot_disk_type": "pd-sdd"}, "Did you mean `pd-ssd`?"),
        ({"region": "us-east9"}, "list of training regions"),
    ],
)
def test_what_google_may_add_any_day_is_only_advice(settings: dict[str, Any], hint: str) -> None:
    """An unknown machine, accelerator, disk or region warns and goes through."""
    merged = VertexStepOperatorSettings(**({"region": "europe-west4"} | settings))
    check_job(merged, gpu_count=None)
    assert hint in " ".join(advise(merged, gpu_count=None))


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
        {"machine_type": "ct5lp-hightpu-1t"},
    ],
)
def test_what_is_documented_to_work_brings_no_advice(settings: dict[str, Any]) -> None:
    """A right choice is not commented on."""
    merged = VertexStepOperatorSettings(**({"region": "europe-west4"} | settings))
    assert advise(merged, gpu_count=None) == []


@pytest.mark.parametrize(
    "written",
    ["a,b", " a , b ", '["a", "b"]', "['a', 'b']", "[a, b]", ["a", "b"]],
)
def test_reserved_ip_ranges_take_every_documented_form(written: str | list[str]) -> None:
    """A comma list and a JSON list say the same."""
    assert parse_reserved_ip_ranges(written) == ["a", "b"]


@pytest.mark.parametrize(("written", "names"), [(None, []), ("", []), ("[]", []), ("a", ["a"])])
def test_reserved_ip_ranges_may_be_one_name_or_none(written: str | None, names: list[str]) -> None:
    """One name needs no comma; nothing is nothing."""
    assert parse_reserved_ip_ranges(written) == names


def test_the_command_line_gives_strings() -> None:
    """`--key=value` of the CLI becomes numbers, lists and objects."""
    config = VertexStepOperatorConfig(
        region="europe-west4",
        accelerator_count="2",
        disk_size_gb="200",
        additional_training_job_args='{"timeout": "3600s"}',
        reserved_ip_ranges="a,b",
    )
    assert config.accelerator_count == 2
    assert config.boot_disk_size_gb == 200
    assert config.additional_training_job_args == {"timeout": "3600s"}


def test_a_secret_reference_is_not_looked_up_to_be_checked() -> None:
    """A component may hold `{{secret.key}}` where a value would be checked."""
    config = VertexStepOperatorConfig(region="europe-west4", service_account="{{gcp.account}}")
    assert config.model_dump(exclude_unset=True)["service_account"] == "{{gcp.account}}"


def test_a_registered_component_loads_whatever_an_older_version_left_in_it() -> None:
    """ZenML refuses unknown keys at registration; loading must not."""
    config = VertexStepOperatorConfig(region="europe-west4", gone_since_0_1="x")
    assert not hasattr(config, "gone_since_0_1")
