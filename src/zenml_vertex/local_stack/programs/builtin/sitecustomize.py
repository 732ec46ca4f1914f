"""Points Google's JobServiceClient at the emulator that AIPLATFORM_EMULATOR_HOST names, over REST.

Python imports a module of this name from PYTHONPATH when it starts. With this
folder there, ZenML's own operator `vertex` works with the emulator as it is: it
names Google's endpoint and speaks gRPC, and no variable of Google's client changes
either.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_CLIENT = "google.cloud.aiplatform_v1.services.job_service.client"


class _ClientFinder(MetaPathFinder):
    """Finds the client's module once, to change it when it is loaded."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        del path, target
        if fullname != _CLIENT:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec and spec.loader:
            spec.loader = _ClientLoader(spec.loader)
        return spec


class _ClientLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _redirect(module.JobServiceClient)


def _redirect(client: Any) -> None:
    begin = client.__init__

    def __init__(self: Any, **given: Any) -> None:  # noqa: N807 - it replaces the client's
        url = f"http://{os.environ['AIPLATFORM_EMULATOR_HOST']}"
        begin(self, **{**given, "transport": "rest", "client_options": {"api_endpoint": url}})

    client.__init__ = __init__


if "AIPLATFORM_EMULATOR_HOST" in os.environ:
    sys.meta_path.insert(0, _ClientFinder())
