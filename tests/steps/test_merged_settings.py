"""Settings of a component, a pipeline and a step become one, however each of them is written."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from zenml.config.base_settings import BaseSettings
from zenml.config.settings_resolver import SettingsResolver
from zenml.config.step_configurations import Step
from zenml.utils.dict_utils import recursive_update
from zenml.utils.pydantic_utils import update_model

from tests.steps.test_preflight import make_step
from tests.steps.test_wrong_settings import OneComponent
from tests.support.components import make_operator
from zenml_vertex.job.fields import JobFields
from zenml_vertex.steps.operator import VertexStepOperator
from zenml_vertex.steps.preflight import inspect_step
from zenml_vertex.steps.written_settings import WrittenSettings


def convert(operator: VertexStepOperator, written: BaseSettings) -> dict[str, Any]:
    """Settings as ZenML's resolver converts them, on their way to the server."""
    found = SettingsResolver("step_operator.vertex", written).resolve(OneComponent(operator))
    kept: dict[str, Any] = json.loads(found.model_dump_json(exclude_unset=True))
    return kept


def merge(
    component: Mapping[str, Any], pipeline: Mapping[str, Any], step: Mapping[str, Any]
) -> Step:
    """A step as ZenML's compiler merges its settings.

    The component's and the pipeline's before they are converted
    (`Compiler._apply_stack_default_settings`), and the step's over both after that.
    """
    operator = make_operator(**component)
    defaults = WrittenSettings.model_validate(operator.config.model_dump(exclude_unset=True))
    below = update_model(defaults, update=BaseSettings.model_validate(pipeline))
    above = convert(operator, BaseSettings.model_validate(step))
    return make_step(**recursive_update(convert(operator, below), above, ignore_none=True))


def ask(
    component: Mapping[str, Any], pipeline: Mapping[str, Any], step: Mapping[str, Any]
) -> JobFields:
    """What the step's job asks for."""
    found = inspect_step(make_operator(**component), merge(component, pipeline, step))
    assert found.problems == ()
    return found.job


@pytest.mark.parametrize(
    "forms", [(form, other) for form in (dict, json.dumps) for other in (dict, json.dumps)]
)
@pytest.mark.parametrize("places", [(0, 1), (0, 2), (1, 2)])
def test_objects_merge_key_by_key_in_either_form(forms: Any, places: tuple[int, int]) -> None:
    """JSON text on one side and an object on the other give what two objects give."""
    levels: list[dict[str, Any]] = [{}, {}, {}]
    levels[places[0]] = {
        "additional_training_job_args": forms[0]({"timeout": "60s", "display_name": "below"}),
        "labels": forms[0]({"team": "vision", "stage": "dev"}),
    }
    levels[places[1]] = {
        "additional_training_job_args": forms[1]({"timeout": "90s"}),
        "labels": forms[1]({"stage": "prod"}),
    }
    job = ask(*levels)
    assert (job.timeout, job.display_name) == ("90s", "below")
    assert job.labels == {"team": "vision", "stage": "prod"}


def test_an_empty_text_clears_an_object() -> None:
    """Whoever wants nothing of the component's object says so."""
    below = {"additional_training_job_args": {"timeout": "60s"}}
    assert ask(below, {}, {"additional_training_job_args": ""}).timeout is None


@pytest.mark.parametrize("above", ["disk_size_gb", "boot_disk_size_gb"])
@pytest.mark.parametrize("below", ["disk_size_gb", "boot_disk_size_gb"])
def test_a_step_overrides_in_either_spelling(below: str, above: str) -> None:
    """A step's value holds over its component's and its pipeline's, cited as it was spelt."""
    for component, pipeline in (
        ({below: 200}, {}),
        ({}, {below: 200}),
        ({below: 150}, {below: 200}),
    ):
        job = ask(component, pipeline, {above: 300})
        assert job.boot_disk_size_gb == 300
        assert job.cite("boot_disk_size_gb") == f"`{above}`"


@pytest.mark.parametrize("name", ["strategy", "scheduling_strategy", "base_output_directory"])
def test_a_conflict_is_told_in_the_spelling_of_the_step(name: str) -> None:
    """What is found when everything is known is cited as it was written, too."""
    job = ask({}, {}, {name: "gs://bucket/folder"} if "base" in name else {name: "SPOT"})
    field = {"strategy": "scheduling_strategy", "base_output_directory": "base_output_dir"}
    assert job.cite(field.get(name, name)) == f"`{name}`"
