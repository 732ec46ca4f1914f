"""What a person is told who has written a wrong value for a setting, wherever it was written."""

from collections.abc import Mapping
from typing import Any

import pytest
from zenml.config import ResourceSettings
from zenml.config.base_settings import BaseSettings
from zenml.config.settings_resolver import SettingsResolver
from zenml.config.step_configurations import Step
from zenml.stack import Stack

from tests.support.components import make_operator
from zenml_vertex import VertexStepOperatorConfig, VertexStepOperatorSettings
from zenml_vertex.cloud.enum_values import read_enum_values
from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.fields import ROWS
from zenml_vertex.job.machines import load_catalogue
from zenml_vertex.job.readers import ENUM_READERS
from zenml_vertex.steps.operator import VertexStepOperator
from zenml_vertex.steps.preflight import Preflight

# Written as in YAML -> what the error says.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"boot_disk_size_gb": "big"}, "`boot_disk_size_gb` is `big`, and must be an integer: digits"),
    ({"disk_size_gb": "200GB"}, "`disk_size_gb` is `200GB`, and must be an integer"),
    ({"disk_size_gb": 10}, "`disk_size_gb` is 10; Vertex AI accepts 100 to 64000. Write disk_size"),
    ({"disk_type": ["pd-ssd"]}, "`disk_type` is a list, and must be a string."),
    ({"boot_disk_size_gb": True}, "`boot_disk_size_gb` is `True`, and must be an integer"),
    ({"boot_disk_size_gb": 1.5}, "`boot_disk_size_gb` is `1.5`, and must be an integer"),
    ({"boot_disk_size_gb": "{{disk.size}}"}, "is a secret reference, and must be an integer"),
    ({"project": 123456789012}, "`project` is `123456789012`, and must be a string: put it in qu"),
    ({"lingering_seconds": "5m"}, "`lingering_seconds` is `5m`, and must be an integer: digits"),
    ({"lingering_seconds": -1}, "`lingering_seconds` is `-1`, and must be 0 to 2147483647."),
    ({"region": False}, "`region` is `False`, and must be a string: put it in quotes."),
    ({"region": "EU"}, "Write one of its regions: europe-central2,"),
    ({"machine_type": None}, "`machine_type` is empty. Write a value, or remove it."),
    ({"machine_type": ["n1-standard-4"]}, "`machine_type` is a list, and must be a string."),
    ({"accelerator_type": 4}, "`accelerator_type` is `4`, and must be a string: put it in quotes."),
    ({"lingering_seconds": True}, "`lingering_seconds` is `True`, and must be an integer: digits"),
    ({"accelerator_count": True}, "`accelerator_count` is `True`, and must be an integer: digits"),
    ({"accelerator_count": "one"}, "`accelerator_count` is `one`, and must be an integer"),
    ({"accelerator_count": ""}, "`accelerator_count` is empty, and must be an integer"),
    ({"service_account": {"a": 1}}, "`service_account` is an object, and must be a string."),
    ({"network": True}, "`network` is `True`, and must be a string: put it in quotes."),
    ({"reserved_ip_ranges": 5}, "`reserved_ip_ranges` is `5`, and must be a list of strings, su"),
    ({"disable_retries": "never"}, "`disable_retries` is `never`, and must be true or false."),
    ({"restart_job_on_worker_restart": 2}, "is `2`, and must be true or false."),
    ({"on_client_exit": "wait"}, "`on_client_exit` is `wait`, and must be `cancel` or `detach`."),
    ({"service_account_path": 1}, "`service_account_path` is `1`, and must be a string"),
    ({"api_endpoint": 8085}, "`api_endpoint` is `8085`, and must be a string: put it in quotes."),
    (
        {"additional_training_job_args": "x=1"},
        "`additional_training_job_args` is text that",
    ),
    ({"additional_training_job_args": "["}, "and an object without quotes in YAML and in code."),
    ({"additional_training_job_args": "[" * 9999}, "`additional_training_job_args` is text that"),
    ({"additional_training_job_args": "3"}, "`additional_training_job_args` must be an object"),
    ({"additional_training_job_args": [1]}, "`additional_training_job_args` must be an object"),
    ({"machine_typ": "n1-standard-4"}, "no setting `machine_typ`. Did you mean `machine_type`?"),
    ({"gpu_count": 1}, "no setting `gpu_count`. Did you mean `accelerator_count`?"),
    ({"cpu_count": 4}, "no setting `cpu_count`. Did you mean `machine_type`?"),
    (
        {"env": []},
        "no setting `env` of its own. Write it in `additional_training_job_args`: {'env': ",
    ),
    ({"replica_count": 1}, "no setting `replica_count` of its own. Write it in `additional_trai"),
    ({"label": {"team": "a"}}, "no setting `label`. Did you mean `labels`?"),
    ({"location": "europe-west4"}, "no setting `location`. Did you mean `region`?"),
    ({"timeout": "soon"}, "`timeout` is `soon`, and must be a duration: seconds, such as 3600 or"),
    ({"timeout": True}, "`timeout` is `True`, and must be a duration"),
    ({"max_wait_duration": -1}, "`max_wait_duration` is `-1`, and must be a duration"),
    ({"scheduling_strategy": 4}, "`scheduling_strategy` is `4`, and must be a string: put it"),
    ({"strategy": 4}, "`strategy` is `4`, and must be a string: put it in quotes."),
    ({"tpu_topology": 2}, "`tpu_topology` is `2`, and must be a string: put it in quotes."),
    ({"gpu_partition_size": []}, "`gpu_partition_size` is a list, and must be a string."),
    ({"reservation_affinity_values": 5}, "`reservation_affinity_values` is `5`, and must be a"),
    ({"models": [1]}, "`models` is a list, and must be a list of strings, such as"),
    ({"base_output_dir": "bucket"}, "`base_output_dir` is `bucket`. Write a folder in a bucket"),
    ({"base_output_directory": "bucket"}, "`base_output_directory` is `bucket`. Write a folder"),
    ({"labels": ["team"]}, "`labels` is a list, and must be an object of strings"),
    ({"labels": "team=a"}, "`labels` is text that is not JSON. Write JSON in single quotes"),
    ({"labels": {"spot": True}}, "`labels` is an object, and must be an object of strings"),
    ({"labels": {"Team": "a"}}, "`labels` has the key `Team`. A key has 1 to 63 lower-case"),
    ({"nfs_mounts": {"server": "10.0.0.2"}}, "`nfs_mounts` is an object, and must be a list"),
    ({"psc_interface_config": "[1]"}, "`psc_interface_config` is a list, and must be an object"),
    ({"enable_web_access": "maybe"}, "`enable_web_access` is `maybe`, and must be true or false."),
    ({"tensorboard": "x", "service_account": "a@b.c"}, "`tensorboard` is `x`. Write its full"),
    ({"display_name": "x" * 129}, "`display_name` has 129 characters; Vertex AI accepts 128."),
    ({"disk_size_gb": 1000, "boot_disk_size_gb": 200}, "`disk_size_gb` (`1000`) and `boot_disk_"),
]


