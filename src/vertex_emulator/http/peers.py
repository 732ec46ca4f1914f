"""Whose the other end of a loopback connection is, by what the kernel knows of it.

Linux tells anybody the user of every socket of this machine, as `ss -e` shows it. Other
systems tell it of nobody else's sockets: there, no connection is taken for a stranger's.
"""

import os
import socket
import struct
import sys
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from vertex_emulator.core.users import describe_user
from vertex_emulator.http.guard import is_loopback

_ROOT = 0
# man 7 sock_diag, and linux/inet_diag.h: `inet_diag_sockid` is two ports, two addresses, an
# interface and a cookie, here none.
_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST = 1
_HEADER = struct.Struct("=IHHII")
_QUERY = struct.Struct("=BBBBI")
_SOCKET_ID = struct.Struct("!HH16s16s4s8s")
_NO_INTERFACE, _NO_COOKIE = bytes(4), b"\xff" * 8
# Family, state, timer and retransmissions; then the socket; then three numbers, user, inode.
_ANSWER = struct.Struct(f"=4B{_SOCKET_ID.size}s3III")
_ALL_STATES = 0xFFFFFFFF
_DIAG_SECONDS = 1.0
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")

# An address and a port.
_End = tuple[str, int]


def find_stranger(connection: socket.socket) -> str | None:
    """Who has the other end of a connection, if that is a stranger.

    Nobody but this process's own user and root is known, and nobody on another machine. A process
    that has closed its end already is a stranger, whoever it was: the kernel has forgotten its
    user by then.

    Args:
        connection: A TCP connection that was accepted here.

    Returns:
        Who it is, for people; None for this user and root, and on loopback of other systems than
        Linux.
    """
    try:
        peer, own = connection.getpeername()[:2], connection.getsockname()[:2]
    except OSError:
        return "a process that has gone"
    if not sys.platform.startswith("linux"):
        return None if is_loopback(peer[0]) else "another machine"
    user = _find_user(peer, own)
    if user is None:
        return "a process that has gone"
    return None if user in {os.geteuid(), _ROOT} else f"the user {describe_user(user)}"


def _find_user(near: _End, far: _End) -> int | None:
    """The user of the socket that is bound to `near` and connected to `far`; None if unknown."""
    try:
        return _ask_kernel(near, far)
    except OSError:
        # No such socket; or a kernel without this interface, such as gVisor's.
        return _look_up(near, far)


def _ask_kernel(near: _End, far: _End) -> int | None:
    family = socket.AF_INET6 if ":" in near[0] else socket.AF_INET
    addresses = [socket.inet_pton(family, host).ljust(16, b"\0") for host, _ in (near, far)]
    wanted = _SOCKET_ID.pack(near[1], far[1], *addresses, _NO_INTERFACE, _NO_COOKIE)
    query = _QUERY.pack(family, socket.IPPROTO_TCP, 0, 0, _ALL_STATES) + wanted
    header = _HEADER.pack(_HEADER.size + len(query), _BY_FAMILY, _REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(_DIAG_SECONDS)
        kernel.send(header + query)
        answer = kernel.recv(65536)
    if _HEADER.unpack_from(answer)[1] != _BY_FAMILY:
        raise OSError("the kernel knows no such socket")
    *_, found, _expires, _received, _sent, user, inode = _ANSWER.unpack_from(answer, _HEADER.size)
    # Where the connection has gone, the kernel finds a server that listens on the port.
    if struct.unpack_from("!HH", found) != (near[1], far[1]):
        return None
    return user if inode else None


def _look_up(near: _End, far: _End) -> int | None:
    """As the kernel's answer, from its tables as text."""
    wanted = {(_spell(near, as_v6), _spell(far, as_v6)) for as_v6 in (False, True)}
    for table in _TABLES:
        try:
            lines = Path(table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if (fields[1], fields[2]) in wanted:
                user, inode = int(fields[7]), int(fields[9])
                return user if inode else None
    return None


def _spell(end: _End, as_v6: bool) -> str:
    """An end as the tables write it: words in the machine's order, in hexadecimal."""
    address = ip_address(end[0])
    if as_v6 and address.version == 4:  # noqa: PLR2004 - IPv4
        address = IPv6Address(f"::ffff:{address}")
    words = struct.unpack(f"={len(address.packed) // 4}I", address.packed)
    return "".join(f"{word:08X}" for word in words) + f":{end[1]:04X}"
