"""The step's container: image, command and environment variables."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.readers import show_value

# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/CustomJobSpec#ContainerSpec
MAX_ENVIRONMENT_VARIABLES = 100
# Linux's MAX_ARG_STRLEN, with the zero byte at the end: https://man7.org/linux/man-pages/man2/execve.2.html.
MAX_STRING_BYTES = 128 * 1024 - 1
_C_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_NAMED = 5
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
    if changed := list(find_changed_variables(job, environment, own)):
        raise ConfigurationError(changed)
    gpu_environment = GPU_ENVIRONMENT if job.has_nvidia_gpu else {}
    return {**gpu_environment, **environment, **(job.env or {}), **own}


def find_changed_variables(
    job: JobFields, environment: Mapping[str, str], own: Collection[str]
) -> Iterator[str]:
    """Variables of ZenML's that `env` would change, a sentence for each.

    Args:
        job: What the step asks for.
        environment: Variables that ZenML and the step set.
        own: Names of the variables that this package sets.
    """
    for name, value in (job.env or {}).items():
        if name.startswith("ZENML_") and name not in own and environment.get(name, value) != value:
            yield (
                f"{job.cite('env')} sets `{name}`, which ZenML sets for the step. Remove it there."
            )


def find_wrong_names(environment: Iterable[str]) -> Iterator[str]:
    """What Vertex AI would refuse of the names of environment variables, a sentence for each."""
    for name in environment:
        if not _C_IDENTIFIER.fullmatch(name):
            which = show_value(name) if name else "without a name"
            yield (
                f"the environment variable {which} has a name that Vertex AI does not accept: "
                "use letters, digits and underscores, and do not start with a digit."
            )


def find_too_much(environment: Mapping[str, str], command: Sequence[str] = ()) -> Iterator[str]:
    """More variables than Vertex AI accepts, and texts that Linux starts no process with.

    Args:
        environment: The environment variables of the container.
        command: Its command, with arguments.
    """
    if len(environment) > MAX_ENVIRONMENT_VARIABLES:
        yield (
            f"the step has {len(environment)} environment variables, with those that ZenML sets; "
            f"Vertex AI accepts {MAX_ENVIRONMENT_VARIABLES}. Remove some from the step's or the "
            "stack's `environment`, put them into the image with "
            "`DockerSettings(environment=...)`, or set environment_secrets='secret-manager'."
        )
    for name, value in environment.items():
        if (size := _count_bytes(f"{name}={value}")) > MAX_STRING_BYTES:
            yield (
                f"the environment variable {show_value(name)} has {size} bytes with its name, and "
                f"Linux starts no process with more than {MAX_STRING_BYTES} in one. Keep the value "
                "in a file or an artifact, and pass its address."
            )
    for part in command:
        if (size := _count_bytes(part)) > MAX_STRING_BYTES:
            yield (
                f"the command has an argument of {size} bytes, and Linux starts no process with "
                f"more than {MAX_STRING_BYTES} in one. Keep it in a file, and pass its address."
            )


def find_apostrophes(environment: Mapping[str, str]) -> Iterator[str]:
    """Variables with an apostrophe, which Vertex AI may refuse; a sentence for all of them.

    It did so in 2022 (https://github.com/PrefectHQ/prefect/issues/5940); whether it still does
    is not documented, nor what an escaped one would arrive as.
    """
    if found := [show_value(name) for name, value in environment.items() if "'" in value]:
        which = ", ".join(found[:_MOST_NAMED]) + (" and others" if found[_MOST_NAMED:] else "")
        yield (
            f"the value of {which} has an apostrophe, which Vertex AI refused in environment "
            "variables in 2022. If it still does, set environment_secrets='secret-manager', or "
            "put the value into the image with `DockerSettings(environment=...)`."
        )


def build_container_spec(
    image: str, command: Sequence[str], environment: Mapping[str, str]
) -> dict[str, Any]:
    """The container as API JSON.

    Args:
        image: URI of the image.
        command: Entrypoint, with its arguments.
        environment: Environment variables.

    Raises:
        ConfigurationError: If Vertex AI does not accept the environment variables.
    """
    if problems := [*find_wrong_names(environment), *find_too_much(environment, command)]:
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


def _count_bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