class OneComponent(Stack):
    """As much of a stack as resolving settings reads."""

    def __init__(self, operator: VertexStepOperator) -> None:
        self._operator = operator

    @property
    def setting_classes(self) -> dict[str, type[BaseSettings]]:
        """The class that ZenML converts settings to."""
        assert self._operator.settings_class is not None
        return {"step_operator.vertex": self._operator.settings_class}


def compile_step(
    operator: VertexStepOperator,
    written: Mapping[str, Any],
    resources: ResourceSettings | None = None,
) -> Step:
    """Compile a step as ZenML does, by its own resolver of settings."""
    resolver = SettingsResolver("step_operator.vertex", BaseSettings.model_validate(written))
    settings: dict[str, Any] = {"step_operator.vertex": resolver.resolve(OneComponent(operator))}
    if resources:
        settings["resources"] = resources
    step = {
        "spec": {"source": "pipelines.train", "upstream_steps": [], "invocation_id": "train"},
        "config": {"name": "train", "step_operator": "vertex", "settings": settings},
        "step_config_overrides": {"name": "train", "settings": settings},
    }
    return Step.model_validate_json(Step.model_validate(step).model_dump_json(exclude_unset=True))


def refuse_step(
    operator: VertexStepOperator,
    written: Mapping[str, Any],
    resources: ResourceSettings | None = None,
) -> ConfigurationError:
    """The error before the image of a step is built."""
    step = compile_step(operator, written, resources)
    with pytest.raises(ConfigurationError) as raised:
        Preflight(operator).check_build(step, "train")
    return raised.value


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("written", "words"), WRONG)
def test_a_wrong_setting_of_a_step_names_the_step(written: dict[str, Any], words: str) -> None:
    """ZenML compiles the step, and the check before the build names step, setting and cure."""
    error = refuse_step(make_operator(), written)
    assert str(error).startswith("Vertex settings of step `train`: ")
    assert len(error.problems) == 1
    assert words in error.problems[0]
    assert "{{" not in str(error)


