"""What jobs need of Google's client, imported without the rest of its package.

`google.cloud.aiplatform_v1` imports the clients of all its services when it is
imported, and its package of types the types of them all: most of the time and memory
that the import takes, for one service and some twenty of 124 modules of types. Both
are put in place here without running that code. If anything but a submodule is asked of
them, such as by a script that uses more of Vertex AI, all of it is imported at that
moment.
"""

import sys
import threading
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

PACKAGES = ("google.cloud.aiplatform_v1", "google.cloud.aiplatform_v1.types")

_IS_RUNNING = "__zenml_vertex_is_running__"

_lock = threading.RLock()


class _SparingPackage(ModuleType):
    """A package whose own code runs when it is first needed."""

    def __getattr__(self, name: str) -> Any:
        """Import a submodule, or else all of the package; called for missing attributes."""
        package = self.__name__
        if not name.startswith("__") and find_spec(f"{package}.{name}"):
            return import_module(f"{package}.{name}")
        content = vars(self)
        with _lock:
            # The code itself may ask for a name before it has defined it.
            if "__all__" not in content and _IS_RUNNING not in content:
                content[_IS_RUNNING] = True
                try:
                    self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]  # see below
                finally:
                    del content[_IS_RUNNING]
        if name not in content:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return content[name]


def _put_in_place(package: str) -> None:
    """Put a package in place, unless it has been imported already.

    Raises:
        ModuleNotFoundError: If the package is not installed.
    """
    if package in sys.modules:
        return
    spec = find_spec(package)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    module = module_from_spec(spec)
    module.__class__ = _SparingPackage
    sys.modules[package] = module
    parent, _, name = package.rpartition(".")
    setattr(import_module(parent), name, module)


for _package in PACKAGES:
    _put_in_place(_package)

from google.cloud.aiplatform_v1.services.job_service import JobServiceClient  # noqa: E402
from google.cloud.aiplatform_v1.types.custom_job import CustomJob  # noqa: E402
from google.cloud.aiplatform_v1.types.job_service import ListCustomJobsRequest  # noqa: E402

__all__ = ["CustomJob", "JobServiceClient", "ListCustomJobsRequest"]
