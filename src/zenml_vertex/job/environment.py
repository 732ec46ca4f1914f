"""The step's container: image, command and environment variables."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.readers import show_value

# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/CustomJobSpec#ContainerSpec
MAX_ENVIRONMENT_VARIABLES = 100
_C_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")

# Images on slim bases do not find the driver's libraries, which Vertex AI mounts
# there, without these. https://github.com/NVIDIA/nvidia-container-toolkit names the
# first two; NVIDIA's own images set all three.
GPU_ENVIRONMENT = {
    "NVIDIA_VISIBLE_DEVICES": "all",
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64",
}


def build_environment(
    job: JobFields, environment: Mapping[str, str], own: Mapping[str, str]
) -> dict[str, str]:
    """The environment variables of the container.

    Args:
        job: What the step asks for. The variables of its `env` override the environment's,
            and both override those that a GPU needs. Those of ZenML's own they leave as they are.
        environment: Variables that ZenML and the step set.
        own: Variables by which this package tells the container what it is; no others
            override them.

    Raises:
        ConfigurationError: If `env` would lead the step to another ZenML server, or change what
            else ZenML tells it.
    """
    if changed := [
        name
        for name, value in (job.env or {}).items()
        if name.startswith("ZENML_") and name not in own and environment.get(name, value) != value
    ]:
        raise ConfigurationError(
            [
                f"{job.cite('env')} sets `{name}`, which ZenML sets for the step. Remove it there."
                for name in changed
            ]
        )
    gpu_environment = GPU_ENVIRONMENT if job.has_nvidia_gpu else {}
    return {**gpu_environment, **environment, **(job.env or {}), **own}


def find_wrong_names(environment: Iterable[str]) -> Iterator[str]:
    """What Vertex AI would refuse of the names of environment variables, a sentence for each."""
    for name in environment:
        if not _C_IDENTIFIER.fullmatch(name):
            which = show_value(name) if name else "without a name"
            yield (
                f"the environment variable {which} has a name that Vertex AI does not accept: "
                "use letters, digits and underscores, and do not start with a digit."
            )


def build_container_spec(
    image: str, command: Sequence[str], environment: Mapping[str, str]
) -> dict[str, Any]:
    """The container as API JSON.

    Args:
        image: URI of the image.
        command: Entrypoint, with its arguments.
        environment: Environment variables; at most 100.

    Raises:
        ConfigurationError: If Vertex AI does not accept the environment variables.
    """
    problems = list(find_wrong_names(environment))
    if len(environment) > MAX_ENVIRONMENT_VARIABLES:
        problems.append(
            f"the step has {len(environment)} environment variables; Vertex AI accepts "
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
