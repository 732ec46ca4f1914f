"""What Vertex AI gives a container: its command and its environment. Pure.

https://cloud.google.com/vertex-ai/docs/training/code-requirements,
https://cloud.google.com/vertex-ai/docs/training/distributed-training and, for
`$(NAME)`, the Vertex API reference, `EnvVar.value`.
"""

import json
import re
from collections.abc import Mapping
from hashlib import sha256

from vertex_emulator.core.errors import Json
from vertex_emulator.jobs.job import Job

_REFERENCE = re.compile(r"(\$?)(\$\(([A-Za-z_][A-Za-z0-9_]*)\))")
_PORT = 2222
_HOST_DIGITS = 10


def container_of(job: Job) -> Json:
    """The container of the first worker pool."""
    container: Json = job.request["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    return container


def build_environment(job: Job) -> dict[str, str]:
    """The variables of the only replica, the job's own last."""
    spec = job.request["jobSpec"]
    environment = {
        "CLOUD_ML_PROJECT_ID": job.number,
        "CLOUD_ML_JOB_ID": job.job_id,
        "CLUSTER_SPEC": json.dumps(_build_cluster_spec(job), separators=(",", ":")),
    }
    if "baseOutputDirectory" in spec:
        prefix = spec["baseOutputDirectory"]["outputUriPrefix"].rstrip("/")
        environment |= {
            "AIP_MODEL_DIR": f"{prefix}/model/",
            "AIP_CHECKPOINT_DIR": f"{prefix}/checkpoints/",
            "AIP_TENSORBOARD_LOG_DIR": f"{prefix}/logs/",
        }
    for variable in container_of(job).get("env", ()):
        environment[variable["name"]] = expand(variable.get("value", ""), environment)
    return environment


def build_command(job: Job, environment: Mapping[str, str]) -> tuple[str, ...]:
    """What replaces the image's entrypoint, with variables expanded; empty for its own."""
    return tuple(expand(part, environment) for part in container_of(job).get("command", ()))


def build_args(job: Job, environment: Mapping[str, str]) -> tuple[str, ...]:
    """What replaces the image's arguments, with variables expanded; empty for its own."""
    return tuple(expand(part, environment) for part in container_of(job).get("args", ()))


def architecture_of(job: Job) -> str:
    """The architecture of the job's machine, as images name it.

    A4X machines are Arm, all others are x86:
    https://cloud.google.com/vertex-ai/docs/training-clusters/compute-resources
    """
    pool = job.request["jobSpec"]["workerPoolSpecs"][0]
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


def _build_cluster_spec(job: Job) -> Json:
    """As recorded in containers of real jobs: the documentation's `task.trial` is absent.

    `job` does not hold the job's spec, but JSON text with what a Python package would have
    (Snapchat/GiGL, `gigl/common/utils/vertex_ai_context.py`, says so too). Ten hexadecimal
    digits stand in the names of a job's hosts.
    """
    digits = sha256(job.job_id.encode()).hexdigest()[:_HOST_DIGITS]
    package: Json = {"python_module": "", "package_uris": [], "job_args": []}
    return {
        "cluster": {"workerpool0": [f"cmle-training-workerpool0-{digits}-0:{_PORT}"]},
        "environment": "cloud",
        "task": {"type": "workerpool0", "index": 0},
        "job": json.dumps(package, separators=(",", ":")),
    }
