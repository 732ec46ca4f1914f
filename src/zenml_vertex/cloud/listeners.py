"""Whose server listens on a loopback port of this machine, by what the kernel knows of it.

A port belongs to whoever takes it first, also after the server that had it has gone. Linux
tells anybody the user of every socket that listens, as `ss -ltne` shows it; other systems do not.
"""

import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

_ROOT = 0
# Linux's Documentation/networking/proc_net_tcp.rst; the tables of TCP over IPv4 and IPv6.
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENS = "0A"

_Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens."""

    address: _Address
    port: int
    user: int


def find_strangers(host: str, port: int) -> list[int] | None:
    """The users whose server a connection to this machine has reached, but for trusted ones.

    Args:
        host: Address of the other end of the connection, which is on this machine.
        port: Its port.

    Returns:
        User IDs other than this process's and root's; None if nobody listens there any more.
        Where the kernel tells nothing, nobody is a stranger.
    """
    tables = _read_tables()
    if not tables:
        return []
    users = find_users(_plain(ip_address(host)), port, [*_read_listeners(tables)])
    if not users:
        return None
    return sorted(users - {os.geteuid(), _ROOT})


def find_users(address: _Address, port: int, listeners: list[Listener]) -> set[int]:
    """Whose the listeners are that a connection reaches: that of its address before one of all.

    Args:
        address: Where the connection goes.
        port: The port there.
        listeners: All listeners of this machine.
    """
    there = [one for one in listeners if one.port == port]
    exactly = {one.user for one in there if one.address == address}
    of_version = {
        one.user
        for one in there
        if one.address.is_unspecified and one.address.version == address.version
    }
    # A socket of `::` may serve IPv4 too.
    return exactly or of_version or {one.user for one in there if one.address.is_unspecified}


def _read_tables() -> list[str]:
    if not sys.platform.startswith("linux"):
        return []
    tables = []
    for table in _TABLES:
        try:
            tables.append(Path(table).read_text("ascii"))
        except OSError:
            # A machine without IPv6, or a sandbox without either.
            continue
    return tables


def _read_listeners(tables: list[str]) -> Iterator[Listener]:
    for table in tables:
        for line in table.splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENS:
                host, _, port = fields[1].partition(":")
                yield Listener(_read_address(host), int(port, 16), int(fields[7]))


def _read_address(text: str) -> _Address:
    """An address as the tables write it: words in the machine's order, in hexadecimal."""
    words = [int(text[begin : begin + 8], 16) for begin in range(0, len(text), 8)]
    return _plain(ip_address(struct.pack(f"={len(words)}I", *words)))


def _plain(address: _Address) -> _Address:
    return getattr(address, "ipv4_mapped", None) or address
