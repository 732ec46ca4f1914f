"""Reads a step's environment variables from Secret Manager, and starts the step.

    python -m zenml_vertex.container.secret_environment MODULE [ARGUMENT]...

It runs before ZenML is imported, which reads its variables then, and needs the standard
library alone. The token of the job's service account comes from the metadata server, and
goes to Google only, or back to the emulator that gave it out.
"""

import base64
import json
import os
import re
import runpy
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any

from zenml_vertex.clock import Clock, SystemClock

# The secret that has the other variables of the container; set on the job.
SECRET_VARIABLE = "ZENML_VERTEX_SECRET"  # noqa: S105 - the name of a variable

FAILURE = "could not read the step's environment variables from Secret Manager"
# A permission has mostly spread after two minutes,
# https://cloud.google.com/iam/docs/access-change-propagation.
PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 5.0

# As in google-auth, which a Google machine gives no variable.
_METADATA_VARIABLE = "GCE_METADATA_HOST"
_METADATA_HOST = "metadata.google.internal"
_GOOGLES_METADATA_HOSTS = {_METADATA_HOST, "metadata", "169.254.169.254"}
_TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 - a path
_API_HOST = "secretmanager.googleapis.com"

_REFERENCE = re.compile(r"projects/[A-Za-z0-9.:_-]+/secrets/[A-Za-z0-9_-]+/versions/[0-9]+")
_TIMEOUT_SECONDS = 10.0
_OK, _FORBIDDEN, _TOO_MANY, _FIRST_SERVER_ERROR = 200, 403, 429, 500


class SecretUnreadable(Exception):
    """The secret cannot be read; says what was answered.

    Args:
        reason: What was answered, without anything that is secret.
        may_pass: Whether the same request may succeed later.
    """

    def __init__(self, reason: str, *, may_pass: bool = False) -> None:
        super().__init__(reason)
        self.may_pass = may_pass


def read_environment(environ: Mapping[str, str], clock: Clock) -> dict[str, str]:
    """The variables that the secret of this container holds.

    Args:
        environ: The container's environment.
        clock: Where time comes from.

    Raises:
        SecretUnreadable: If they cannot be read within two minutes.
    """
    reference = environ.get(SECRET_VARIABLE, "")
    if not _REFERENCE.fullmatch(reference):
        raise SecretUnreadable(f"{SECRET_VARIABLE} does not name a version of a secret")
    host = environ.get(_METADATA_VARIABLE) or _METADATA_HOST
    deadline = clock.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _read_once(reference, host)
        except SecretUnreadable as error:
            if not error.may_pass or clock.monotonic() >= deadline:
                raise
        clock.sleep(PAUSE_SECONDS)


def _read_once(reference: str, host: str) -> dict[str, str]:
    given = _fetch(HTTPConnection(host, timeout=_TIMEOUT_SECONDS), _TOKEN_PATH, "a token", {
        "Metadata-Flavor": "Google",
    })  # fmt: skip
    is_google = host.lower() in _GOOGLES_METADATA_HOSTS
    # Neither follows redirects nor asks a proxy: the token goes to this host.
    api: HTTPConnection = (
        HTTPSConnection(_API_HOST, timeout=_TIMEOUT_SECONDS)
        if is_google
        else HTTPConnection(host, timeout=_TIMEOUT_SECONDS)
    )
    answer = _fetch(api, f"/v1/{reference}:access", reference, {
        "Authorization": f"Bearer {given.get('access_token', '')}",
    })  # fmt: skip
    try:
        values = json.loads(base64.b64decode(answer["payload"]["data"]))
        return {str(name): str(value) for name, value in values.items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        raise SecretUnreadable(f"{reference} does not hold the variables of a step") from None


def _fetch(
    connection: HTTPConnection, path: str, what: str, headers: Mapping[str, str]
) -> dict[str, Any]:
    try:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        status, body = response.status, response.read()
    except (OSError, HTTPException, ValueError) as error:
        text = f"{connection.host} did not give out {what} ({type(error).__name__})"
        raise SecretUnreadable(text, may_pass=isinstance(error, OSError)) from None
    finally:
        connection.close()
    if status != _OK:
        may_pass = status in (_FORBIDDEN, _TOO_MANY) or status >= _FIRST_SERVER_ERROR
        text = f"{connection.host} answered {status} to the request for {what}"
        raise SecretUnreadable(text, may_pass=may_pass)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise SecretUnreadable(f"{connection.host} gave out something else than {what}")
    return content


def main(arguments: list[str]) -> None:
    """Read the environment, and become the program.

    Args:
        arguments: A module, as `python -m` takes it, and its arguments.
    """
    try:
        values = read_environment(os.environ, SystemClock())
    except SecretUnreadable as error:
        sys.exit(f"zenml-vertex {FAILURE}: {error}.")
    os.environ.update(values)
    sys.argv = arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
