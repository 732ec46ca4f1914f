"""Checks whether a Docker engine answers."""

import socket

import docker
import docker.errors
from requests.exceptions import RequestException

DEFAULT_HOST = "unix:///var/run/docker.sock"
_PROBE_SECONDS = 5


def is_answering(host: str) -> bool:
    """Whether a Docker engine answers at an address."""
    if host.startswith("unix://"):
        return _is_answering_at(host.removeprefix("unix://"))
    try:
        client = docker.DockerClient(base_url=host, timeout=_PROBE_SECONDS)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (docker.errors.DockerException, RequestException):
        return False


def _is_answering_at(path: str) -> bool:
    # The package leaves a socket open that it cannot connect.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PROBE_SECONDS)
        try:
            connection.connect(path)
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
        except OSError:
            return False
