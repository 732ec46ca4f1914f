"""The request: settings, image, command, environment and labels -> CustomJob as API JSON."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.fields import apply_additional_args
from zenml_vertex.job.images import GPU_ENVIRONMENT, is_nvidia
from zenml_vertex.job.rules import effective_accelerator, parse_reserved_ip_ranges
from zenml_vertex.job.settings import JobSettings

JobJson = dict[str, Any]
"""A CustomJob in the spelling of the REST API, as `json.dumps` takes it."""

# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/CustomJobSpec#ContainerSpec
MAX_ENVIRONMENT_VARIABLES = 100
_C_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


def build_custom_job(
    settings: JobSettings,
    *,
    display_name: str,
    image: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    labels: Mapping[str, str],
    gpu_count: int | None,
) -> JobJson:
    """Build the job of one step: one worker pool with one replica.

    Args:
        settings: The step's settings over the component's.
        display_name: At most 128 characters.
        image: URI of the step's image.
        command: Entrypoint of the container, with its arguments.
        environment: Environment variables of the container; at most 100.
        labels: Labels of the job.
        gpu_count: `gpu_count` of the step's ResourceSettings; None where it is not set.

    Returns:
        The CustomJob. A field that is not set is left out.

    Raises:
        ConfigurationError: For environment variables or additional arguments that
            cannot work.
    """
    accelerator_type, accelerator_count = effective_accelerator(settings, gpu_count)
    job = _without_empty(
        {
            "displayName": display_name,
            "jobSpec": {
                "workerPoolSpecs": [
                    {
                        "machineSpec": {
                            "machineType": settings.machine_type,
                            "acceleratorType": accelerator_type,
                            "acceleratorCount": accelerator_count,
                        },
                        "replicaCount": "1",
                        "diskSpec": {
                            "bootDiskType": settings.boot_disk_type,
                            "bootDiskSizeGb": settings.boot_disk_size_gb,
                        },
                    }
                ],
                "scheduling": _build_scheduling(settings),
                "serviceAccount": settings.service_account,
                "network": settings.network,
                "reservedIpRanges": parse_reserved_ip_ranges(settings.reserved_ip_ranges),
                "persistentResourceId": settings.persistent_resource_id,
            },
            "labels": dict(labels),
            "encryptionSpec": {"kmsKeyName": settings.encryption_spec_key_name},
        }
    )
    job, variables = apply_additional_args(
        job, dict(environment), settings.additional_training_job_args
    )
    if is_nvidia(accelerator_type) and accelerator_count:
        variables = {**GPU_ENVIRONMENT, **variables}
    job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"] = _build_container_spec(
        image, command, variables
    )
    return job


def _build_scheduling(settings: JobSettings) -> dict[str, Any]:
    """Restarts of the service's own, which run a step's code again: only those asked for."""
    restarts = settings.restart_job_on_worker_restart or bool(
        settings.additional_training_job_args.get("restart_job_on_worker_restart")
    )
    disables = settings.disable_retries
    return {
        "disableRetries": not restarts if disables is None else disables,
        "restartJobOnWorkerRestart": restarts,
    }


def _build_container_spec(
    image: str, command: Sequence[str], environment: Mapping[str, str]
) -> dict[str, Any]:
    problems = [
        f"the environment variable `{name}` has a name that Vertex AI does not take: it must be "
        "letters, digits and underscores, and not start with a digit."
        for name in environment
        if not _C_IDENTIFIER.fullmatch(name)
    ]
    if len(environment) > MAX_ENVIRONMENT_VARIABLES:
        problems.append(
            f"the step has {len(environment)} environment variables; Vertex AI takes "
            f"{MAX_ENVIRONMENT_VARIABLES}. Remove some from the step's or the stack's "
            "`environment`, or put them into the image with `DockerSettings(environment=...)`."
        )
    if problems:
        raise ConfigurationError(problems)
    spec: dict[str, Any] = {
        "imageUri": image,
        "command": [_escape_references(part, environment) for part in command],
    }
    if environment:
        spec["env"] = [
            {"name": name, "value": _escape_references(value, environment)}
            for name, value in environment.items()
        ]
    return spec


def _escape_references(text: str, environment: Mapping[str, str]) -> str:
    """Keep `$(NAME)` as it is written.

    Vertex AI replaces it by the value of the variable NAME of the container, and
    reads `$$(NAME)` as the text `$(NAME)`. A reference to no variable stays as it is.
    """

    def escape(match: re.Match[str]) -> str:
        return f"${match.group()}" if match.group(1) in environment else match.group()

    return _REFERENCE.sub(escape, text)


def _without_empty(value: Any) -> Any:
    """Drop what is unset, so that the service's own defaults hold."""
    if isinstance(value, dict):
        kept = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, "", 0, [], {})}
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    return value
