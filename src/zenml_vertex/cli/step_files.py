"""What the job of a step in a file asks for, without a run of its pipeline."""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from zenml_vertex.job.fields import JobFields
    from zenml_vertex.steps.operator import VertexStepOperator

_MODULE = "zenml_vertex_from_step"


def read_step_job(
    operator: "VertexStepOperator", where: str, resource_id: str | None
) -> "JobFields":
    """What the job of a step asks for: its own settings over those of the step operator.

    What a pipeline, or a file with its configuration, sets for the step is not in the step's file.

    Args:
        operator: The step operator.
        where: `FILE::STEP`.
        resource_id: The persistent resource that it is to run on, whatever it sets; None for none.

    Raises:
        click.ClickException: If the file has no step of this name.
        ConfigurationError: If its settings cannot work.
    """
    from zenml.config.step_configurations import Step
    from zenml.steps import BaseStep
    from zenml.utils import settings_utils

    from zenml_vertex.errors import ConfigurationError
    from zenml_vertex.steps.preflight import inspect_step

    file, _, name = where.rpartition("::")
    if not file or not name:
        raise click.BadParameter(
            f"`{where}` is not a step: write FILE::STEP, such as pipeline.py::train.",
            param_hint="--from-step",
        )
    module = _import(Path(file))
    found = getattr(module, name, None)
    if not isinstance(found, BaseStep):
        steps = [key for key, value in vars(module).items() if isinstance(value, BaseStep)]
        listed = f" Its steps are: {', '.join(steps)}." if steps else " It has no steps."
        raise click.ClickException(f"{file} has no step `{name}`.{listed}")
    key = settings_utils.get_stack_component_setting_key(operator)
    configuration = found.configuration
    written: dict[str, Any] = {}
    for other in ("step_operator", key, f"step_operator:{operator.name}"):
        if other in configuration.settings:
            written |= configuration.settings[other].model_dump(exclude_unset=True)
    written["persistent_resource_id"] = resource_id
    settings: dict[str, Any] = {key: written}
    if "resources" in configuration.settings:
        settings["resources"] = configuration.settings["resources"]
    content = {"name": name, "step_operator": operator.name, "settings": settings}
    spec = {"source": f"{_MODULE}.{name}", "upstream_steps": [], "invocation_id": name}
    step = Step.model_validate({"spec": spec, "config": content, "step_config_overrides": content})
    findings = inspect_step(operator, step)
    if findings.problems:
        raise ConfigurationError(findings.problems, where=f"step `{name}`")
    return findings.job


@cache
def _import(file: Path) -> Any:
    """The module that a file is; it does not run as a program.

    Raises:
        click.ClickException: If it cannot be imported.
    """
    if not file.is_file():
        raise click.ClickException(f"The file {file} does not exist.")
    spec = importlib.util.spec_from_file_location(_MODULE, file)
    if spec is None or spec.loader is None:
        raise click.ClickException(f"{file} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module
    # As Python does for a program.
    sys.path.insert(0, str(file.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise click.ClickException(
            f"{file} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    finally:
        sys.path.remove(str(file.resolve().parent))
    return module
