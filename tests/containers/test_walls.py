"""What an image from elsewhere can do to this machine while it runs as a job."""

from collections.abc import Callable

import docker
import pytest

from tests.support.containers.services import ContainerServices
from vertex_emulator import DockerRuntime, Job, JobState, VertexEmulator

pytestmark = pytest.mark.docker

Run = Callable[..., Job]
# Each is tried as the container's root; what succeeds is printed.
_ATTACKS = """
import ctypes, os, socket, stat, time
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)

def check(status):
    if status != 0:
        raise OSError(ctypes.get_errno(), 'refused')

attacks = {
    'read the traffic': lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x300),
    'forge packets': lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    'take a low port': lambda: socket.socket().bind(('127.0.0.1', 81)),
    'make a disk': lambda: os.mknod('/tmp/disk', stat.S_IFBLK | 0o600, os.makedev(254, 0)),
    'mount': lambda: check(libc.mount(b'none', b'/mnt', b'tmpfs', 0, None)),
    'set the clock': lambda: time.clock_settime(0, time.time()),
    'change its root': lambda: os.chroot('/'),
    'give files away': lambda: os.chown('/tmp/mine', 12345, 12345),
    'be somebody else': lambda: os.setuid(12345),
}
Path('/tmp/mine').touch()
for name, attack in attacks.items():
    try:
        attack()
        print(name)
    except OSError:
        pass
status = dict(line.split(':', 1) for line in Path('/proc/self/status').read_text().splitlines())
for name in ('CapPrm', 'CapEff', 'CapBnd', 'NoNewPrivs'):
    print(name, int(status[name], 16))
"""
_FORKS = """
import os, signal
children = []
try:
    while len(children) < 500:
        child = os.fork()
        if not child:
            signal.pause()
        children.append(child)
except OSError:
    print('refused')
print(len(children))
for child in children:
    os.kill(child, signal.SIGKILL)
"""
_LIMIT = """
from pathlib import Path
files = ('/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes')
limit = [int(Path(file).read_text()) for file in files if Path(file).exists()][0]
with open('/proc/meminfo') as info:
    print(limit < int(info.readline().split()[1]) * 1024)
"""
_REACH = """
import socket
from pathlib import Path
print(*sorted(path.name for path in Path('/sys/class/net').iterdir()))
try:
    socket.create_connection(('127.0.0.1', {port}), timeout=5)
    print('reached')
except OSError:
    print('refused')
"""


def lines_of(emulator: VertexEmulator, job: Job) -> list[str]:
    """Return the lines that a job, which has succeeded, has printed."""
    lines = emulator.log_lines(job.name, "workerpool0-0")
    assert job.state is JobState.SUCCEEDED, lines
    return lines


def test_root_in_a_container_can_do_nothing_that_root_can(
    emulator: VertexEmulator, run: Run
) -> None:
    """A container has no capability, and cannot get one.

    Whoever made an image, or a package in it, was root on this machine's network: they read
    its traffic, sent packets in the name of others, made devices, and took ports below 1024.
    """
    assert lines_of(emulator, run("python", "-c", _ATTACKS)) == [
        "CapPrm 0", "CapEff 0", "CapBnd 0", "NoNewPrivs 1",
    ]  # fmt: skip


def test_processes_and_memory_have_an_end(
    services: ContainerServices, engine: docker.DockerClient, emulator: VertexEmulator, run: Run
) -> None:
    """A container ends its own growth, without being told a limit.

    An image that forks without end, by mistake or not, left no process to anybody on this
    machine; one that fills the memory had the kernel end other programs.
    """
    assert lines_of(emulator, run("python", "-c", _LIMIT)) == ["True"]
    del engine
    few = DockerRuntime({"DOCKER_HOST": services.docker_host}, processes=50)
    with VertexEmulator(runtime=few) as limited:
        refused, count = lines_of(limited, run("python", "-c", _FORKS, to=limited))
    assert refused == "refused"
    assert int(count) < 50


def test_a_container_in_no_network_reaches_nothing(
    services: ContainerServices, engine: docker.DockerClient, emulator: VertexEmulator, run: Run
) -> None:
    """A foreign image can be run without this machine's network, and then reaches no server of it.

    In this machine's network, it reaches whatever listens on loopback.
    """
    del engine
    code = _REACH.format(port=emulator.url.rpartition(":")[2])
    assert lines_of(emulator, run("python", "-c", code))[1:] == ["reached"]
    apart = DockerRuntime({"DOCKER_HOST": services.docker_host}, network="none")
    with VertexEmulator(runtime=apart) as alone:
        assert lines_of(alone, run("python", "-c", code, to=alone)) == ["lo", "refused"]


def test_the_servers_answer_an_image_with_another_user(
    services: ContainerServices, engine: docker.DockerClient, emulator: VertexEmulator, run: Run
) -> None:
    """An image with a user of its own gets a token, as on Vertex AI, and writes its own files.

    The servers refuse other users of this machine, which such a container's user would be.
    """
    image = f"{services.registry}/other-user:1"
    make = ["sh", "-c", "mkdir /home/app && chown 12345 /home/app"]
    container = engine.containers.create(services.parent_image, make)
    container.start()
    container.wait()
    container.commit(image.removesuffix(":1"), "1", changes=["USER 12345", "ENV HOME=/home/app"])
    container.remove()
    engine.images.push(image)
    code = (
        "import os, urllib.request as u; open(os.environ['HOME'] + '/mine', 'w'); "
        "print(u.urlopen(u.Request('http://' + os.environ['GCE_METADATA_HOST'] + "
        "'/computeMetadata/v1/instance/service-accounts/default/token', "
        "headers={'Metadata-Flavor': 'Google'})).status)"
    )
    assert lines_of(emulator, run("python", "-c", code, image=image)) == ["200"]
