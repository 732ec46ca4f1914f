"""A file that one process at a time holds."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold_file(path: Path) -> Iterator[bool]:
    """Hold a file until the block is done, or the process is.

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
