"""A Docker engine: the one that this machine has, or a temporary one.

A temporary engine has its data in the project's own ignored folder, so that the next one already
has the base image. It creates no network and changes no firewall: builds and containers share the
machine's network.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker

from vertex_emulator.runtimes.docker_probe import is_answering
from zenml_vertex.local_stack.processes.ending import hold_signals
from zenml_vertex.local_stack.processes.launcher import RUN_PROGRAM
from zenml_vertex.local_stack.processes.servers import Server, ToolsMissingError

_READY_SECONDS = 60.0
_STOP_SECONDS = 30.0
# Debian's folders of programs that may be missing from a user's PATH.
_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
_INSTALL = "`make docker-tools` installs it on Debian"


@dataclass(frozen=True, slots=True)
class DockerEngine:
    """A running Docker engine.

    Args:
        host: Address of the engine, the value for DOCKER_HOST.
        is_started_here: Whether this process started the engine, and ends it.
    """

    host: str
    is_started_here: bool


@contextmanager
def open_docker_engine(
    cache: Path, log: Path, environment: Mapping[str, str]
) -> Iterator[DockerEngine]:
    """Yield the running engine, or a new one that ends with the block.

    Args:
        cache: Folder that keeps what a new engine has, for the next one.
        log: Log file of a new engine.
        environment: Of a new engine; DOCKER_HOST in it is where to look for one.

    Raises:
        ToolsMissingError: If no engine answers and none can be started here.
        StartError: If a new one does not start.
    """
    host = environment.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if is_answering(host):
        yield DockerEngine(host, is_started_here=False)
        return
    path = f"{environment.get('PATH', '')}:{_SYSTEM_PATH}"
    dockerd = shutil.which("dockerd", path=path)
    if dockerd is None:
        raise ToolsMissingError(
            f"No Docker engine answers at {host}, and there is no dockerd. {_INSTALL}."
        )
    if os.geteuid() != 0:
        raise ToolsMissingError(
            f"No Docker engine answers at {host}, and only root can start one: `sudo dockerd`."
        )
    # The path of a Unix socket has at most 107 characters, and a test's folder more.
    short = Path(tempfile.mkdtemp(prefix="zv-docker-", dir="/tmp"))
    try:
        with hold_file(cache / "engine.lock") as is_first:
            # Two engines cannot share their data.
            data = cache / "engine" if is_first else short / "data"
            host = f"unix://{short}/docker.sock"
            server = start_engine(
                dockerd,
                host,
                data=data,
                run=short,
                log=log,
                environment={**environment, "PATH": path},
            )
            try:
                server.wait_until_ready(_READY_SECONDS)
                remove_containers(host)
                yield DockerEngine(host, is_started_here=True)
            finally:
                with hold_signals():
                    server.stop()
                    end_containerd(short)
                    unmount_below(short, data)
    finally:
        shutil.rmtree(short, ignore_errors=True)


@contextmanager
def hold_file(path: Path) -> Iterator[bool]:
    """Hold a file until the block is done, or the process ends.

    Args:
        path: The file; it is made with its folder.

    Yields:
        Whether it is held; False if another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def start_engine(
    dockerd: str, host: str, *, data: Path, run: Path, log: Path, environment: Mapping[str, str]
) -> Server:
    """Start an engine.

    Args:
        dockerd: Path of the program.
        host: `unix://...`, where it is to listen.
        data: Folder of its images; made, if need be.
        run: Folder of its sockets and PID files, with a short path.
        log: Its log file.
        environment: Its whole environment.
    """
    data.mkdir(mode=0o711, parents=True, exist_ok=True)
    command = [
        dockerd,
        f"--host={host}",
        f"--data-root={data}",
        f"--exec-root={run}/exec",
        f"--pidfile={run}/dockerd.pid",
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
    ]
    return Server(
        "Docker engine",
        RUN_PROGRAM,
        command,
        environment=environment,
        log=log,
        probe=lambda: is_answering(host),
        stop_seconds=_STOP_SECONDS,
    )


def remove_containers(host: str) -> None:
    """Remove what an engine that was killed has left in the data of this one.

    Args:
        host: Address of an engine whose containers are nobody else's.
    """
    client = docker.DockerClient(base_url=host)
    try:
        for container in client.containers.list(all=True, ignore_removed=True):
            container.remove(force=True, v=True)
    finally:
        client.close()


def unmount_below(*folders: Path) -> None:
    """Unmount what an engine leaves mounted: a network's namespace, and more if it was killed."""
    with suppress(OSError):
        lines = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
        points = [Path(line.split()[4]) for line in lines]
        for point in reversed(points):
            if any(folder in point.parents for folder in folders):
                subprocess.run(["umount", "--lazy", str(point)], check=False, capture_output=True)


def end_containerd(run: Path) -> None:
    """End the containerd that a killed engine has left."""
    with suppress(OSError, ValueError):
        pid = int((run / "exec/containerd/containerd.pid").read_text("utf-8"))
        if "containerd" in Path(f"/proc/{pid}/cmdline").read_text("utf-8"):
            os.kill(pid, signal.SIGKILL)