@pytest.mark.parametrize(("written", "words"), WRONG)
def test_a_wrong_setting_in_code_is_refused_where_it_is_written(
    written: dict[str, Any], words: str
) -> None:
    """The settings class says the same at once, and not in pydantic's words."""
    with pytest.raises(ConfigurationError) as raised:
        VertexStepOperatorSettings(**written)
    assert len(raised.value.problems) == 1
    assert words in raised.value.problems[0]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        row
        for row in WRONG
        # ZenML refuses unknown names itself, and drops None.
        if "no setting" not in row[1] and None not in row[0].values()
    ],
)
def test_a_wrong_setting_of_a_component_is_refused_at_registration(
    written: dict[str, Any], words: str
) -> None:
    """`zenml step-operator register` says the same."""
    with pytest.raises(ConfigurationError) as raised:
        VertexStepOperatorConfig(**({"region": "europe-west4"} | written))
    assert len(raised.value.problems) == 1
    assert words in raised.value.problems[0]


def test_a_component_without_a_region_is_told_of_everything() -> None:
    """The missing region is one problem among the others."""
    written: dict[str, Any] = {"boot_disk_size_gb": "big", "network": "default"}
    with pytest.raises(ConfigurationError) as raised:
        VertexStepOperatorConfig(**written)
    assert [text.split("`")[1] for text in raised.value.problems] == [
        "boot_disk_size_gb",
        "region",
        "network",
    ]


def test_all_slips_of_a_step_are_one_error() -> None:
    """A name, a type, a value, a conflict and an argument are reported together, once each."""
    written = {
        "machine_typ": "n1-standard-8",
        "boot_disk_size_gb": "big",
        "network": "default",
        "accelerator_count": 1,
        "additional_training_job_args": {"timeout": "soon"},
    }
    error = refuse_step(make_operator(), written)
    assert "have 5 problems:" in str(error)
    for name in ("machine_typ", "boot_disk_size_gb", "network", "accelerator_count", "timeout"):
        assert sum(f"`{name}`" in text for text in error.problems) == 1


@pytest.mark.parametrize(
    ("written", "resources"),
    [
        ({"accelerator_type": "T4", "accelerator_count": "one"}, None),
        ({"accelerator_type": 4, "accelerator_count": 1}, None),
        ({"accelerator_type": 4}, ResourceSettings(gpu_count=2)),
        ({"region": False}, None),
    ],
)
def test_a_wrong_value_is_not_also_a_missing_one(
    written: dict[str, Any], resources: ResourceSettings | None
) -> None:
    """What cannot be read is reported as that, and not as a value that is not set."""
    (problem,) = refuse_step(make_operator(), written, resources).problems
    assert "must be" in problem


