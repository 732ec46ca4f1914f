"""What jobs need of Google's client, imported without the rest of its package.

`google.cloud.aiplatform_v1` imports the clients of all its services when it is
imported: a third of a second and 45 MB more than the JobService takes. It is put in
place here without running that code. Whoever asks it for anything but a submodule,
such as a script that uses more of Vertex AI, finds all of it, imported at that moment.
"""

import sys
import threading
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

PACKAGE = "google.cloud.aiplatform_v1"

_IS_RUNNING = "__zenml_vertex_is_running__"

_lock = threading.RLock()


class _SparingPackage(ModuleType):
    """The package, whose own code runs when it is needed."""

    def __getattr__(self, name: str) -> Any:
        """Import a submodule, or everything. Called for what is not there yet."""
        if not name.startswith("__") and find_spec(f"{PACKAGE}.{name}"):
            return import_module(f"{PACKAGE}.{name}")
        content = vars(self)
        with _lock:
            # The code itself may ask for what it has not got to.
            if "__all__" not in content and _IS_RUNNING not in content:
                content[_IS_RUNNING] = True
                try:
                    self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]  # see below
                finally:
                    del content[_IS_RUNNING]
        if name not in content:
            raise AttributeError(f"module {PACKAGE!r} has no attribute {name!r}")
        return content[name]


def _put_in_place() -> None:
    """Put the package in place, if nobody has imported it yet.

    Raises:
        ModuleNotFoundError: If there is no such package.
    """
    if PACKAGE in sys.modules:
        return
    spec = find_spec(PACKAGE)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {PACKAGE!r}", name=PACKAGE)
    package = module_from_spec(spec)
    package.__class__ = _SparingPackage
    sys.modules[PACKAGE] = package
    parent, _, name = PACKAGE.rpartition(".")
    setattr(import_module(parent), name, package)


_put_in_place()

from google.cloud.aiplatform_v1.services.job_service import JobServiceClient  # noqa: E402
from google.cloud.aiplatform_v1.types import CustomJob, ListCustomJobsRequest  # noqa: E402

__all__ = ["CustomJob", "JobServiceClient", "ListCustomJobsRequest"]
