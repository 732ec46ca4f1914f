"""Who may talk to the emulator: the user it runs as, and no other user of the machine."""

import json
import os
import select
import socket
import subprocess
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.support.emulators import PARENT, JobOf, Submit, call, error_of
from tests.support.users import NOBODY, as_nobody, needs_root
from vertex_emulator import NotLoopbackError, VertexEmulator, find_stranger
from vertex_emulator.http import peers

JOBS = f"/v1/{PARENT}/customJobs"


@needs_root
def test_another_user_starts_no_job(emulator: VertexEmulator, job_of: JobOf) -> None:
    """Any user of the machine could post a job, which ran commands as the emulator's user."""
    with as_nobody():
        answer = call(emulator, "POST", JOBS, json=job_of("touch", "/root/planted"))
    error = error_of(answer)
    assert (error["code"], emulator.jobs) == (403, ())
    assert "comes from the user 65534 (nobody)" in error["message"]
    assert "its own user, 0 (root)" in error["message"]


@needs_root
@pytest.mark.parametrize(
    "path",
    [JOBS, "/emulator/requests", "/emulator/health", "/computeMetadata/v1/", "/v1/nothing"],
)
def test_another_user_reads_nothing(
    emulator: VertexEmulator, submit: Submit, job_of: JobOf, path: str
) -> None:
    """Any user of the machine could read ZenML's token from the list of jobs, and act as a run."""
    env = [{"name": "ZENML_STORE_API_TOKEN", "value": "t0ken"}]
    submit(
        emulator, job_of(pool={"containerSpec": {"imageUri": "i", "command": ["true"], "env": env}})
    )
    with as_nobody():
        answer = call(emulator, "GET", path, headers={"Metadata-Flavor": "Google"})
    assert answer.status_code == 403
    assert "t0ken" not in answer.text


