"""What Vertex AI gives a container: its command and its environment. Pure.

https://cloud.google.com/vertex-ai/docs/training/code-requirements and, for `$(NAME)`, the
Vertex API reference, `EnvVar.value`. What it says of the other replicas: `cluster`.
"""

import re
from collections.abc import Mapping

from vertex_emulator.core.errors import Json
from vertex_emulator.jobs.cluster import (
    PRIMARY_TASK,
    Addresses,
    Task,
    build_cluster_variables,
    name_addresses,
)
from vertex_emulator.jobs.job import Job

_REFERENCE = re.compile(r"(\$?)(\$\(([A-Za-z_][A-Za-z0-9_]*)\))")


def container_of(job: Job, task: Task = PRIMARY_TASK) -> Json:
    """The container of a replica, which is that of its worker pool."""
    container: Json = job.request["jobSpec"]["workerPoolSpecs"][task.pool]["containerSpec"]
    return container


def build_environment(
    job: Job, task: Task = PRIMARY_TASK, addresses: Addresses | None = None
) -> dict[str, str]:
    """The variables of a replica, the job's own last.

    Args:
        job: The job.
        task: The replica.
        addresses: Where the replicas reach each other; by default, their names on Vertex AI.
    """
    spec = job.request["jobSpec"]
    environment = {
        "CLOUD_ML_PROJECT_ID": job.number,
        "CLOUD_ML_JOB_ID": job.job_id,
        **build_cluster_variables(task, addresses or name_addresses(job.job_id, spec)),
    }
    if "baseOutputDirectory" in spec:
        prefix = spec["baseOutputDirectory"]["outputUriPrefix"].rstrip("/")
        environment |= {
            "AIP_MODEL_DIR": f"{prefix}/model/",
            "AIP_CHECKPOINT_DIR": f"{prefix}/checkpoints/",
            "AIP_TENSORBOARD_LOG_DIR": f"{prefix}/logs/",
        }
    for variable in container_of(job, task).get("env", ()):
        environment[variable["name"]] = expand(variable.get("value", ""), environment)
    return environment


def build_command(
    job: Job, environment: Mapping[str, str], task: Task = PRIMARY_TASK
) -> tuple[str, ...]:
    """What replaces the image's entrypoint, with variables expanded; empty for its own."""
    return tuple(expand(part, environment) for part in container_of(job, task).get("command", ()))


def build_args(
    job: Job, environment: Mapping[str, str], task: Task = PRIMARY_TASK
) -> tuple[str, ...]:
    """What replaces the image's arguments, with variables expanded; empty for its own."""
    return tuple(expand(part, environment) for part in container_of(job, task).get("args", ()))


def architecture_of(job: Job, task: Task = PRIMARY_TASK) -> str:
    """The architecture of a replica's machine, as images name it.

    A4X machines are Arm, all others are x86:
    https://cloud.google.com/vertex-ai/docs/training-clusters/compute-resources
    """
    pool = job.request["jobSpec"]["workerPoolSpecs"][task.pool]
    machine_type = str((pool.get("machineSpec") or {}).get("machineType", ""))
    return "arm64" if machine_type.startswith("a4x-") else "amd64"


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by the variable NAME.

    A reference to an unknown variable stays as it is, and `$$(NAME)` becomes the text
    `$(NAME)`, whether the variable exists or not. Any other `$$` stays: what Vertex AI
    makes of it is not documented.
    """

    def replace(match: "re.Match[str]") -> str:
        escape, reference, name = match.groups()
        return reference if escape else environment.get(name, reference)

    return _REFERENCE.sub(replace, text)