def test_right_settings_override_the_component() -> None:
    """A step's value, in either spelling and as text, is the one that its job asks for."""
    operator = make_operator(boot_disk_size_gb=200, machine_type="n1-standard-8")
    step = compile_step(operator, {"disk_size_gb": "300", "disable_retries": "no"})
    findings = Preflight(operator).check_step(step, "train")
    assert (findings.job.boot_disk_size_gb, findings.job.disable_retries) == (300, False)
    assert findings.job.machine_type == "n1-standard-8"
    assert findings.settings.lingering_seconds == 300


def test_spaces_around_a_value_are_not_part_of_it() -> None:
    """Values as they are copied from a page or a file work, in a step and at registration."""
    written: dict[str, Any] = {
        "accelerator_count": "1",
        "accelerator_type": "T4",
        "api_endpoint": "http://127.0.0.1:8085",
        "boot_disk_type": "pd-standard",
        "disk_size_gb": "200",
        "environment_secrets": "secret-manager",
        "machine_type": "n1-standard-8",
        "on_client_exit": "detach",
        "project": "my-project",
        "region": "europe-west4",
        "restart_job_on_worker_restart": "true",
        "service_account": "trainer@my-project.iam.gserviceaccount.com",
        "service_account_path": "/keys/trainer.json",
    }
    arguments = {"timeout": "60s", "strategy": "spot", "replica_count": "1", "tensorboard": ""}

    def pad(values: dict[str, Any]) -> dict[str, Any]:
        return {name: f" {value}\n" for name, value in values.items()}

    for kind in (VertexStepOperatorSettings, VertexStepOperatorConfig):
        right = kind(**written, additional_training_job_args=arguments)
        padded = kind(**pad(written), additional_training_job_args=pad(arguments))
        assert padded.to_job_fields() == right.to_job_fields()
        assert not padded.to_job_fields().unreadable
        assert {name: getattr(padded, name) for name in written if name != "disk_size_gb"} == {
            name: getattr(right, name) for name in written if name != "disk_size_gb"
        }


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("accelerator_type", "NVIDIA_T5", "Did you mean `NVIDIA_TESLA_T4`? If Google has added"),
        ("accelerator_type", "radeon", "It knows ACCELERATOR_TYPE_UNSPECIFIED, NVIDIA_A100_80GB, "),
        ("strategy", "SPTO", "Did you mean `SPOT`? If Google has added it since, run `pip install"),
        ("reservation_affinity_type", "ANY", "does not know. It knows ANY_RESERVATION, NO_RES"),
    ],
)
def test_a_value_that_the_client_cannot_send_is_refused_before_a_build(
    name: str, value: str, words: str
) -> None:
    """The error names the value, and the nearest one that the installed client knows."""
    arguments = {name: value} | ({"accelerator_count": 1} if name == "accelerator_type" else {})
    error = refuse_step(make_operator(), {"additional_training_job_args": arguments})
    (problem,) = error.problems
    assert problem.startswith(f"`{name}` in `additional_training_job_args` is `{value.upper()}`, ")
    assert words in problem


def test_every_enum_is_known_to_the_client() -> None:
    """Each enum of the table has values in the installed client, those of the catalogue too."""
    found = {
        name: read_enum_values(row.path) for name, row in ROWS.items() if row.read in ENUM_READERS
    }
    assert "SPOT" in found["scheduling_strategy"]
    assert load_catalogue().accelerators <= found["accelerator_type"]
    assert all(found.values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"display_name": "x" * 129}, "has 129 characters; Vertex AI accepts 128. Shorten it."),
        (
            {"labels": {"Team": "a"}},
            "in `additional_training_job_args` has the key `Team`. A key",
        ),
        ({"labels": {"-team": "a"}}, "has the key `-team`. A key has 1 to 63 lower-case letters,"),
        ({"labels": {"": "a"}}, "has a key that is empty. A key has 1 to 63"),
        ({"labels": {"team": "a b"}}, "has `a b` for `team`. A value has at most 63 lower-case"),
        ({"labels": {"team": "x" * 64}}, "for `team`. A value has at most 63"),
        ({"labels": {"team": "\U0001f600"}}, "for `team`. A value has at most 63"),
        ({"labels": {f"l{n}": "" for n in range(58)}}, "has 58 labels; Vertex AI accepts 64, and"),
        ({"labels": ["team"]}, "is a list, and must be an object of strings, such as"),
        (
            {"env": [{"name": "MY-TOKEN", "value": "hunter2"}]},
            "variable `MY-TOKEN` has a name",
        ),
    ],
)
def test_names_and_labels_are_refused_before_a_build(arguments: dict[str, Any], words: str) -> None:
    """What Vertex AI would refuse of name, labels and variables is found before the build."""
    error = refuse_step(make_operator(), {"additional_training_job_args": arguments})
    assert len(error.problems) == 1
    assert words in str(error)
    assert "hunter2" not in str(error)


