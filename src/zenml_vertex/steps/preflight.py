"""Checks of a stack and its steps, before an image is built or a job is submitted.

They need a component and a step's configuration, but no run: `inspect_step` reports what
it finds, and `Preflight` refuses or warns.
"""

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from zenml.config.resource_settings import ByteUnit
from zenml.stack import Stack, StackValidator

from zenml_vertex.cloud import client_required
from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.environment import find_apostrophes, find_wrong_names
from zenml_vertex.job.fields import OVERRIDES, ROWS
from zenml_vertex.job.identity import is_project
from zenml_vertex.job.machine_choice import Wishes, fit_machine
from zenml_vertex.job.machines import is_elsewhere, nearest, nearest_accelerator
from zenml_vertex.job.readers import SECRET, show_value
from zenml_vertex.job.rules import advise, find_problems, find_unlisted_enums
from zenml_vertex.steps.images import advise_step_image
from zenml_vertex.steps.stack_rules import find_stack_problem
from zenml_vertex.steps.step_environment import find_environment_problems, foresee_environment
from zenml_vertex.steps.step_secrets import find_secret_problems

if TYPE_CHECKING:
    from zenml.config.step_configurations import Step
    from zenml.config.step_run_info import StepRunInfo
    from zenml.stack import StackComponent

    from zenml_vertex.config import VertexStepOperatorSettings
    from zenml_vertex.job.fields import JobFields

logger = logging.getLogger(__name__)

_MOST_NAMED = 10
# An address of one's own is checked for itself.
_ANY_REGION = "us-central1"


@dataclass(frozen=True, slots=True)
class StepFindings:
    """What a step asks for, and what is wrong with it."""

    # The step's settings over the component's.
    settings: "VertexStepOperatorSettings"
    # What its job asks for.
    job: "JobFields"
    # What keeps the job from working; one or two sentences each, with the cure.
    problems: tuple[str, ...]
    # What will probably go wrong; likewise.
    advice: tuple[str, ...]
    # How the job came to have its machine; likewise.
    choices: tuple[str, ...]


def inspect_step(component: "StackComponent", step: "Step | StepRunInfo") -> StepFindings:
    """Inspect a step's settings; needs no network.

    Google's client is imported only if it must be asked for a value that is in no list here.

    Args:
        component: The step operator.
        step: The step's configuration, or a run of it.
    """
    settings = cast("VertexStepOperatorSettings", component.get_settings(step))
    resources = step.config.resource_settings
    memory_gib = resources.get_memory(ByteUnit.GIB) or 0
    wishes = Wishes(resources.cpu_count or 0, memory_gib, resources.memory or "")
    fitted = fit_machine(settings.to_job_fields(gpu_count=resources.gpu_count), wishes)
    job = fitted.job
    problems, advice = [*find_problems(job), *fitted.problems], advise(job)
    problems += [*_find_unknown_values(job), *_find_unknown_fields(job)]
    problems += find_wrong_names(step.config.environment)
    problems += find_secret_problems(settings, job, step.config.command)
    problems += _find_address_problems(settings, job)
    key_file = "service_account_path" not in job.unreadable and settings.service_account_path
    if key_file and not component.connector:
        from zenml_vertex.cloud.key_file import find_key_file_problem

        key_file_problem = find_key_file_problem(
            key_file, is_secret=settings.is_secret("service_account_path")
        )
        problems += [key_file_problem] if key_file_problem else []
    return StepFindings(settings, job, tuple(problems), tuple(advice), fitted.choices)


def _find_address_problems(
    settings: "VertexStepOperatorSettings", job: "JobFields"
) -> Iterator[str]:
    """What is wrong with the project, and with the address of the API."""
    project = None if "project" in job.unreadable else settings.project
    if project and not is_project(project):
        shown = SECRET if settings.is_secret("project") else show_value(project)
        yield (
            f"`project` is {shown}, which is not the ID of a project: it has no spaces, capitals "
            "or slashes. `gcloud projects list` shows it."
        )
    endpoint = None if "api_endpoint" in job.unreadable else settings.api_endpoint
    if endpoint:
        with client_required():
            from zenml_vertex.cloud.endpoint import choose_endpoint

        try:
            choose_endpoint(region=_ANY_REGION, api_endpoint=endpoint, environ={})
        except ConfigurationError as error:
            if settings.is_secret("api_endpoint"):
                yield f"`api_endpoint` is {SECRET}, which is not an address that can be used."
            else:
                yield from error.problems


def _find_unknown_values(job: "JobFields") -> Iterator[str]:
    """Values of enums that the installed client cannot send, however new Vertex AI is."""
    for name in find_unlisted_enums(job):
        with client_required():
            from zenml_vertex.cloud.enum_values import read_enum_values
        value, known = getattr(job, name), read_enum_values(ROWS[name].path)
        if value not in known:
            close = nearest_accelerator(value) if name == "accelerator_type" else None
            if name == "accelerator_type" and is_elsewhere(value):
                hint = f"Vertex AI has none; it has {', '.join(sorted(known))}."
            elif close := close or nearest(value, known):
                hint = f"Did you mean `{close}`?"
            else:
                hint = f"It knows {', '.join(sorted(known))}."
            yield (
                f"{job.state(name)}, which the installed google-cloud-aiplatform does not know. "
                f"{hint} If Google has added it since, run "
                "`pip install -U google-cloud-aiplatform`."
            )


