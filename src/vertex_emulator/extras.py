"""What this package needs beyond the package that it comes with."""

from collections.abc import Iterator
from contextlib import contextmanager

# Extra -> the command that says what installs it here, and the packages that it installs.
_EXTRAS = {
    "emulator": ("zenml-vertex emulator", {"re2", "starlette", "uvicorn"}),
    "as-google": (
        "zenml-vertex emulator --as-google",
        {"certifi", "cryptography", "google", "grpc"},
    ),
    "docker": ("zenml-vertex emulator --runtime docker", {"docker"}),
}


@contextmanager
def extra_required(extra: str) -> Iterator[None]:
    """Report which extra is missing, around an import of what needs it.

    Raises:
        ModuleNotFoundError: If a package of the extra is not installed.
    """
    command, packages = _EXTRAS[extra]
    try:
        yield
    except ModuleNotFoundError as error:
        name = error.name or ""
        if name.partition(".")[0] not in packages:
            raise
        raise ModuleNotFoundError(
            f"vertex_emulator needs {name}, which the extra `{extra}` of zenml-vertex installs. "
            f"`{command}` says how.",
            name=name,
        ) from None
