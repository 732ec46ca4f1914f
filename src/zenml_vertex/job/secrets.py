"""The secret of a step run: what its container is given and its job does not show.

A job is read by everybody who may read jobs, and its container's environment is part of it:
https://cloud.google.com/vertex-ai/docs/reference/rest/v1/CustomJobSpec#ContainerSpec has
no reference to a secret. So the variables go into one secret of Secret Manager
(https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets), and the
job has its name.
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zenml_vertex.errors import ConfigurationError, VertexStepOperatorError
from zenml_vertex.job.environment import find_wrong_names
from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.identity import Attempt, clean_label_value
from zenml_vertex.job.times import DEFAULT_TIMEOUT_SECONDS, read_seconds

SecretJson = dict[str, Any]
"""A Secret in the spelling of the REST API, without its payload."""

# https://cloud.google.com/secret-manager/quotas#resource-quotas
MAX_PAYLOAD_BYTES = 64 * 1024

PREFIX = "zenml-vertex-"
_NAME = re.compile(r"projects/([^/]+)/secrets/([A-Za-z0-9_-]{1,255})")

# What the loader, the container runtime and Python read when the container starts, before
# anything can set them. Names in full: `NVIDIA_API_KEY` is a secret.
# https://docs.python.org/3/using/cmdline.html#environment-variables, `man ld.so`, `man mallopt`,
# and what OpenSSL needs for the request that reads the secret.
_READ_AT_START = re.compile(
    r"PYTHON[A-Z0-9]+|PYTHON_(?:BASIC_REPL|COLORS|CONTEXT_AWARE_WARNINGS|CPU_COUNT|"
    r"DISABLE_REMOTE_DEBUG|FROZEN_MODULES|GIL|HISTORY|JIT|PERF_JIT_SUPPORT|PRESITE|"
    r"THREAD_INHERIT_CONTEXT|TLBC)|"
    r"LD_(?:AUDIT|BIND_NOW|BIND_NOT|DEBUG|DEBUG_OUTPUT|DYNAMIC_WEAK|LIBRARY_PATH|PRELOAD|"
    r"PREFER_MAP_32BIT_EXEC|PROFILE|PROFILE_OUTPUT|USE_LOAD_BIAS)|"
    r"GLIBC_TUNABLES|GCONV_PATH|LOCPATH|NLSPATH|MALLOC_[A-Z_]+|"
    r"PATH|HOME|LANG|LANGUAGE|LC_[A-Z]+|TZ|TZDIR|OPENSSL_CONF|SSL_CERT_(?:DIR|FILE)|"
    r"NVIDIA_(?:VISIBLE_DEVICES|DRIVER_CAPABILITIES|DISABLE_REQUIRE|REQUIRE_[A-Z0-9]+)"
)

_DAY = 24 * 60 * 60
# How long a job runs and waits at most where nothing is set, in seconds.
# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/CustomJobSpec#Scheduling
_LONGEST_WAIT = _DAY
# `maxWaitDuration` of 0 s has a job wait without an end. A secret has one all the same: whoever
# forgets it has not left a token for good.
_ENDLESS_WAIT = 365 * _DAY
# A container that starts again reads the secret again, also on a job's last day.
_MARGIN = _DAY


@dataclass(frozen=True, slots=True)
class SecretName:
    """The resource name of a secret, taken apart.

    Args:
        project: Project number or ID.
        secret_id: Its ID in the project.
    """

    project: str
    secret_id: str

    @classmethod
    def parse(cls, name: str) -> "SecretName":
        """Read `projects/P/secrets/ID`.

        Raises:
            VertexStepOperatorError: If it is anything else.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            raise VertexStepOperatorError(
                f"`{name}` is not the name of a secret: expected `projects/P/secrets/ID`."
            )
        return cls(*match.groups())

    @classmethod
    def of(cls, project: str, attempt: Attempt) -> "SecretName":
        """The secret of an attempt: always the same, so that a create can be repeated."""
        step_run = clean_label_value(attempt.step_run_id)
        return cls(project, f"{PREFIX}{step_run}-{attempt.number}")

    def __str__(self) -> str:
        return f"projects/{self.project}/secrets/{self.secret_id}"

    @property
    def first_version(self) -> str:
        """The version that a job reads.

        By its number, and not as `latest`: a version can be read by its number at once, and
        whoever may only add versions cannot change what a container gets.
        """
        return f"{self}/versions/1"

    @property
    def delete_command(self) -> str:
        """The command that destroys the secret."""
        return shlex.join(
            ["gcloud", "secrets", "delete", self.secret_id, f"--project={self.project}"]
        )


def split_environment(
    environment: Mapping[str, str], own: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The variables that a job shows, and those that it does not: all that can wait.

    Nothing guesses which values are secret.

    Args:
        environment: The container's variables.
        own: Those of this package, which are in neither part.
    """
    rest = {name: value for name, value in environment.items() if name not in own}
    shown = {name: value for name, value in rest.items() if _READ_AT_START.fullmatch(name)}
    hidden = {name: value for name, value in rest.items() if name not in shown}
    return shown, hidden


def encode_environment(environment: Mapping[str, str]) -> bytes:
    """The variables as the payload of a secret.

    Raises:
        ConfigurationError: If they have names that variables cannot have, or are too large.
    """
    if problems := list(find_wrong_names(environment)):
        raise ConfigurationError(problems)
    payload = json.dumps(environment, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )
    if len(payload) > MAX_PAYLOAD_BYTES:
        largest = sorted(environment, key=lambda name: len(environment[name]), reverse=True)[:3]
        raise ConfigurationError(
            [
                f"the step's environment variables have {len(payload)} bytes; a secret holds "
                f"{MAX_PAYLOAD_BYTES}. The largest are {', '.join(f'`{one}`' for one in largest)}: "
                "put them into the image with `DockerSettings(environment=...)`, or into a "
                "bucket that the step reads."
            ]
        )
    return payload


def build_secret(fields: JobFields, *, region: str, labels: Mapping[str, str]) -> SecretJson:
    """The secret of a job.

    It is kept in the job's own region, as the policies of some organisations require.

    Args:
        fields: What the job asks for.
        region: The job's region.
        labels: The job's own labels.
    """
    longest = read_seconds(fields.timeout) or DEFAULT_TIMEOUT_SECONDS
    waits = _read_wait(fields.max_wait_duration)
    return {
        "replication": {"userManaged": {"replicas": [{"location": region}]}},
        "labels": dict(labels),
        # It destroys itself when no container can start any more.
        "ttl": f"{int(longest + waits) + _MARGIN}s",
    }


def _read_wait(duration: str | None) -> float:
    """How long a job may wait, in seconds."""
    if duration is None:
        return _LONGEST_WAIT
    return read_seconds(duration) or _ENDLESS_WAIT
