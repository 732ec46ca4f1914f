"""What keeps a container apart from the machine that runs it. Pure.

A job's image can be anybody's: its parent, and what its build installed. Vertex AI runs it on
a machine of its own; here it runs beside everything that a developer has.
"""

from typing import Any

HOST_NETWORK = "host"
WRITE_ALL = ("DAC_OVERRIDE",)
"""The capability to write what belongs to an image's user, for a root in that user's place.
Nothing of this machine is mounted that it could write."""

PROCESSES = 4096
"""Processes and threads of a container: far above what training takes, far below what a machine
has."""
# The rest is for the machine, which would otherwise choose what to end.
_MEMORY_SHARE = 0.75


def build_walls(
    *, network: str, processes: int, memory_bytes: int | None, engine_bytes: int | None
) -> dict[str, Any]:
    """The arguments of docker-py's `create_host_config` for a job's container.

    Args:
        network: `host`, or the engine's network that the container is put into.
        processes: The most processes and threads.
        memory_bytes: The most memory; None for a share of the engine's.
        engine_bytes: Memory of the engine's machine; None if it is unknown.
    """
    share = int(engine_bytes * _MEMORY_SHARE) if engine_bytes else None
    memory = memory_bytes or share
    return {
        "network_mode": network,
        # With the network of the machine, NET_RAW alone would show a container its traffic.
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": processes,
        "mem_limit": memory,
        # Together with swap: the same figure leaves none.
        "memswap_limit": memory,
    }


def choose_user(image_user: str, *, network: str, own_user: int | None) -> str | None:
    """Who a container's processes are, in place of the image's own user.

    On this machine's network, a container's user is a user of this machine to the emulators,
    which answer root and their own only.

    Args:
        image_user: A name, a number or nothing, and perhaps a group.
        network: The container's network.
        own_user: The emulator's; None where systems do not tell whose a connection is.

    Returns:
        Root, which then needs `WRITE_ALL`; None if the image's user can stay.
    """
    name = image_user.partition(":")[0]
    if network != HOST_NETWORK or own_user is None or name in {"", "root", "0", str(own_user)}:
        return None
    return "0"
