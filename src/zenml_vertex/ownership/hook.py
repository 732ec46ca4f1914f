"""The `zenml.init_hooks` entry point: makes this package be the flavor `vertex` here.

ZenML calls `install` as the first thing in `import zenml`, in every process. It only
leaves a finder behind, which waits for the one module that holds ZenML's built-in
flavor; when that is imported, the three classes in it are replaced by those of this
package. Components, pipelines and databases that name the built-in ones get these.

Nothing here may break or slow `import zenml`: only the standard library is
imported, and a failure leaves ZenML's own classes in place, with a warning.
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

_REPLACED = ("VertexStepOperatorSettings", "VertexStepOperatorConfig", FLAVOR_CLASS)
_OFF = ("", "0", "false", "no", "off")

logger = logging.getLogger(__name__)


def install() -> None:
    """Make this package be the flavor `vertex` in this process; twice is once."""
    if is_disabled() or any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder())


def is_disabled() -> bool:
    """Whether ZENML_VERTEX_DISABLE leaves ZenML's built-in flavor in place."""
    return os.environ.get(DISABLE_VARIABLE, "").strip().lower() not in _OFF


def load_builtin_flavor_class() -> type:
    """ZenML's built-in flavor class, whether or not it is replaced here.

    The module is executed once more, beside the one that everybody imports: the
    class refers to the config class by the name in its own module.
    """
    from importlib import import_module
    from importlib.util import module_from_spec

    package = import_module(BUILTIN_MODULE.rpartition(".")[0])
    spec = PathFinder.find_spec(BUILTIN_MODULE, package.__path__)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {BUILTIN_MODULE!r}", name=BUILTIN_MODULE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    builtin: type = getattr(module, FLAVOR_CLASS)
    return builtin


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
        from zenml_vertex.installation import reinstall_command

        command = reinstall_command()
    except Exception:  # noqa: BLE001 - that module may be broken too
        command = ""
    return f"To repair it, run `{command}`" if command else "Installing it again repairs it"


def _replace_classes(module: ModuleType) -> None:
    import zenml_vertex

    vars(module).update({name: getattr(zenml_vertex, name) for name in _REPLACED})
