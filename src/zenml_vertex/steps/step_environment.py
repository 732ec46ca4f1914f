"""The environment variables of a step's container: its own, and what is known of the others."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from zenml.client import Client
from zenml.config.global_config import GlobalConfiguration
from zenml.constants import (
    ENV_ZENML_ACTIVE_PROJECT_ID,
    ENV_ZENML_ACTIVE_STACK_ID,
    ENV_ZENML_DISABLE_CREDENTIALS_DISK_CACHING,
    ENV_ZENML_STEP_OPERATOR,
)
from zenml.enums import AuthScheme, StoreType
from zenml.utils.env_utils import get_runtime_environment

from zenml_vertex.container.exit_timer import LINGERING_VARIABLE
from zenml_vertex.container.finish_note import RUN_VARIABLE
from zenml_vertex.container.server_outages import OUTAGE_VARIABLE
from zenml_vertex.job.environment import (
    build_environment,
    find_changed_variables,
    find_too_much,
)
from zenml_vertex.job.identity import ATTEMPT_VARIABLE, Attempt

if TYPE_CHECKING:
    from zenml.config.step_configurations import Step

    from zenml_vertex.config import VertexStepOperatorSettings
    from zenml_vertex.job.fields import JobFields

# In place of the IDs that only a run has.
_NO_ID = "00000000-0000-0000-0000-000000000000"
_TOKEN_VARIABLE = "ZENML_STORE_API_TOKEN"  # noqa: S105 - a name


def build_own_variables(
    settings: "VertexStepOperatorSettings", attempt: Attempt, run_id: str
) -> dict[str, str]:
    """The variables by which this package tells a container what it is.

    Args:
        settings: The step's settings over the component's.
        attempt: The attempt at the step run.
        run_id: ID of the pipeline run.
    """
    return {
        ATTEMPT_VARIABLE: str(attempt.number),
        RUN_VARIABLE: run_id,
        LINGERING_VARIABLE: str(settings.lingering_seconds),
        OUTAGE_VARIABLE: str(settings.server_outage_seconds),
    }


def foresee_environment(step: "Step") -> dict[str, str]:
    """The variables that ZenML will set in a step's container, as `StepLauncher` does.

    The token, which there is only with a run, is an empty text.

    Args:
        step: The step's configuration; it will run on the active stack.
    """
    client = Client()
    environment = {
        **GlobalConfiguration().get_config_environment_vars(),
        ENV_ZENML_DISABLE_CREDENTIALS_DISK_CACHING: "true",
        ENV_ZENML_ACTIVE_STACK_ID: str(client.active_stack_model.id),
        ENV_ZENML_ACTIVE_PROJECT_ID: str(client.active_project.id),
    }
    if _has_token():
        environment.setdefault(_TOKEN_VARIABLE, "")
    environment |= get_runtime_environment(step.config, client.active_stack_model)
    environment[ENV_ZENML_STEP_OPERATOR] = "True"
    return environment


def _has_token() -> bool:
    """Whether containers need one to speak to the ZenML server."""
    configuration = GlobalConfiguration()
    if configuration.store_configuration.type != StoreType.REST:
        return False
    return configuration.zen_store.get_store_info().auth_scheme != AuthScheme.NO_AUTH


def find_environment_problems(
    settings: "VertexStepOperatorSettings", job: "JobFields", environment: Mapping[str, str]
) -> Iterator[str]:
    """What keeps a step's environment from being sent, before the step has a run.

    Args:
        settings: The step's settings over the component's.
        job: What its job asks for.
        environment: What ZenML will set.
    """
    own = build_own_variables(settings, Attempt(_NO_ID), _NO_ID)
    yield from find_changed_variables(job, environment, own)
    if settings.environment_secrets == "inline":
        yield from find_too_much(build_environment(job, _without_changes(job, environment), own))


def _without_changes(job: "JobFields", environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that `env` leaves as they are."""
    return {name: value for name, value in environment.items() if name not in (job.env or {})}
