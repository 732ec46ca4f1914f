"""Values that ZenML looks up in secrets: no message and no repr has them, nor a part of them."""

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from tests.steps.test_preflight import make_step
from tests.support.components import make_operator
from zenml_vertex import VertexStepOperatorSettings
from zenml_vertex.errors import ConfigurationError
from zenml_vertex.steps.preflight import Preflight, inspect_step

# What `{{s.key}}` stands for in these tests. Each contains `hunter2` and is wrong for some
# setting; the last ones are nearly right for one.
VALUES = (
    "hunter2",
    "\x1b[31mhunter2\n" * 200,
    '{"private_key": "-----BEGIN PRIVATE KEY-----\\nhunter2"}',
    "a-hunter2-a",
    "europe-hunter2",
    "us-hunter2",
    "projects/p/locations/hunter2/keyRings/r/cryptoKeys/k",
    "NVIDIA_HUNTER2",
    "ftp://hunter2",
)
# The settings whose values are strings.
NAMES = sorted(
    name
    for name, field in VertexStepOperatorSettings.model_fields.items()
    if "str" in str(field.annotation) and "dict" not in str(field.annotation)
)


@pytest.mark.parametrize("name", NAMES)
def test_no_message_shows_the_value_of_a_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Any text setting may be a secret reference; whatever it stands for is shown nowhere."""
    value = ""

    def look_up(settings: Any, attribute: str) -> Any:
        found = object.__getattribute__(settings, attribute)
        return value if isinstance(found, str) and found.startswith("{{") else found

    monkeypatch.setattr(VertexStepOperatorSettings, "__getattribute__", look_up)
    gpu: dict[str, Any] = (
        {} if "accelerator" in name else {"accelerator_type": "T4", "accelerator_count": 1}
    )
    settings: dict[str, Any] = {"accelerator_count": 1, **gpu, name: "{{s.key}}"}
    step = make_step(**settings)
    for value in VALUES:  # noqa: B007 - `look_up` reads it
        operator = make_operator()
        found = inspect_step(operator, step)
        shown = [repr(found), repr(found.job), *found.problems, *found.advice]
        with suppress(ConfigurationError):
            Preflight(operator).check_step(step, "train")
        assert "hunter2" not in " ".join([*shown, caplog.text]).lower()


@pytest.mark.parametrize("value", VALUES[:2])
def test_what_messages_repeat_is_short_and_on_one_line(value: str) -> None:
    """A name or a value that is shown is cut and has no control character."""
    long = value * 50
    arguments: dict[str, Any] = {
        "reserved_ip_ranges": [long],
        "env": [{"name": long, "value": ""}, {"name": "", "value": ""}],
        long: 1,
    }
    operator = make_operator(
        additional_training_job_args=arguments, service_account_path="/" + long.strip()[:900]
    )
    for text in inspect_step(operator, make_step()).problems:
        assert len(text) < 1000
        assert text.isprintable()
        assert "``" not in text
    with pytest.raises(ConfigurationError) as raised:
        VertexStepOperatorSettings.model_validate({long: 1})
    assert raised.value.problems[0].isprintable()


class OneSecret:
    """As much of ZenML's client as looking up a secret needs: there is `vpc`, with two keys."""

    def get_secret_by_name_and_private_status(self, name: str) -> SimpleNamespace:
        """The secret."""
        if name != "vpc":
            raise KeyError(name)
        values = {"name": "hunter2", "team": "vision"}
        return SimpleNamespace(values=values, secret_values=values)


@pytest.fixture
def one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """ZenML's client finds one secret."""
    monkeypatch.setattr("zenml.client.Client", OneSecret)


@pytest.mark.usefixtures("one_secret")
def test_a_reference_inside_an_object_is_looked_up() -> None:
    """A reference is looked up at any depth, and its value is shown nowhere."""
    job = VertexStepOperatorSettings(
        region="europe-west4",
        labels={"team": "{{ vpc.team }}"},
        nfs_mounts=[{"server": "{{vpc.name}}", "path": "/", "mount_point": "m"}],
        additional_training_job_args={
            "display_name": "{{vpc.name}}",
            "env": [{"name": "TOKEN", "value": "{{vpc.name}}"}],
        },
    ).to_job_fields()
    assert job.labels == {"team": "vision"}
    assert job.display_name == "hunter2"
    assert job.env == {"TOKEN": "hunter2"}
    assert job.nfs_mounts == [{"server": "hunter2", "path": "/", "mountPoint": "m"}]
    assert job.unreadable == {}
    assert "hunter2" not in repr(job)
    assert "vision" not in repr(job)


@pytest.mark.usefixtures("one_secret")
@pytest.mark.parametrize("name", ["network", "encryption_spec_key_name", "tensorboard", "timeout"])
def test_a_wrong_value_of_an_argument_is_not_shown_if_it_is_secret(name: str) -> None:
    """What is wrong with a secret is said without it, and with its argument."""
    operator = make_operator(
        service_account="a@b.c", additional_training_job_args={name: "{{vpc.name}}"}
    )
    (problem,) = inspect_step(operator, make_step()).problems
    assert f"`{name}` in `additional_training_job_args`" in problem
    assert "hunter2" not in problem


@pytest.mark.usefixtures("one_secret")
def test_a_secret_that_does_not_exist_is_told_before_a_build() -> None:
    """Each reference that leads nowhere is a problem of the step, with its secret and key."""
    operator = make_operator(
        network="{{vpc.other}}",
        project="{{gcp.project}}",
        service_account_path="{{gcp.key}}",
        labels={"team": "{{vpc.teams}}"},
        additional_training_job_args={"tensorboard": "{{boards.mine}}", "timeout": "soon"},
    )
    problems = inspect_step(operator, make_step()).problems
    assert len(problems) == 6
    for cited, secret, key in (
        ("`network`", "vpc", "other"),
        ("`project`", "gcp", "project"),
        ("`service_account_path`", "gcp", "key"),
        ("`labels`", "vpc", "teams"),
        ("`tensorboard` in `additional_training_job_args`", "boards", "mine"),
    ):
        assert (
            f"{cited} refers to the secret `{secret}` with a key `{key}`, which ZenML does not "
            "find. `zenml secret list` shows the secrets."
        ) in problems


@pytest.mark.usefixtures("one_secret")
def test_a_secret_in_the_overrides_is_looked_up_and_not_shown() -> None:
    """It reaches the request, and no message; one that does not exist is a problem."""
    written = {
        "displayName": "{{vpc.name}}",
        "jobSpec": {"network": "{{vpc.name}}", "scheduling": {"strategy": "{{vpc.name}}"}},
    }
    found = inspect_step(make_operator(custom_job_overrides=written), make_step())
    assert found.job.display_name == "hunter2"
    assert len(found.problems) == 2
    assert "hunter2" not in f"{found!r}".lower()
    missing = make_operator(custom_job_overrides={"displayName": "{{vpc.other}}"})
    (problem,) = inspect_step(missing, make_step()).problems
    assert problem.startswith(
        "`custom_job_overrides` refers to the secret `vpc` with a key `other`"
    )
