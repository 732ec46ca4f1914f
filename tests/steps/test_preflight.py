"""What a step operator checks of a step before anything is built, and without a run."""

import logging
from pathlib import Path
from typing import Any

import pytest
from zenml.config import ResourceSettings
from zenml.config.step_configurations import Step
from zenml.orchestrators.utils import get_config_environment_vars

from tests.support.components import make_operator
from zenml_vertex import VertexStepOperatorSettings
from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.identity import Attempt
from zenml_vertex.steps.preflight import Preflight, inspect_step
from zenml_vertex.steps.step_environment import build_own_variables, foresee_environment
from zenml_vertex.steps.step_secrets import read_secret_first

# Nested more deeply than Python follows.
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


def make_step(resources: ResourceSettings | None = None, **settings: Any) -> Step:
    """Build a step as a compiled pipeline has it."""
    found: dict[str, Any] = {"step_operator.vertex": settings} if settings else {}
    if resources:
        found["resources"] = resources
    spec = {"source": "pipelines.train", "upstream_steps": [], "invocation_id": "train"}
    configuration = {"name": "train", "step_operator": "vertex", "settings": found}
    return Step.model_validate(
        {"spec": spec, "config": configuration, "step_config_overrides": configuration}
    )


def test_a_step_is_inspected_without_a_run() -> None:
    """A step's settings override the component's, without a request to a server or Google."""
    found = inspect_step(
        make_operator(machine_type="n1-standard-16", accelerator_type="NVIDIA_TESLA_T4"),
        make_step(ResourceSettings(gpu_count=2), lingering_seconds=1),
    )
    assert (found.problems, found.advice) == ((), ())
    assert found.settings.lingering_seconds == 1
    assert found.job.machine_type == "n1-standard-16"
    assert (found.job.accelerator_type, found.job.accelerator_count) == ("NVIDIA_TESLA_T4", 2)


def test_all_problems_of_a_step_are_reported_at_once(tmp_path: Path) -> None:
    """Problems of settings, additional arguments and key file are reported with the step's name."""
    operator = make_operator(
        service_account_path=str(tmp_path / "key.json"),
        additional_training_job_args={"network": "default", "time_out": "1s"},
    )
    step = make_step(accelerator_count=1)
    found = inspect_step(operator, step)
    with pytest.raises(ConfigurationError) as raised:
        Preflight(operator).check_step(step, "train")
    assert len(found.problems) == 4
    assert raised.value.problems == found.problems
    assert "Vertex settings of step `train` have 4 problems:" in str(raised.value)


@pytest.mark.parametrize("value", [10**5000, "9" * 5000, DEEP], ids=["integer", "digits", "nested"])
@pytest.mark.parametrize(
    "name", ["accelerator_count", "boot_disk_size_gb", "timeout", "psc_interface_config"]
)
def test_a_value_that_cannot_be_read_is_named(name: str, value: object) -> None:
    """A value beyond what Python reads is an error that names the step and the argument."""
    operator = make_operator(additional_training_job_args={name: value})
    with pytest.raises(ConfigurationError) as raised:
        Preflight(operator).check_step(make_step(), "train")
    assert "step `train`" in str(raised.value)
    assert f"`{name}` in `additional_training_job_args` is " in str(raised.value)
    assert " must be " in str(raised.value)
    assert len(str(raised.value)) < 400


def test_no_repr_shows_additional_arguments() -> None:
    """No repr of settings, config or findings shows a variable of the additional arguments."""
    env = {"env": [{"name": "TOKEN", "value": "hunter2"}]}
    operator = make_operator(additional_training_job_args=env)
    step = make_step(additional_training_job_args=env)
    found = inspect_step(operator, step)
    assert found.job.env == {"TOKEN": "hunter2"}
    assert "hunter2" not in f"{found!r} {found.settings!r} {operator.config!r} {operator.config}"


def test_a_wrong_type_of_additional_arguments_is_not_shown() -> None:
    """The error on additional arguments that are not an object does not show them."""
    written: Any = "TOKEN=hunter2"
    with pytest.raises(ConfigurationError, match="additional_training_job_args") as raised:
        VertexStepOperatorSettings(additional_training_job_args=written)
    assert "hunter2" not in str(raised.value)


