"""Starts Python processes as copies of a process that has imported ZenML.

Imports are three quarters of a step container's time, and of a command's. A process
whose environment has `ForkServer.variables` is such a copy; it does not notice, unless it
looks for what `import zenml` does. Tests of that, and of what users type, start Python
itself.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

# In the environment of a process that must not be a copy.
STARTED_BY_PYTHON = {"PYTHONPATH": ""}

_FRONT = Path(__file__).with_name("front")
_SERVER = Path(__file__).with_name("server.py")
_BYTES = 1 << 20
_STEP_ENTRYPOINT = "zenml.entrypoints.entrypoint"
# Everything that a run of a step, or of a pipeline, has imported when it ends.
_STEP_MODULES = (
    "zenml.client",
    "zenml.pipelines.pipeline_definition",
    "zenml.steps.decorated_step",
    "zenml.integrations.gcp.artifact_stores.gcp_artifact_store",
    "zenml.integrations.scipy.materializers.sparse_materializer",
    "zenml.integrations.sklearn.materializers.sklearn_materializer",
    "zenml.log_stores.artifact.artifact_log_store",
    "zenml.orchestrators.step_runner",
    "zenml.sandboxes",
    "zenml_vertex.container.entrypoint",
)
_CLIENT_MODULES = (
    *_STEP_MODULES,
    "zenml.cli",
    "zenml.orchestrators.legacy_dag_runner",
    "zenml.orchestrators.step_launcher",
    "zenml_vertex.cli",
    "zenml_vertex.cloud.jobs",
    "zenml_vertex.steps.operator",
)
# Read while modules are imported, and of no consequence for them: the folder of the
# user's packages, which is known by then, and of gcloud's files, which is looked up again.
_HARMLESS = {"HOME"}
# What Python itself looks at when it starts, and a copy has from its original.
_KNOWN_TO_PYTHON = {"PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONUSERBASE"}


@dataclass
class _Original:
    """A process that has imported modules and runs each program in a copy of itself.

    Args:
        modules: The imported modules.
        environment: The environment in which they were imported.
        control: The socket over which the process receives programs.
        process: The process.
        names: Variables that it has read while it imported them.
    """

    modules: tuple[str, ...]
    environment: dict[str, str]
    control: socket.socket
    process: "subprocess.Popen[bytes]"
    names: set[str] = field(default_factory=set)

    def fits(self, modules: tuple[str, ...], environment: dict[str, str]) -> bool:
        """Return whether the imports would give the same process in another environment."""
        return modules == self.modules and all(
            environment.get(name) == self.environment.get(name) for name in self.names - _HARMLESS
        )


class ForkServer:
    """The socket at which processes ask for a copy; a context manager.

    Args:
        folder: A folder for the server alone, with a short path.
    """

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "socket"
        self._python = folder / "python"
        self._python.write_text(
            f'#!/bin/sh\n{self._assignments()} exec {sys.executable} "$@"\n', "utf-8"
        )
        self._python.chmod(0o755)
        self._lock = threading.Lock()
        self._originals: list[_Original] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(self._socket))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of a process that is to be a copy."""
        if sys.version_info < (3, 11):
            # Its pathlib keeps the functions of `os` that it finds when it is imported;
            # the emulator's processes need others.
            return {}
        return {
            "PYTHONPATH": str(_FRONT),
            "FORKSERVER_SOCKET": str(self._socket),
            "FORKSERVER_PYTHON": str(self._python),
        }

    def __enter__(self) -> "Self":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        with self._lock:
            for original in self._originals:
                original.control.close()
                original.process.wait()

    def _assignments(self) -> str:
        # A copy cannot run a program that has a search path of its own.
        path = f"{_FRONT}${{PYTHONPATH:+:$PYTHONPATH}}"
        return f'PYTHONPATH="{path}" FORKSERVER_SOCKET={self._socket}'

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=[connection], daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        streams: list[int] = []
        with connection:
            try:
                text, streams, _, _ = socket.recv_fds(connection, _BYTES, 3)
                if not text:
                    return
                original = self._find(json.loads(text))
                if original:
                    socket.send_fds(original.control, [text], [connection.fileno(), *streams])
                else:
                    connection.send(b"0")
            finally:
                for one in streams:
                    os.close(one)

    def _find(self, request: dict[str, Any]) -> _Original | None:
        environment = request["environment"]
        if environment["PYTHONPATH"] != str(_FRONT) or any(
            name.startswith("PYTHON") and name not in _KNOWN_TO_PYTHON for name in environment
        ):
            return None
        is_step = _STEP_ENTRYPOINT in request["arguments"]
        modules = _STEP_MODULES if is_step else _CLIENT_MODULES
        with self._lock:
            for original in self._originals:
                if original.fits(modules, environment):
                    return original
            self._originals.append(_start(modules, environment))
            return self._originals[-1]


def _start(modules: tuple[str, ...], environment: dict[str, str]) -> _Original:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, str(_SERVER), str(theirs.fileno())],
            # The environment that other processes can see belongs to no particular program.
            env={"PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    ours.send(json.dumps({"modules": modules, "environment": environment}).encode())
    original = _Original(modules, environment, ours, process)
    original.names = set(json.loads(ours.recv(_BYTES)))
    return original
