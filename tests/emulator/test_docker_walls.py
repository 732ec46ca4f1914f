"""What keeps containers apart from the machine, decided without one."""

import pytest

from vertex_emulator.runtimes.docker_walls import build_walls, choose_user


@pytest.mark.parametrize(
    ("given", "engine", "memory"),
    [(None, 8 * 2**30, 6 * 2**30), (2**30, 8 * 2**30, 2**30), (None, None, None), (None, 0, None)],
)
def test_memory_ends_below_the_machines(
    given: int | None, engine: int | None, memory: int | None
) -> None:
    """A container has the memory that it is given, or three quarters of the engine's; no swap."""
    walls = build_walls(network="host", processes=5, memory_bytes=given, engine_bytes=engine)
    assert walls["mem_limit"] == walls["memswap_limit"] == memory


@pytest.mark.parametrize(
    ("image_user", "network", "own_user", "user"),
    [
        ("", "host", 1000, None),
        ("0:0", "host", 1000, None),
        ("root", "host", 1000, None),
        ("1000:1000", "host", 1000, None),
        ("app", "host", 1000, "0"),
        ("999", "host", 1000, "0"),
        # Neither refuses anybody.
        ("999", "none", 1000, None),
        ("999", "host", None, None),
    ],
)
def test_an_image_keeps_its_user_where_the_servers_answer_it(
    image_user: str, network: str, own_user: int | None, user: str | None
) -> None:
    """Only a user whom the servers on this machine's loopback address refuse is replaced."""
    assert choose_user(image_user, network=network, own_user=own_user) == user