def test_each_step_is_warned_about_once(caplog: pytest.LogCaptureFixture) -> None:
    """A warning is logged before the image is built, and not again at submission."""
    kind = {"accelerator_type": "NVIDIA_L4", "accelerator_count": 1}
    preflight = Preflight(make_operator(machine_type="n1-standard-4", **kind))
    with caplog.at_level(logging.INFO, "zenml_vertex"):
        preflight.check_step(make_step(), "train")
        preflight.check_step(make_step(), "train")
        preflight.check_step(make_step(), "test")
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].startswith("Step `train`: `n1-standard-4` takes NVIDIA_")
    assert said[1].startswith("Step `test`: ")


def test_a_choice_of_machine_is_said_once_there_is_a_job(caplog: pytest.LogCaptureFixture) -> None:
    """One line at submission, and no warning: before the build, nothing is said of a choice."""
    preflight = Preflight(make_operator())
    step = make_step(ResourceSettings(cpu_count=8, memory="32GB"))
    with caplog.at_level(logging.INFO, "zenml_vertex"):
        findings = preflight.check_step(step, "train")
        preflight.check_step(step, "train")
    (record,) = caplog.records
    said = record.getMessage()
    assert (record.levelno, findings.advice) == (logging.INFO, ())
    assert said.startswith("Step `train`: `n1-standard-8` (8 vCPUs, 30 GiB) is the smallest of ")
    assert (
        " machine types with cpu_count=8, memory=32GB; the next larger is `e2-standard-8`." in said
    )
    assert findings.job.machine_type == "n1-standard-8"


@pytest.mark.parametrize(
    ("component", "step", "resources", "chosen"),
    [
        ({}, {}, ResourceSettings(cpu_count=8), "n1-standard-8"),
        ({}, {"boot_disk_size_gb": 200}, ResourceSettings(memory="30GiB"), "e2-highmem-4"),
        ({}, {}, ResourceSettings(), "n1-standard-4"),
        ({"machine_type": "n1-standard-16"}, {}, ResourceSettings(cpu_count=8), "n1-standard-16"),
        ({}, {"machine_type": "n2-standard-8"}, ResourceSettings(cpu_count=8), "n2-standard-8"),
        ({}, {"machine_type": "n9-new-2"}, ResourceSettings(cpu_count=80), "n9-new-2"),
    ],
)
def test_only_a_machine_type_that_nobody_set_is_chosen(
    component: dict[str, Any], step: dict[str, Any], resources: ResourceSettings, chosen: str
) -> None:
    """A machine type of the component or the step is what the job has, also an unknown one."""
    found = inspect_step(make_operator(**component), make_step(resources, **step))
    assert found.problems == ()
    assert found.job.machine_type == chosen


@pytest.mark.parametrize(
    ("component", "step"),
    [({"machine_type": "n1-standard-4"}, {}), ({}, {"machine_type": "n1-standard-4"})],
)
def test_a_machine_type_that_is_too_small_is_refused_before_a_build(
    component: dict[str, Any], step: dict[str, Any]
) -> None:
    """The default machine type counts as set where the component or the step names it."""
    resources = ResourceSettings(cpu_count=8, memory="32GB")
    with pytest.raises(ConfigurationError) as raised:
        Preflight(make_operator(**component)).check_build(make_step(resources, **step), "train")
    assert "step `train`: `machine_type` is `n1-standard-4` (4 vCPUs, 15 GiB)" in str(raised.value)
    assert "ResourceSettings(cpu_count=8, memory=32GB)" in str(raised.value)
    assert "`n1-standard-8` (8 vCPUs, 30 GiB): write it, or remove" in str(raised.value)


def test_a_secret_needs_an_account_that_can_read_it() -> None:
    """Without a service account, a secret is refused before the build, with the grant's command."""
    settings: dict[str, Any] = {"environment_secrets": "secret-manager"}
    (problem,) = inspect_step(make_operator(), make_step(**settings)).problems
    assert "`service_account` is not set" in problem
    assert "--role=roles/secretmanager.secretAccessor`" in problem
    settings["service_account"] = "trainer@p.iam.gserviceaccount.com"
    assert inspect_step(make_operator(), make_step(**settings)).problems == ()
    own = make_operator(**settings)
    assert inspect_step(own, make_step()).settings.environment_secrets == "secret-manager"


def test_a_command_of_its_own_cannot_read_a_secret() -> None:
    """A step that runs any command in any image would start without its environment."""
    step = make_step(
        environment_secrets="secret-manager", service_account="trainer@p.iam.gserviceaccount.com"
    )
    command = step.config.model_copy(update={"command": ["true"]})
    found = inspect_step(make_operator(), step.model_copy(update={"config": command}))
    assert "the step runs a command of its own" in found.problems[0]
    with pytest.raises(ConfigurationError, match="runs a command of its own"):
        read_secret_first(["bash", "-c", "true"])
    command_line = ["python", "-m", "zenml.entrypoints.entrypoint", "--a", "b"]
    module = "zenml_vertex.container.secret_environment"
    assert read_secret_first(command_line) == ["python", "-m", module, *command_line[2:]]


