"""What is planned to happen to jobs, as the driver gets it."""

from collections.abc import Callable
from dataclasses import dataclass

from vertex_emulator.jobs.events import Act
from vertex_emulator.jobs.job import Job


def _no_script(job: Job) -> tuple[Act, ...]:
    del job
    return ()


@dataclass(frozen=True, slots=True)
class Scripts:
    """Where the scripts of jobs come from.

    Args:
        write: Gives the script of a job that is created.
        happened: Called with the fault of each act that was carried out.
    """

    write: Callable[[Job], tuple[Act, ...]] = _no_script
    happened: Callable[[str], None] = lambda _: None
