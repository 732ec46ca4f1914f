"""ZenML step operator that runs a pipeline step as a Vertex AI CustomJob.

The public names are loaded when they are first used: ZenML imports this package
at its own start (entry point `zenml.init_hooks`), in every process and in every
step container, and must not pay for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zenml_vertex.config import VertexStepOperatorConfig, VertexStepOperatorSettings
    from zenml_vertex.flavor import VertexStepOperatorFlavor

__version__ = "0.1.0"

__all__ = [
    "VertexStepOperatorConfig",
    "VertexStepOperatorFlavor",
    "VertexStepOperatorSettings",
    "__version__",
]

_HOMES = {
    "VertexStepOperatorConfig": "zenml_vertex.config",
    "VertexStepOperatorFlavor": "zenml_vertex.flavor",
    "VertexStepOperatorSettings": "zenml_vertex.config",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
