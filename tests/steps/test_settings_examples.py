"""The examples of the settings page, and what becomes of them."""

import json
import runpy
from typing import Any

import pytest

from tests.steps.test_wrong_settings import compile_step
from tests.support.components import make_operator
from tests.support.pages import DOCS
from zenml_vertex import VertexStepOperatorConfig, VertexStepOperatorSettings
from zenml_vertex.job.fields import ROWS, SPELLINGS
from zenml_vertex.steps.preflight import inspect_step

PAGE = runpy.run_path(str(DOCS / "reference" / "generate_settings.py"))
EXAMPLES: dict[str, Any] = {
    name: value for examples in PAGE["EXAMPLES"].values() for name, value in examples.items()
}
NEEDS: dict[str, dict[str, Any]] = PAGE["NEEDS"]


def test_each_setting_stands_in_one_task_of_the_page() -> None:
    """No setting is forgotten, and none is there twice."""
    assert sorted(EXAMPLES) == sorted(VertexStepOperatorSettings.model_fields)
    assert sum(len(examples) for examples in PAGE["EXAMPLES"].values()) == len(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_of_the_page_is_valid(name: str) -> None:
    """In code, on a component as text, and in YAML, an example passes the check before a build."""
    written = {name: EXAMPLES[name], **NEEDS.get(name, {})}
    texts: dict[str, Any] = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in written.items()
    }
    found = inspect_step(make_operator(), compile_step(make_operator(), written))
    on_component = VertexStepOperatorConfig(**{"region": "europe-west4", **texts})

    assert [
        text for text in found.problems if "key file" not in text and "/keys/" not in text
    ] == []
    fields = [
        found.job,
        VertexStepOperatorSettings(**{"region": "europe-west4", **written}).to_job_fields(),
        on_component.to_job_fields(),
    ]
    field = SPELLINGS.get(name, name)
    if field in ROWS:
        values = [getattr(job, field) for job in fields]
        assert values[0] is not None
        assert values == values[:1] * 3
