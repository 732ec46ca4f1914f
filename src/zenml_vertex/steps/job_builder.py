"""The job of a step run: ZenML's step run as a CustomJob."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from zenml_vertex import __version__
from zenml_vertex.container.secret_environment import SECRET_VARIABLE
from zenml_vertex.job.environment import build_environment
from zenml_vertex.job.identity import (
    SECRET_LABEL,
    Attempt,
    build_display_name,
    build_labels,
)
from zenml_vertex.job.request import JobJson, build_custom_job
from zenml_vertex.job.secrets import build_secret, encode_environment, split_environment
from zenml_vertex.processes import find_this_process
from zenml_vertex.steps.images import find_image
from zenml_vertex.steps.step_environment import build_own_variables
from zenml_vertex.steps.step_secrets import read_secret_first

if TYPE_CHECKING:
    from zenml.config.step_run_info import StepRunInfo

    from zenml_vertex.following.step_secret import StepSecret
    from zenml_vertex.steps.preflight import StepFindings


def build_step_job(
    info: "StepRunInfo",
    attempt: Attempt,
    findings: "StepFindings",
    *,
    server_id: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    region: str,
    secret: "StepSecret",
) -> JobJson:
    """Build the job of a step run.

    Args:
        info: The step run.
        attempt: The attempt at it that the job is.
        findings: Its settings, and what it asks for.
        server_id: ID of the ZenML server.
        command: Command of the container.
        environment: Environment variables of the container.
        region: The job's region.
        secret: Gets the variables, if the step uses one; the job has those that are left.

    Raises:
        ConfigurationError: If it cannot work.
        VertexStepOperatorError: If the step has no image.
    """
    labels = build_labels(
        server_id=server_id,
        run_id=str(info.run_id),
        attempt=attempt,
        step_name=info.pipeline_step_name,
        pipeline_name=info.pipeline.name,
        version=__version__,
        client=find_this_process().fingerprint,
    )
    own = build_own_variables(findings.settings, attempt, str(info.run_id))
    environment = build_environment(findings.job, environment, own)
    if secret.is_used:
        own |= {SECRET_VARIABLE: secret.name.first_version}
        shown, hidden = split_environment(environment, own)
        definition = build_secret(findings.job, region=region, labels=labels)
        secret.prepare(definition, encode_environment(hidden))
        environment = {**shown, **own}
        command = read_secret_first(command)
        labels[SECRET_LABEL] = secret.name.secret_id
    return build_custom_job(
        findings.job,
        display_name=build_display_name(info.run_name, info.pipeline_step_name),
        image=find_image(info),
        command=command,
        environment=environment,
        labels=labels,
    )
