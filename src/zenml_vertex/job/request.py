"""The request: what a step asks for, and its container -> CustomJob as API JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.environment import build_container_spec
from zenml_vertex.job.fields import ROWS, JobFields, split_path
from zenml_vertex.job.overrides import merge_overrides

JobJson = dict[str, Any]
"""A CustomJob in the spelling of the REST API, as `json.dumps` takes it."""


def build_custom_job(
    fields: JobFields,
    *,
    display_name: str,
    image: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    labels: Mapping[str, str],
) -> JobJson:
    """Build the job of one step: one worker pool with one replica.

    Args:
        fields: What the step asks for.
        display_name: At most 128 characters; the fields may have another one.
        image: URI of the step's image.
        command: Entrypoint of the container, with its arguments.
        environment: Environment variables of the container; at most 100.
        labels: Labels that the job is found by, which no others replace.

    Returns:
        The CustomJob. A field that is unset is left out; every other value is sent,
        also 0 and False.

    Raises:
        ConfigurationError: For environment variables or additional arguments that
            cannot work.
    """
    if fields.unreadable:
        raise ConfigurationError(fields.unreadable.values())
    pool: dict[str, Any] = {}
    job: JobJson = {"displayName": display_name, "jobSpec": {"workerPoolSpecs": [pool]}}
    for name, row in ROWS.items():
        value = getattr(fields, name)
        if row.path and value is not None:
            _set(job, row.path, row.write(value) if row.write else value)
    job["labels"] = {**(fields.labels or {}), **labels}
    pool["containerSpec"] = build_container_spec(image, command, environment)
    merge_overrides(job, fields.overrides)
    return job


def _set(target: Any, path: str, value: Any) -> None:
    """Set what stands at a path such as `jobSpec.workerPoolSpecs[0].machineSpec`."""
    *parents, last = split_path(path)
    for part in parents:
        target = target[part] if isinstance(part, int) else target.setdefault(part, {})
    target[last] = value
