"""What a local stack needs of this environment; importing this module needs nothing."""

from importlib.util import find_spec

# Modules that come with the extra `demo`.
_NEEDED = (
    "cryptography",
    "fastapi",
    "gcp_storage_emulator",
    "gcsfs",
    "google.auth",
    "sklearn",
    "uvicorn",
)


def find_missing_modules() -> list[str]:
    """Modules that the demo needs and this environment lacks."""
    return [module for module in _NEEDED if not _is_installed(module)]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        # The package that it would be in.
        return False
