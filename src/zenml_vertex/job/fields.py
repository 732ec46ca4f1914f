"""`additional_training_job_args`: arguments under the names of Google's pipeline components.

ZenML documents the setting as the arguments of
`create_custom_training_job_from_component`
(https://google-cloud-pipeline-components.readthedocs.io/en/google-cloud-pipeline-components-2.22.0/api/v1/custom_job.html),
which win over the settings of the same meaning. Each is one field of the CustomJob.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.machines import nearest

_POOL = ("jobSpec", "workerPoolSpecs", 0)

# Argument -> where its value stands in the CustomJob.
_PATHS: dict[str, tuple[str | int, ...]] = {
    "display_name": ("displayName",),
    "machine_type": (*_POOL, "machineSpec", "machineType"),
    "accelerator_type": (*_POOL, "machineSpec", "acceleratorType"),
    "accelerator_count": (*_POOL, "machineSpec", "acceleratorCount"),
    "reservation_affinity_type": (
        *_POOL,
        "machineSpec",
        "reservationAffinity",
        "reservationAffinityType",
    ),
    "reservation_affinity_key": (*_POOL, "machineSpec", "reservationAffinity", "key"),
    "reservation_affinity_values": (*_POOL, "machineSpec", "reservationAffinity", "values"),
    "boot_disk_type": (*_POOL, "diskSpec", "bootDiskType"),
    "boot_disk_size_gb": (*_POOL, "diskSpec", "bootDiskSizeGb"),
    "nfs_mounts": (*_POOL, "nfsMounts"),
    "timeout": ("jobSpec", "scheduling", "timeout"),
    "disable_retries": ("jobSpec", "scheduling", "disableRetries"),
    "restart_job_on_worker_restart": ("jobSpec", "scheduling", "restartJobOnWorkerRestart"),
    "strategy": ("jobSpec", "scheduling", "strategy"),
    "max_wait_duration": ("jobSpec", "scheduling", "maxWaitDuration"),
    "service_account": ("jobSpec", "serviceAccount"),
    "network": ("jobSpec", "network"),
    "reserved_ip_ranges": ("jobSpec", "reservedIpRanges"),
    "psc_interface_config": ("jobSpec", "pscInterfaceConfig"),
    "persistent_resource_id": ("jobSpec", "persistentResourceId"),
    "tensorboard": ("jobSpec", "tensorboard"),
    "enable_web_access": ("jobSpec", "enableWebAccess"),
    "base_output_directory": ("jobSpec", "baseOutputDirectory", "outputUriPrefix"),
    "encryption_spec_key_name": ("encryptionSpec", "kmsKeyName"),
}
# These three are merged or refused, not set.
_MERGED = ("env", "labels", "replica_count")
ARGUMENTS = (*_PATHS, *_MERGED)


def apply_additional_args(
    job: dict[str, Any], environment: dict[str, str], arguments: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Set the arguments in a job and its environment.

    Args:
        job: The CustomJob so far; changed in place.
        environment: Environment variables of the container; changed in place.
        arguments: Argument name -> value. `env` is a list of `{"name", "value"}`.
            `labels` are added to the job's own, which stay: they are how the job
            is found again.

    Returns:
        The job and the environment.

    Raises:
        ConfigurationError: For an unknown argument, more than one replica, or an
            `env` of another shape.
    """
    problems = list(_problems(arguments))
    if problems:
        raise ConfigurationError(problems)
    for name, value in arguments.items():
        if name in _PATHS:
            _set(job, _PATHS[name], _camel_case_keys(value))
    job["labels"] = {**(arguments.get("labels") or {}), **job.get("labels", {})}
    environment.update({item["name"]: str(item["value"]) for item in arguments.get("env") or ()})
    return job, environment


def _problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    for name in arguments:
        if name not in ARGUMENTS:
            close = nearest(name, ARGUMENTS)
            yield f"`additional_training_job_args` has no `{name}`." + (
                f" Did you mean `{close}`?"
                if close
                else f" It has: {', '.join(sorted(ARGUMENTS))}."
            )
    if int(arguments.get("replica_count") or 1) != 1:
        yield (
            "`replica_count` in `additional_training_job_args` is "
            f"{arguments['replica_count']}; a step runs on one replica. Remove it."
        )
    for item in arguments.get("env") or ():
        if not (isinstance(item, Mapping) and {"name", "value"} <= set(item)):
            yield (
                "`env` in `additional_training_job_args` must be a list of "
                "{'name': ..., 'value': ...}."
            )


def _set(target: Any, path: tuple[str | int, ...], value: Any) -> None:
    for key in path[:-1]:
        target = target[key] if isinstance(key, int) else target.setdefault(key, {})
    target[path[-1]] = value


def _camel_case_keys(value: Any) -> Any:
    """Spell the keys of nested objects as the REST API does: `mount_point` -> `mountPoint`."""
    if isinstance(value, Mapping):
        return {_camel_case(key): _camel_case_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_camel_case_keys(item) for item in value]
    return value


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
