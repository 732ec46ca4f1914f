"""Free ports of this machine."""

import socket
from contextlib import ExitStack


def find_free_ports(host: str, count: int) -> list[int]:
    """Ports that nobody listens on, each another one; whoever comes first can take them.

    Args:
        host: IPv4 address of this machine.
        count: How many.
    """
    with ExitStack() as opened:
        # All at once: one that is free again could be drawn twice.
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((host, 0))
        return [int(one.getsockname()[1]) for one in sockets]
