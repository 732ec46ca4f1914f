"""Runs a job's command as a process of this machine, with this Python.

The image is not pulled: what would come from it (Python, its packages, PATH) is this
machine's, but for the variables and the files in `/app` of an image that was unpacked
beforehand (see `unpacked_images`). Otherwise it is as in a container: a folder and an
environment of its own, nothing of the emulator's environment, and when its first process
exits, all that it has started is killed.

A container is supervised by a process of its own, so that it outlives the emulator; one
whose emulator no other will follow is tethered to it instead.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from vertex_emulator.core.errors import Json
from vertex_emulator.runtimes import process_tree
from vertex_emulator.runtimes.contract import (
    Adopted,
    Container,
    Exit,
    NeverStarted,
    OutputSink,
    Replica,
    find_unserved_pools,
    iter_pools,
)
from vertex_emulator.runtimes.markers import REPLICA, mark_job, mark_replica
from vertex_emulator.runtimes.output import OutputLines
from vertex_emulator.runtimes.process_tree import end_tree, find_members, signal_all
from vertex_emulator.runtimes.shim import map_path
from vertex_emulator.runtimes.supervised import (
    adopt_supervised,
    describe_start_error,
    remove_files,
    start_supervised,
)
from vertex_emulator.runtimes.unpacked_images import UnpackedImage, find_image

# How a process of this machine reaches the emulators and proxies that it should:
# addresses and certificates, no credentials.
PASSED_ON = ("STORAGE_EMULATOR_HOST", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
# What an image of Python would set.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SIGNAL_BASE = 128
_CHUNK_BYTES = 65536
_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_SHIM = Path(__file__).with_name("shim.py")
# Interpreter options of Python that take a value of their own.
_OPTIONS_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


class ProcessRuntime:
    """Starts commands as processes.

    Args:
        environ: Environment of the emulator, for what is passed on.
        grace: Seconds between SIGTERM and SIGKILL; at least 0.
        are_tethered: End the commands with this process, also where it is killed: for an
            emulator whose jobs no other one will find.
        image_dir: Folder of unpacked images; None for none. What is there is run.
    """

    name = "process"

    def __init__(
        self,
        environ: Mapping[str, str],
        grace: float = 5.0,
        *,
        are_tethered: bool = False,
        image_dir: Path | None = None,
    ) -> None:
        self._passed_on = {name: environ[name] for name in PASSED_ON if name in environ}
        self._grace = grace
        self._are_tethered = are_tethered
        self._image_dir = image_dir

    def find_unserved(self, job_spec: Json) -> list[str]:
        unserved = find_unserved_pools(job_spec)
        return unserved + [
            f"{path}.container_spec.command: no image is pulled, so there is no entrypoint to run "
            "instead"
            for path, pool in iter_pools(job_spec)
            if "containerSpec" in pool and not pool["containerSpec"].get("command")
        ]

    def start(self, container: Container, sink: OutputSink) -> Replica:
        app = container.folder / "app"
        home = container.folder / "home"
        home.mkdir(mode=0o700)
        try:
            image = find_image(self._image_dir, container.image_uri)
            if image:
                image.copy_app(app)
        except (OSError, ValueError) as exc:
            return NeverStarted(
                f"failed to create containerd task: the image cannot be read: {exc}"
            )
        if image is None:
            app.mkdir(mode=0o700)
        command = (*container.command, *container.args)
        environment = self._build_environment(container, app, home, image)
        if not self._are_tethered:
            return start_supervised(
                container,
                adapt_command(command, app),
                environment,
                sink,
                self._grace,
            )
        try:
            process = subprocess.Popen(
                adapt_command(command, app),
                cwd=app,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except (OSError, ValueError) as exc:
            return NeverStarted(describe_start_error(exc, command[0]))
        marker = mark_replica(container)
        tether = _Tether(process, marker)
        return _Process(process, marker, sink, self._grace, tether)

    def adopt(self, container: Container, sink: OutputSink) -> Adopted | None:
        return adopt_supervised(container, sink, self._grace)

    def forget(self, folder: Path) -> None:
        remove_files(folder)

    def end_leftovers(self, job_id: str) -> None:
        end_tree(mark_job(job_id), None)

    def _build_environment(
        self, container: Container, app: Path, home: Path, image: UnpackedImage | None
    ) -> dict[str, str]:
        given = image.environment if image else {}
        variables = {
            "HOME": str(home),
            "LANG": "C.UTF-8",
            **given,
            # The image does not bring this Python.
            "PATH": f"{Path(sys.executable).parent}:{given.get('PATH', _PATH)}",
            # Google's libraries look here for the metadata server; on a Google
            # machine its address needs no variable.
            "GCE_METADATA_HOST": container.metadata_host,
            "GCE_METADATA_IP": container.metadata_host,
            **self._passed_on,
            **container.environment,
            REPLICA: mark_replica(container).partition("=")[2],
        }
        return {name: map_paths(value, app) for name, value in variables.items()}


def map_paths(value: str, app: Path) -> str:
    """A variable's value with a folder in the place of `/app`, in a list of paths too."""
    paths = value.split(os.pathsep)
    return os.pathsep.join(map_path(path, str(app)) for path in paths)


