"""How long the phases of a job last. Pure.

Recorded: jobs of February 2026, published with all their log entries (GitHub, `gretjia/omega`,
`archive/audit/v62` before commit `e88b4b3`).
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from vertex_emulator.jobs.states import JobState


@dataclass(frozen=True, slots=True)
class SecondStart:
    """A container that has failed is started a second time, on the same machine.

    It was in five of seven recorded failed jobs, whether the program had failed or had run out
    of memory: 8 to 80 s after its last line. Some wrote for a minute after the job's end.

    Args:
        after: Seconds from the container's end to its second start; at least 0.
        seconds: Seconds until the service ends it, unless it has exited; at least 0.
    """

    after: float = 10.0
    seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Timings:
    """How long the phases of a job last, in seconds of the emulator's clock; at least 0.

    The defaults are short, for people who wait; their order is that of Vertex AI. There, a
    machine takes 15 s to 5 min to be provisioned, and SUCCEEDED comes 7 to 48 s after the
    program's last line (recorded), 43 to 65 s after it in other public reports.

    Args:
        queueing: Time in QUEUED, as of a job that waits for quota. With 0, a job is PENDING
            at once.
        provisioning: Time in PENDING, until the container is started.
        teardown: From the container's exit, or when that is noticed, which is the job's
            `endTime`, to the terminal state.
        cleanup: From the terminal state to the service's last line: the teardown goes on
            meanwhile.
        announcing: From the creation to the service's first line.
        preparing: From that line to `Job is preparing.`
        head_start: From the container's start to RUNNING: its output comes first.
        noticing: From the container's exit until the service notices.
        second_start: Whether and when a container that has failed is started again.
        is_reason_logged: Whether the log says why a job has failed.
        ends: Ending -> the timings from the container's exit on, if they are others.
    """

    queueing: float = 0.0
    provisioning: float = 0.5
    teardown: float = 0.5
    cleanup: float = 0.1
    announcing: float = 0.0
    preparing: float = 0.0
    head_start: float = 0.0
    noticing: float = 0.0
    second_start: SecondStart | None = None
    is_reason_logged: bool = True
    ends: "Mapping[JobState, Timings]" = field(default_factory=dict)

    def at_end(self, ending: JobState) -> "Timings":
        """The timings of a job that comes to this end."""
        return self.ends.get(ending, self)


TimingsOf = Callable[[str], Timings]
"""Gives the timings of a job by its ID."""


def timings_of(timings: Timings | TimingsOf | None) -> TimingsOf:
    """The timings of each job: those that are given, the same for all, or the defaults."""
    if callable(timings):
        return timings
    same = timings or Timings()
    return lambda _: same


# (first line, `Job is preparing.` after it, RUNNING, output before RUNNING), in seconds from the
# creation or as said.
_BEGINNINGS = (
    (7.8, 1.6, 126.6, 0.0),
    (2.9, 0.6, 151.5, 8.9),
    (6.0, 0.6, 144.1, 2.2),
    (2.8, 1.0, 159.1, 3.8),
    (9.7, 0.7, 143.7, 9.0),
    (4.9, 0.6, 173.7, 12.2),
    (1.0, 0.7, 149.3, 3.1),
    (2.9, 0.6, 294.5, 6.3),
    (18.4, 0.6, 287.3, 0.0),
    (11.3, 0.9, 241.7, 4.4),
)
# (last line to `endTime`, to the terminal state, to the service's last line).
_SUCCESSES = ((3.2, 10.9, 38.3), (26.6, 2.1, 157.5), (5.3, 1.3, 127.3))
# The same, with the second start and whether the reason is logged. Of the two without a second
# start, the programs had been silent for long: how fast their ends were noticed is taken from
# others.
_FAILURES = (
    (18.7, 1.4, 130.3, SecondStart(10.0, 76.0), False),
    (24.6, 19.4, 20.9, SecondStart(22.3, 1.0), False),
    (31.9, 8.7, 38.1, SecondStart(8.8, 15.0), True),
    (18.7, 13.4, 35.5, None, True),
    (24.6, 29.1, 15.5, None, True),
)
# From the terminal state on. How long a cancelled container takes is not recorded.
_CANCELLED_CLEANUPS = (31.3, 39.0)
_CANCELLED_TEARDOWN = 5.0


def recorded_timings(job_id: str) -> Timings:
    """Timings as one or another of the recorded jobs had them; the same for the same job.

    Args:
        job_id: Numeric ID of the job, which decides.
    """
    rng = random.Random(job_id)  # noqa: S311 - nothing here is secret
    announcing, preparing, provisioning, head_start = rng.choice(_BEGINNINGS)
    begun = Timings(
        provisioning=provisioning - head_start,
        announcing=announcing,
        preparing=preparing,
        head_start=head_start,
    )
    noticing, teardown, cleanup = rng.choice(_SUCCESSES)
    succeeded = replace(begun, noticing=noticing, teardown=teardown, cleanup=cleanup)
    noticing, teardown, cleanup, second_start, is_reason_logged = rng.choice(_FAILURES)
    failed = replace(
        begun,
        noticing=noticing,
        teardown=teardown,
        cleanup=cleanup,
        second_start=second_start,
        is_reason_logged=is_reason_logged,
    )
    cleanup = rng.choice(_CANCELLED_CLEANUPS)
    cancelled = replace(begun, teardown=_CANCELLED_TEARDOWN, cleanup=cleanup)
    ends = {JobState.FAILED: failed, JobState.CANCELLED: cancelled}
    return replace(succeeded, ends=ends)
