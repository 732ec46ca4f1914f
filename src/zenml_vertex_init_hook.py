"""The `zenml.init_hooks` entry point: makes zenml-vertex be the flavor `vertex` here.

ZenML calls `install` as the first thing in `import zenml`, in every process, and what
fails there breaks ZenML. This module lies beside the package rather than in it, so that
Python finds it whatever else is called `zenml_vertex`: a folder of the user's, or what
an interrupted `pip uninstall` has left.

`install` only leaves a finder behind, which waits for the one module that holds ZenML's
built-in flavor; when that is imported, the three classes in it are replaced by those of
zenml-vertex. Components, pipelines and databases that name the built-in ones get these.
Only the standard library is imported until then, and a failure leaves ZenML's own
classes in place, with a warning.
"""

import logging
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

DISABLE_VARIABLE = "ZENML_VERTEX_DISABLE"
BUILTIN_MODULE = "zenml.integrations.gcp.flavors.vertex_step_operator_flavor"
FLAVOR_CLASS = "VertexStepOperatorFlavor"

_PACKAGE = "zenml_vertex"
_REPLACED = ("VertexStepOperatorSettings", "VertexStepOperatorConfig", FLAVOR_CLASS)
_OFF = ("", "0", "false", "no", "off")

logger = logging.getLogger(__name__)


def install() -> None:
    """Make zenml-vertex be the flavor `vertex` in this process; twice is once."""
    if is_disabled() or any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder())


def is_disabled() -> bool:
    """Whether ZENML_VERTEX_DISABLE leaves ZenML's built-in flavor in place."""
    return os.environ.get(DISABLE_VARIABLE, "").strip().lower() not in _OFF


class _Finder:
    """Finds the built-in flavor's module, and has the classes replaced once it is loaded."""

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != BUILTIN_MODULE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]  # a loader by its methods
        return spec


class _Loader:
    """Loads a module with its own loader, then replaces the classes.

    Args:
        own: The module's own loader, which it has afterwards too.
    """

    def __init__(self, own: Any) -> None:
        self._own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._own.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._own
        if module.__spec__ is not None:
            module.__spec__.loader = self._own
        self._own.exec_module(module)
        try:
            _replace_classes(module)
        except Exception as error:  # noqa: BLE001 - ZenML goes on with its own classes
            logger.warning(
                "zenml-vertex cannot be loaded (%s: %s); ZenML's built-in `vertex` step operator "
                "is used instead. %s; `%s=1` hides this warning.",
                type(error).__name__,
                error,
                _advise(),
                DISABLE_VARIABLE,
            )


def _advise() -> str:
    try:
        if stranger := _find_stranger():
            return f"Give {stranger} another name"
        from zenml_vertex.installation import reinstall_command

        command = reinstall_command()
    except Exception:  # noqa: BLE001 - that module may be missing or broken too
        command = ""
    return f"To repair it, run `{command}`" if command else "Installing it again repairs it"


def _replace_classes(module: ModuleType) -> None:
    if stranger := _find_stranger():
        raise ImportError(f"{stranger} is what Python finds as `{_PACKAGE}`")
    import zenml_vertex

    vars(module).update({name: getattr(zenml_vertex, name) for name in _REPLACED})


def _find_stranger() -> str:
    """The `zenml_vertex` of somebody else that Python finds first; empty if there is none.

    None of its code is run.
    """
    from importlib.util import find_spec
    from pathlib import Path

    ours = Path(__file__).absolute().with_name(_PACKAGE) / "__init__.py"
    spec = find_spec(_PACKAGE)
    found = spec.origin if spec else None
    return found if found and Path(found).absolute() != ours else ""
