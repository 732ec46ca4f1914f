"""The setting `environment_secrets`: what it needs, and the secret of a step that has it."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from zenml_vertex.errors import ConfigurationError, VertexStepOperatorError
from zenml_vertex.following.step_secret import StepSecret
from zenml_vertex.job.secrets import SecretName

if TYPE_CHECKING:
    from zenml_vertex.clock import Clock
    from zenml_vertex.cloud.connection import Connection
    from zenml_vertex.config import VertexStepOperatorSettings
    from zenml_vertex.following.progress import StepLog
    from zenml_vertex.job.fields import JobFields
    from zenml_vertex.job.identity import Attempt

# Reads the environment from the secret, and runs the module that follows.
_READER = "zenml_vertex.container.secret_environment"

_OWN_COMMAND = (
    "`environment_secrets` is `secret-manager`, and the step runs a command of its own, which "
    "would not read the secret. Set `environment_secrets` to `inline` for this step."
)


def find_secret_problems(
    settings: "VertexStepOperatorSettings", job: "JobFields", command: Sequence[str] | None
) -> Iterator[str]:
    """What keeps a step from reading its environment from a secret.

    Args:
        settings: The step's settings over the component's.
        job: What its job asks for.
        command: The step's own command; None for a step in Python.
    """
    if settings.environment_secrets != "secret-manager":
        return
    if not job.service_account:
        # https://cloud.google.com/vertex-ai/docs/general/access-control: the agent's token
        # never has the scope `cloud-platform`.
        yield (
            "`environment_secrets` is `secret-manager`, and `service_account` is not set: the "
            "service agent that the job then runs as cannot read secrets. Set `service_account` "
            "to an account of yours, and let it read them: `gcloud projects "
            "add-iam-policy-binding PROJECT --member=serviceAccount:SERVICE_ACCOUNT "
            "--role=roles/secretmanager.secretAccessor`."
        )
    if command is not None:
        yield _OWN_COMMAND


def open_secret(
    settings: "VertexStepOperatorSettings",
    connection: "Connection",
    clock: "Clock",
    attempt: "Attempt",
    log: "StepLog",
) -> StepSecret:
    """The secret of an attempt at a step run, whether or not the step uses one."""
    return StepSecret(
        connection.secrets,
        clock,
        log,
        SecretName.of(connection.identity.project, attempt),
        is_used=settings.environment_secrets == "secret-manager",
    )


def destroy_secret(
    settings: "VertexStepOperatorSettings",
    connect: "Callable[[], Connection]",
    clock: "Clock",
    attempt: "Attempt",
    log: "StepLog",
    *,
    step_operator: str,
) -> None:
    """Destroy the secret of a step run that has finished, if it used one.

    If that fails, the log has the command that does it later.

    Args:
        settings: The step's settings over the component's.
        connect: Connects to where its job was.
        clock: Where time comes from.
        attempt: The attempt at the step run.
        log: The lines about the step.
        step_operator: Name of the component.
    """
    if settings.environment_secrets != "secret-manager":
        return
    try:
        connection = connect()
    except VertexStepOperatorError as error:
        # Without a connection, the project is not known.
        command = ["zenml-vertex", "jobs", "cancel", "--orphans", "--step-operator", step_operator]
        log.warn_secret_left(shlex.join(command), error)
        return
    open_secret(settings, connection, clock, attempt, log).destroy()


def read_secret_first(command: Sequence[str]) -> list[str]:
    """The command of a container that reads its secret, and then does what the command does.

    Raises:
        ConfigurationError: If the command is not Python's, to run a module.
    """
    program, *arguments = command
    if arguments[:1] != ["-m"]:
        raise ConfigurationError([_OWN_COMMAND])
    return [program, "-m", _READER, *arguments[1:]]