def _find_unknown_fields(job: "JobFields") -> Iterator[str]:
    """What `custom_job_overrides` have that the installed client cannot send."""
    for path, unlisted in job.unlisted.items():
        with client_required():
            from zenml_vertex.cloud.enum_values import is_known
        if is_known(unlisted.path, unlisted.value):
            continue
        what = f"{show_value(path)} in `{OVERRIDES}`"
        if unlisted.value is not None:
            hidden = OVERRIDES in job.secrets
            what += f" is {SECRET if hidden else show_value(unlisted.value)}"
        hint = f" Did you mean `{unlisted.close}`?" if unlisted.close else ""
        yield (
            f"{what}, which the installed google-cloud-aiplatform does not know.{hint} If Google "
            "has added it since, run `pip install -U google-cloud-aiplatform`."
        )


def check_connector(component: "StackComponent", settings: "VertexStepOperatorSettings") -> None:
    """Refuse a project that is not that of the component's connector.

    Raises:
        CredentialsError: If the projects differ, or the connector cannot be used.
        VertexStepOperatorError: If Google's client is not installed.
    """
    if component.connector and settings.project:
        with client_required():
            from zenml_vertex.cloud.credentials import check_connector_project
            from zenml_vertex.steps.connector import access_connector

        check_connector_project(settings.project, access_connector(component).project)


def build_stack_validator() -> StackValidator:
    """A validator that refuses stacks whose components a Vertex AI job cannot reach."""

    def validate(stack: Stack) -> tuple[bool, str]:
        problem = find_stack_problem(stack)
        return problem is None, problem or ""

    return StackValidator(custom_validation_function=validate)


class Preflight:
    """Refuses steps that cannot work, and warns of what will probably fail, once each.

    Of a step whose job is about to be submitted it says how it came to have its machine; a
    cached step gets none.

    Args:
        component: The step operator.
    """

    def __init__(self, component: "StackComponent") -> None:
        self._component = component
        self._said: set[str] = set()

    def check_step(self, step: "Step | StepRunInfo", name: str) -> StepFindings:
        """Check a step before its job is submitted.

        Args:
            step: The step's configuration, or a run of it.
            name: Name of the step, for messages.

        Raises:
            ConfigurationError: If the settings cannot work.
            CredentialsError: If their project is not the connector's.
        """
        findings = inspect_step(self._component, step)
        self._refuse(name, findings)
        self._say(logging.INFO, name, *findings.choices)
        return findings

    def say_which(self, here: Collection[str], steps: Collection[str]) -> None:
        """Say once which steps of a pipeline run on Vertex AI, and which do not.

        ZenML takes a misspelt name in a YAML file for that of a step there is none of, and runs
        the step that was meant elsewhere.

        Args:
            here: Names of the steps that run on this step operator.
            steps: Names of all steps.
        """
        elsewhere = [name for name in steps if name not in here]
        text = f"Step operator `{self._component.name}` runs {_list(here)} on Vertex AI"
        if elsewhere:
            text += f", and not {_list(elsewhere)}"
        if here and text not in self._said:
            self._said.add(text)
            logger.info("%s.", text)

    def check_build(self, step: "Step", name: str) -> None:
        """Check a step before its image is built, the plan for the image included.

        Args:
            step: The step's configuration.
            name: Name of the step, for messages.

        Raises:
            ConfigurationError: If the settings cannot work.
            CredentialsError: If their project is not the connector's.
        """
        findings = inspect_step(self._component, step)
        environment = foresee_environment(step)
        problems = find_environment_problems(findings.settings, findings.job, environment)
        self._refuse(name, findings, *problems)
        self._say(logging.WARNING, name, *advise_step_image(step, findings.job))
        if findings.settings.environment_secrets == "inline":
            written = {**step.config.environment, **(findings.job.env or {})}
            self._say(logging.WARNING, name, *find_apostrophes(written))

    def _refuse(self, name: str, findings: StepFindings, *more: str) -> None:
        """Refuse a step that cannot work, and warn of what will probably fail."""
        if problems := [*findings.problems, *more]:
            raise ConfigurationError(problems, where=f"step `{name}`")
        check_connector(self._component, findings.settings)
        self._say(logging.WARNING, name, *findings.advice)

    def _say(self, level: int, name: str, *sentences: str) -> None:
        for text in (f"Step `{name}`: {text}" for text in sentences):
            if text not in self._said:
                self._said.add(text)
                logger.log(level, "%s", text)


def _list(names: Collection[str]) -> str:
    """Names of steps as a message shows them, however many there are."""
    shown = [f"`{name}`" for name in sorted(names)]
    if len(shown) > _MOST_NAMED:
        return f"{', '.join(shown[:_MOST_NAMED])} and {len(shown) - _MOST_NAMED} other steps"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if shown[1:] else shown)
