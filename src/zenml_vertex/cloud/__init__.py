"""Google Cloud: the only package that imports `google.*`.

Google's client is imported when a job is first submitted or read, not before; this
module itself does not import it.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.installation import install_command

# What the extra `client` installs, by the first part of the modules' names.
_CLIENT_MODULES = frozenset({"google", "grpc", "proto", "requests"})


@contextmanager
def client_required() -> Iterator[None]:
    """Report which extra is missing, around an import of a module of this package.

    Raises:
        VertexStepOperatorError: If Google's client is not installed.
    """
    try:
        ignore_support_warnings()
        yield
    except ModuleNotFoundError as error:
        name = error.name or ""
        if name.startswith(f"{__name__}."):
            raise VertexStepOperatorError(
                "A pipeline cannot submit Vertex AI jobs from within this step: its image was "
                "built with a copy of zenml-vertex that lacks the part for that. Build the step on "
                "a parent image in which `zenml-vertex[client]` is installed, with "
                "DockerSettings(parent_image=..., install_stack_requirements=False)."
            ) from error
        if name.split(".", 1)[0] not in _CLIENT_MODULES:
            raise
        raise VertexStepOperatorError(
            "Vertex AI jobs are submitted and followed with Google's client, which is not "
            f"installed here (no module `{error.name}`). Run `{install_command('client')}`."
        ) from error


def ignore_support_warnings() -> None:
    """Hide Google's warnings about this Python version, here and for the rest of the process.

    Google ends its support of a Python version before Python does, and says so at each
    import; a person who runs a pipeline cannot do anything about it.

    `warnings.catch_warnings` is not thread-safe: two at a time undo each other.
    """
    warnings.filterwarnings(
        "ignore", r"You are using a (non-supported )?Python version", FutureWarning, r"google\."
    )
