"""The order of jobs in lists: the newest first."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from heapq import merge

from vertex_emulator.core.pages import Position
from vertex_emulator.core.times import format_time
from vertex_emulator.jobs.job import Job


def position_of(job: Job) -> Position:
    """Where a job is in a list."""
    return format_time(job.create_time), job.job_id


class CreationOrder:
    """The IDs of jobs, kept in order; callers see to it that calls do not overlap."""

    def __init__(self) -> None:
        # Resource name of the project and region -> positions, the oldest first.
        self._positions: dict[str, list[Position]] = {}

    def add(self, job: Job) -> None:
        """Take in a job."""
        insort(self._positions.setdefault(job.parent, []), position_of(job))

    def remove(self, job: Job) -> None:
        """Take out a job, if it is there."""
        positions, position = self._positions.get(job.parent, []), position_of(job)
        number = bisect_left(positions, position)
        if positions[number : number + 1] == [position]:
            del positions[number]

    def clear(self) -> None:
        """Take out all."""
        self._positions.clear()

    def all(self) -> Iterator[str]:
        """All IDs, the newest first."""
        newest = merge(*map(reversed, self._positions.values()), reverse=True)
        return (job_id for _, job_id in newest)

    def before(self, parent: str, position: Position | None, size: int) -> list[str]:
        """The next IDs of a project and region, the newest first.

        Args:
            parent: Its resource name.
            position: They are older than what is there; None for the newest ones.
            size: How many at most.
        """
        positions = self._positions.get(parent, [])
        stop = len(positions) if position is None else bisect_left(positions, position)
        return [job_id for _, job_id in reversed(positions[max(0, stop - size) : stop])]