@needs_root
def test_a_process_of_another_user_is_refused(emulator: VertexEmulator, job_of: JobOf) -> None:
    """A real process of another user gets the same refusal as a thread that acts as one."""
    body = json.dumps(job_of("true"))
    request = (
        f"POST {JOBS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    )
    connect = f"exec 3<>/dev/tcp/127.0.0.1/{emulator.port}"
    script = f'trap "" PIPE; {connect}; printf %s "$REQUEST" >&3; cat <&3'
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        env={"REQUEST": request, "PATH": os.defpath},
        user=NOBODY,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.startswith(b"HTTP/1.1 403 ")
    assert emulator.jobs == ()


@needs_root
def test_whoever_does_not_wait_for_the_answer_is_refused(
    emulator: VertexEmulator, job_of: JobOf
) -> None:
    """A closed socket is root's in the kernel's tables, so that a job could be sent blindly."""
    body = json.dumps(job_of("true"))
    for _ in range(20):
        with as_nobody(), socket.create_connection(("127.0.0.1", emulator.port)) as connection:
            connection.sendall(
                f"POST {JOBS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
    # Connections are answered in the order in which they were made.
    assert call(emulator, "GET", "/emulator/health").status_code == 200
    assert emulator.jobs == emulator.calls == ()


def send_raw(emulator: VertexEmulator, request: str) -> bytes:
    """Send bytes as the user that this thread acts as, and read until the emulator hangs up."""
    answer = b""
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=5) as connection:
        # The end of what was not read is a reset.
        with suppress(ConnectionError):
            connection.sendall(request.encode("ascii"))
        with suppress(ConnectionError):
            while piece := connection.recv(65536):
                answer += piece
    return answer


def wait_for_reset(connection: socket.socket, seconds: float) -> bool:
    """Whether a connection is reset in time."""
    poll = select.poll()
    poll.register(connection, 0)
    return any(event & select.POLLERR for _, event in poll.poll(seconds * 1000)) or bool(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    )


@needs_root
def test_another_users_idle_connections_are_cut(emulator: VertexEmulator) -> None:
    """Any user of the machine could hold connections open until the emulator answered nobody.

    Each took one of its file descriptors, and the clients of its own user got no connection.
    """
    with ExitStack() as opened:
        with as_nobody():
            held = [
                opened.enter_context(socket.create_connection(("127.0.0.1", emulator.port), 5))
                for _ in range(40)
            ]
        for connection in held:
            answer = b"".join(iter(partial(connection.recv, 65536), b""))
            assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
            connection.send(b"x")
        # What was cut has answered by now. A few may finish what they send, within a second.
        assert call(emulator, "GET", "/emulator/health").status_code == 200
        assert sum(wait_for_reset(connection, 0) for connection in held) >= 24
        assert all(wait_for_reset(connection, 10) for connection in held)


@needs_root
def test_another_user_leaves_no_records(emulator: VertexEmulator) -> None:
    """Any user of the machine could fill the memory with paths, and push out the owner's calls."""
    call(emulator, "GET", f"/v1/{PARENT}/customJobs")
    with as_nobody():
        assert call(emulator, "GET", "/" + "A" * 60_000).status_code == 403
    assert [item.status for item in emulator.calls] == [200]


@needs_root
@pytest.mark.parametrize("request_line", ["GET /%0aX", "BREW /emulator/health", "PATCH /token"])
def test_no_path_and_no_method_leads_around_the_guard(
    emulator: VertexEmulator, request_line: str
) -> None:
    """Any user of the machine could tell an emulator by the answers that no route of it gave.

    A page in a browser got them too.
    """
    head = f"{request_line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    with as_nobody():
        assert send_raw(emulator, f"{head}\r\n").startswith(b"HTTP/1.1 403 ")
    page = send_raw(emulator, f"{head}Origin: https://evil.example\r\n\r\n")
    assert page.startswith(b"HTTP/1.1 403 ")
    assert b"does not answer browsers" in page
    assert send_raw(emulator, f"{head}\r\n").startswith(b"HTTP/1.1 404 ")


def connect(client: socket.socket, address: str, listener: socket.socket) -> socket.socket:
    """Connect a socket, and return the other end."""
    with listener:
        client.connect((address, listener.getsockname()[1]))
        return listener.accept()[0]


def listen_on(address: str) -> socket.socket:
    """A listening socket."""
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.bind((address, 0))
    listener.listen()
    return listener


@needs_root
@pytest.mark.parametrize("way", ["_ask_kernel", "_look_up"])
@pytest.mark.parametrize(
    ("bound", "address", "family"),
    [
        ("127.0.0.1", "127.0.0.1", socket.AF_INET),
        ("127.0.0.1", "::ffff:127.0.0.1", socket.AF_INET6),
        ("127.0.0.7", "127.0.0.7", socket.AF_INET),
        ("::1", "::1", socket.AF_INET6),
    ],
)
def test_the_kernel_says_whose_a_connection_is(
    monkeypatch: pytest.MonkeyPatch, way: str, bound: str, address: str, family: int
) -> None:
    """The user is found in every spelling of loopback, and without the kernel's socket interface.

    Root is no stranger to anybody's emulator: it can be whom it likes.
    """
    if way == "_look_up":
        monkeypatch.setattr(peers, "_SOCK_DIAG", 99)
    with as_nobody():
        theirs = socket.socket(family)
    ours = socket.socket(family)
    with theirs, connect(theirs, address, listen_on(bound)) as peer:
        assert find_stranger(peer) == "the user 65534 (nobody)"
    with ours, connect(ours, address, listen_on(bound)) as peer:
        assert find_stranger(peer) is None
        monkeypatch.setattr(os, "geteuid", lambda: 1234)
        assert find_stranger(peer) is None


@pytest.mark.parametrize("way", ["_ask_kernel", "_look_up"])
def test_a_connection_without_an_owner_is_refused(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """A process that has closed its end, or has gone, could be anybody's."""
    if way == "_look_up":
        monkeypatch.setattr(peers, "_SOCK_DIAG", 99)
    client = socket.socket()
    with connect(client, "127.0.0.1", listen_on("127.0.0.1")) as peer:
        assert find_stranger(peer) is None
        client.sendall(b"x")
        client.close()
        assert find_stranger(peer) == "a process that has gone"


def test_where_the_kernel_tells_nothing_no_one_is_a_stranger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On macOS, whose kernel does not say whose a socket is, the emulator answers."""
    monkeypatch.setattr("sys.platform", "darwin")
    client = socket.socket()
    with client, connect(client, "127.0.0.1", listen_on("127.0.0.1")) as peer:
        assert find_stranger(peer) is None


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "", "example.com", "127.1"])
def test_no_other_address_than_loopback_is_listened_on(tmp_path: Path, address: str) -> None:
    """A program could start an emulator that everyone in the network could run commands with."""
    with pytest.raises(NotLoopbackError, match="is not a loopback address"):
        VertexEmulator(address=address, data_dir=tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_localhost_is_loopback() -> None:
    """`localhost` is taken, as on the command line."""
    with VertexEmulator(address="localhost") as emulator:
        assert emulator.host.startswith("127.0.0.1:")