def adapt_command(command: tuple[str, ...], app: Path) -> list[str]:
    """The command for this machine: `python` is this Python, with `/app` mapped to `app`.

    Args:
        command: The container's command with arguments.
        app: Folder in place of `/app`.
    """
    program, *arguments = command
    if not _PYTHON.fullmatch(Path(program).name):
        return list(command)
    options = []
    while arguments and arguments[0].startswith("-") and arguments[0][:2] not in {"-m", "-c"}:
        if arguments[0] == "-":
            break
        takes_value = arguments[0] in _OPTIONS_WITH_VALUE
        options += arguments[: 1 + takes_value]
        arguments = arguments[1 + takes_value :]
    if not arguments or arguments[0] == "-":
        return [sys.executable, *options, *arguments]
    return [sys.executable, *options, str(_SHIM), str(app), *arguments]


class _Tether:
    """Kills a container when this process ends: a shell, in its own session, that waits for that.

    The kernel's own signal at a parent's end is for one process, and comes as its thread ends.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", marker: str) -> None:
        kill = [sys.executable, "-I", "-S", process_tree.__file__]
        replica = [marker, str(process.pid)]
        try:
            self._guard = subprocess.Popen(
                # Its input ends with this process, which alone holds the other end.
                ["/bin/sh", "-c", 'read -r _; exec "$@"', "sh", *kill, *replica],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            process.kill()
            process.communicate()
            raise

    def cut(self) -> None:
        """Leave the container to others."""
        self._guard.kill()
        self._guard.communicate()


class _Process:
    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        marker: str,
        sink: OutputSink,
        grace: float,
        tether: _Tether | None,
    ) -> None:
        self._process = process
        self._tether = tether
        self._marker = marker
        self._grace = grace
        self._killer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._has_exited = False
        self._is_abandoned = False
        self._readers = [
            threading.Thread(target=_read_lines, args=(stream, name, sink), daemon=True)
            for name, stream in (("stdout", process.stdout), ("stderr", process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def wait(self) -> Exit:
        status = self._process.wait()
        with self._lock:
            self._has_exited = True
            if self._killer:
                self._killer.cancel()
            is_abandoned = self._is_abandoned
        if not is_abandoned:
            # A container ends when its first process exits, whatever else runs in it.
            end_tree(self._marker, self._process.pid)
            self._cut()
        for reader in self._readers:
            reader.join()
        if self._killer:
            self._killer.join()
        return Exit(status if status >= 0 else _SIGNAL_BASE - status)

    def terminate(self) -> None:
        with self._lock:
            if self._has_exited or self._killer:
                return
            self._killer = threading.Timer(self._grace, self.kill)
            self._killer.start()
        signal_all(find_members(self._marker, self._process.pid), signal.SIGTERM)

    def kill(self) -> None:
        with self._lock:
            if not self._has_exited:
                self._process.kill()

    def abandon(self) -> None:
        with self._lock:
            self._is_abandoned = True
        self._cut()

    def _cut(self) -> None:
        with self._lock:
            tether, self._tether = self._tether, None
        if tether:
            tether.cut()


def _read_lines(stream: IO[bytes], name: str, sink: OutputSink) -> None:
    lines = OutputLines(sink)
    descriptor = stream.fileno()
    with stream:
        while data := os.read(descriptor, _CHUNK_BYTES):
            lines.feed(name, data)
    lines.finish()