def test_usual_labels_are_accepted() -> None:
    """Labels with letters of any alphabet, digits, hyphens and empty values are accepted."""
    labels = {"team": "vision-2", "größe": "", "7": "x" * 63}
    written = {"additional_training_job_args": {"labels": labels}}
    step = compile_step(make_operator(), written)
    assert Preflight(make_operator()).check_step(step, "train").job.labels == labels


def test_a_variable_of_the_step_is_refused_before_a_build() -> None:
    """The name of a variable that Vertex AI does not accept is an error, without its value."""
    step = compile_step(make_operator(), {"machine_type": "n1-standard-4"})
    config = step.config.model_copy(update={"environment": {"my-name": "hunter2"}})
    with pytest.raises(ConfigurationError) as raised:
        Preflight(make_operator()).check_step(step.model_copy(update={"config": config}), "train")
    assert "the environment variable `my-name` has a name" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "arguments", [{"timeout": "60s"}, '{"timeout": "60s"}', ' {"timeout": 60} ', "", "{}"]
)
def test_an_object_can_be_json_text(arguments: Any) -> None:
    """An object is read from JSON text too, in a component and in a step; empty text is unset."""
    timeout = "60s" if arguments and arguments != "{}" else None
    written = {"additional_training_job_args": arguments}
    operator = make_operator(**written)
    assert operator.config.to_job_fields().timeout == timeout
    step = compile_step(make_operator(), written)
    assert Preflight(operator).check_step(step, "train").job.timeout == timeout


def test_no_error_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither variables of the environment nor what ZenML looks up in a secret is shown."""
    env = [{"name": "TOKEN", "value": "hunter2", "extra": {}}, "hunter2"]
    operator = make_operator(network="{{vpc.name}}", service_account="{{gcp.account}}")

    def look_up(settings: Any, name: str) -> Any:
        value = object.__getattribute__(settings, name)
        return "hunter2" if isinstance(value, str) and value.startswith("{{") else value

    monkeypatch.setattr(VertexStepOperatorSettings, "__getattribute__", look_up)
    error = refuse_step(operator, {"additional_training_job_args": {"env": env}})
    assert len(error.problems) == 3
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"jobSpec": {"netwrk": "n"}}, "`jobSpec.netwrk` in `custom_job_overrides`, which the"),
        (
            {"jobSpec": {"netwrk": "n"}},
            "does not know. Did you mean `network`? If Google has added",
        ),
        ({"job_spec": {"net_work": "n"}}, "`job_spec.net_work` in `custom_job_overrides`, which"),
        (
            {"jobSpec": {"scheduling": {"strategy": "SPTO"}}},
            "scheduling.strategy` in `custom_job_o",
        ),
        (
            {
                "jobSpec": {
                    "workerPoolSpecs": [{}, {"machineSpec": {"acceleratorType": "NVIDIA_T5"}}]
                }
            },
            "`jobSpec.workerPoolSpecs[1].machineSpec.acceleratorType` in `custom_job_overrides` is "
            "`NVIDIA_T5`, which the installed google-cloud-aiplatform does not know.",
        ),
    ],
)
def test_what_the_client_does_not_know_is_refused_with_its_path(
    overrides: dict[str, Any], words: str
) -> None:
    """A name or value that neither the table nor the client knows is refused before a build."""
    (problem,) = refuse_step(make_operator(), {"custom_job_overrides": overrides}).problems
    assert words in problem