def test_no_other_model_is_suggested_for_one_that_vertex_ai_lacks() -> None:
    """`A10G`, of another cloud, is refused with what there is, and not taken for an `A100`."""
    step = make_step(accelerator_type="A10G", accelerator_count=1)
    (problem,) = inspect_step(make_operator(), step).problems
    assert "Vertex AI has none; it has " in problem
    assert "Did you mean" not in problem


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"project": "my proj"}, "`project` is `my proj`, which is not the ID of a project"),
        ({"project": "projects/p"}, "which is not the ID of a project"),
        ({"api_endpoint": "ftp://x"}, "`api_endpoint` is not a valid address"),
        ({"api_endpoint": "http://10.0.0.1:80"}, "would send credentials in clear text"),
    ],
)
def test_where_jobs_go_is_checked_before_the_build(settings: dict[str, Any], words: str) -> None:
    """A project that cannot be one, and an address that cannot be used, cost no image."""
    (problem,) = inspect_step(make_operator(), make_step(**settings)).problems
    assert words in problem
    usual: dict[str, Any] = {
        "project": "example.com:my-project",
        "api_endpoint": "http://127.0.0.1:8085",
    }
    assert inspect_step(make_operator(), make_step(**usual)).problems == ()


def test_the_environment_of_a_container_is_foreseen() -> None:
    """The variables are those that ZenML's launcher sets, token apart, before there is a run."""
    step = make_step()
    step = step.model_copy(
        update={"config": step.config.model_copy(update={"environment": {"MODE": "3"}})}
    )
    theirs, secrets = get_config_environment_vars()
    assert foresee_environment(step) == theirs | secrets | {
        "MODE": "3",
        "ZENML_STEP_OPERATOR": "True",
    }


def test_too_many_variables_are_refused_before_a_build(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The variables of ZenML and of this package count, and exactly 100 pass.

    In a secret there can be more.
    """
    monkeypatch.setattr("zenml.utils.source_utils._CUSTOM_SOURCE_ROOT", str(tmp_path))
    operator, step = make_operator(service_account="a@b.iam.gserviceaccount.com"), make_step()
    own = len(build_own_variables(operator.config, Attempt("x"), "x"))
    room = 100 - own - len(foresee_environment(step))

    def fill(number: int, **settings: Any) -> Step:
        environment = {f"V{n}": "it's" for n in range(number)}
        filled = make_step(**settings)
        return filled.model_copy(
            update={"config": filled.config.model_copy(update={"environment": environment})}
        )

    Preflight(operator).check_build(fill(room), "train")
    assert "`V0`, `V1`, `V2`, `V3`, `V4` and others has an apostrophe" in caplog.text
    with pytest.raises(ConfigurationError, match="has 101 environment variables"):
        Preflight(operator).check_build(fill(room + 1), "train")
    secret = fill(room + 1, environment_secrets="secret-manager")
    Preflight(operator).check_build(secret, "train")


def test_a_variable_of_zenml_is_not_changed(caplog: pytest.LogCaptureFixture) -> None:
    """A step that would report to another server is refused before a build."""
    variable = {"name": "ZENML_STORE_URL", "value": "https://elsewhere"}
    step = make_step(additional_training_job_args={"env": [variable]})
    with pytest.raises(ConfigurationError, match="sets `ZENML_STORE_URL`, which ZenML sets"):
        Preflight(make_operator()).check_build(step, "train")
    assert "elsewhere" not in caplog.text


def test_which_steps_run_here_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """A misspelt name in a YAML file runs a step elsewhere; the line names it, and comes once."""
    preflight = Preflight(make_operator())
    with caplog.at_level(logging.INFO):
        preflight.say_which(["train"], ["load", "train", "training"])
        preflight.say_which(["train"], ["load", "train", "training"])
        preflight.say_which([], ["load"])
        preflight.say_which([f"s{n}" for n in range(12)], [f"s{n}" for n in range(12)])
    one, other = caplog.messages
    assert one == "Step operator `vertex` runs `train` on Vertex AI, and not `load` and `training`."
    assert other.endswith("`s7` and 2 other steps on Vertex AI.")
