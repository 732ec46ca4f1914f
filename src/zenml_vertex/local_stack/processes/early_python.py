"""A Python that imports what its script needs while the servers that it will use start."""

import json
import os
import subprocess
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from zenml_vertex.local_stack.processes.ending import end_process, hold_signals
from zenml_vertex.local_stack.processes.launcher import build_command

_PROGRAM = "zenml_vertex.local_stack.programs.early_python:main"
_END_SECONDS = 1.0


class EarlyPython:
    """A process that waits for its script, and ends when this one does, however that ends.

    Args:
        modules: What it imports meanwhile. What they read of the environment when they are
            imported has to be in `environment` already.
        environment: Its environment until it has a script.
    """

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        with hold_signals():
            reader, writer = os.pipe()
            self._process: subprocess.Popen[bytes] | None = subprocess.Popen(
                build_command(reader, _PROGRAM, tuple(modules)),
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[reader],
                start_new_session=True,
            )
            os.close(reader)
            # Python keeps the object as long as the process runs.
            weakref.finalize(self._process, os.close, writer)

    @property
    def is_waiting(self) -> bool:
        """Whether it has no script yet."""
        return self._process is not None

    def run(
        self, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]
    ) -> "subprocess.Popen[bytes]":
        """Run a script; returns the process, which is the caller's from now on.

        Args:
            arguments: The script, and what it finds in `sys.argv`.
            folder: Where it works; an absolute path.
            environment: Its whole environment.

        Raises:
            RuntimeError: If it has run one already.
        """
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            raise RuntimeError("this Python has run a script already")
        plan = {
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
        }
        # One that could not import a module has ended; its output says why.
        with suppress(BrokenPipeError), process.stdin as stream:
            stream.write(json.dumps(plan).encode())
        process.stdin = None
        return process

    def end(self) -> None:
        """End it, unless it has become the caller's."""
        process, self._process = self._process, None
        if process:
            end_process(process, patience=_END_SECONDS)
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()
