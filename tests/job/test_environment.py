"""The environment of a step's container, and what Vertex AI would expand in it."""

from typing import Any

import pytest

from zenml_vertex import VertexStepOperatorSettings
from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.environment import (
    MAX_STRING_BYTES,
    build_container_spec,
    build_environment,
    find_apostrophes,
)

GPU = {
    "NVIDIA_VISIBLE_DEVICES": "all",
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
}


def build(
    settings: VertexStepOperatorSettings, gpu_count: int | None = None, **environment: str
) -> dict[str, str]:
    """Build the environment variables of a container."""
    return build_environment(settings.to_job_fields(gpu_count=gpu_count), environment, {})


def test_the_users_gpu_variables_are_kept() -> None:
    """The variables of an NVIDIA GPU are added, but never replace a variable of the step's own."""
    settings = VertexStepOperatorSettings(accelerator_type="NVIDIA_L4", accelerator_count=1)
    assert build(settings, LD_LIBRARY_PATH="/opt/cuda") == GPU | {"LD_LIBRARY_PATH": "/opt/cuda"}


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({}, {"accelerator_type": "nvidia_l4", "accelerator_count": 1}),
        ({"accelerator_count": 1}, {"accelerator_type": "NVIDIA_L4"}),
        ({"accelerator_type": "TPU_V3", "accelerator_count": 8}, {"accelerator_type": "NVIDIA_L4"}),
    ],
)
def test_a_gpu_from_additional_arguments_gets_its_variables(
    settings: dict[str, Any], arguments: dict[str, Any]
) -> None:
    """A GPU requested by `additional_training_job_args` gets the same variables as any other."""
    asked = VertexStepOperatorSettings(**settings, additional_training_job_args=arguments)
    assert build(asked) == GPU


@pytest.mark.parametrize(
    ("accelerator", "count", "gpu_count"),
    [
        (None, 0, None),
        ("NVIDIA_TESLA_T4", 8, 0),
        ("NVIDIA_TESLA_T4", 0, None),
        ("TPU_V3", 8, None),
    ],
)
def test_no_gpu_variable_is_set_without_a_gpu(
    accelerator: str | None, count: int, gpu_count: int | None
) -> None:
    """A job without an accelerator, with a disabled one or with a TPU gets no GPU variables."""
    settings = VertexStepOperatorSettings(accelerator_type=accelerator, accelerator_count=count)
    assert build(settings, gpu_count, A="b") == {"A": "b"}


def test_an_additional_argument_that_disables_the_gpu_removes_its_variables() -> None:
    """An accelerator count of 0 in the additional arguments disables the GPU of the settings."""
    settings = VertexStepOperatorSettings(
        accelerator_type="NVIDIA_L4",
        accelerator_count=1,
        additional_training_job_args={"accelerator_count": 0},
    )
    assert build(settings, A="b") == {"A": "b"}


def test_the_packages_own_variables_are_not_overridden() -> None:
    """Neither the step's environment nor an additional argument overrides the package's own."""
    fields = VertexStepOperatorSettings(
        additional_training_job_args={
            "env": [{"name": "ZENML_VERTEX_ATTEMPT", "value": "7"}, {"name": "A", "value": "b"}]
        },
    ).to_job_fields()
    found = build_environment(fields, {"ZENML_VERTEX_ATTEMPT": "8"}, {"ZENML_VERTEX_ATTEMPT": "1"})
    assert found == {"ZENML_VERTEX_ATTEMPT": "1", "A": "b"}


def test_zenmls_own_variables_are_not_overridden() -> None:
    """`env` cannot lead a step, and the token it bears, to another server without a word.

    Whoever may edit a component could have collected the tokens of everybody's steps.
    """
    fields = VertexStepOperatorSettings(
        additional_training_job_args={"env": [{"name": "ZENML_STORE_URL", "value": "https://evil"}]}
    ).to_job_fields()
    with pytest.raises(ConfigurationError, match="sets `ZENML_STORE_URL`, which") as refused:
        build_environment(fields, {"ZENML_STORE_URL": "https://zenml"}, {})
    assert "evil" not in str(refused.value)
    assert build_environment(fields, {}, {}) == {"ZENML_STORE_URL": "https://evil"}


def test_variable_references_are_not_expanded() -> None:
    """`$(NAME)` in a value or a command reaches the container as it was written."""
    container = build_container_spec(
        "i",
        ["sh", "-c", "echo $(TOKEN) $(date)"],
        {"TOKEN": "t", "GREETING": "$(TOKEN) $(date) $HOME"},
    )
    assert container["env"][1]["value"] == "$$(TOKEN) $(date) $HOME"
    assert container["command"] == ["sh", "-c", "echo $$(TOKEN) $(date)"]


def test_a_variable_can_be_empty() -> None:
    """A variable that is set to the empty string reaches the container; it is not dropped."""
    assert build_container_spec("i", [], {"FLAG": ""})["env"] == [{"name": "FLAG", "value": ""}]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({f"V{n}": "" for n in range(101)}, "has 101 environment variables"),
        ({"my-name": "x"}, "`my-name`"),
    ],
)
def test_environments_that_the_api_would_refuse_are_refused_early(
    environment: dict[str, str], message: str
) -> None:
    """More than 100 variables, or a name that is not a C identifier, is refused early."""
    with pytest.raises(ConfigurationError) as raised:
        build_container_spec("i", [], environment)
    assert message in str(raised.value)


def test_an_error_about_the_environment_shows_no_value() -> None:
    """Errors about environment variables give their names and never their values."""
    with pytest.raises(ConfigurationError) as raised:
        build_container_spec("i", [], {"my-name": "hunter2"})
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("variable", [{"name": "TOKEN", "value": "hunter2"}, {"TOKEN": "hunter2"}])
def test_the_repr_of_a_jobs_fields_shows_no_value(variable: dict[str, str]) -> None:
    """The repr of a job's fields shows no value of an environment variable."""
    settings = VertexStepOperatorSettings(additional_training_job_args={"env": [variable]})
    assert "hunter2" not in repr(settings.to_job_fields())


def test_a_text_that_no_process_starts_with_is_refused() -> None:
    """Linux takes 128 KiB in one variable, with its name, and in one argument; a byte less passes.

    A letter may have several bytes.
    """
    most = MAX_STRING_BYTES - len("V=")
    build_container_spec("i", ["x" * MAX_STRING_BYTES], {"V": "x" * most})
    with pytest.raises(ConfigurationError, match="`V` has 131072 bytes"):
        build_container_spec("i", [], {"V": "x" * (most + 1)})
    with pytest.raises(ConfigurationError, match="an argument of 131072 bytes"):
        build_container_spec("i", ["x" * (MAX_STRING_BYTES + 1)], {})
    with pytest.raises(ConfigurationError, match="variable `V`"):
        build_container_spec("i", [], {"V": "\N{EURO SIGN}" * 43_691})


def test_an_apostrophe_is_said_without_its_value() -> None:
    """Vertex AI refused them once; the warning names the variables, and no values."""
    (text,) = find_apostrophes({"A": "it's hunter2", "B": "no", "C": "'"})
    assert "the value of `A`, `C` has an apostrophe" in text
    assert "hunter2" not in text
    assert list(find_apostrophes({"B": "no"})) == []
