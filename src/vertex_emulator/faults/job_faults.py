"""Faults of jobs, as data: which job is hit, in which stage, and what happens to it.

https://cloud.google.com/vertex-ai/docs/training/understanding-training-service for
restarts. Vertex AI shows EXPIRED, PAUSED, UPDATING and PARTIALLY_SUCCEEDED for other
kinds of jobs; whether a CustomJob can have them is not documented.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from vertex_emulator.faults.kinds import FaultError, FaultKind, find_kinds, require, require_seconds
from vertex_emulator.jobs import events, outcome
from vertex_emulator.jobs.events import Act, Incident, Stage
from vertex_emulator.jobs.incidents import INTERNAL_ERROR
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.states import JobState

FaultStage = Literal["queued", "provisioning", "running", "tearing_down", "over"]

_MOST_NUMBER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ListingLag:
    """For how long a new job is missing from lists.

    Args:
        seconds: Seconds of the emulator's clock from the job's creation; more than 0.
        lists: Or: from how many lists it is missing; at least 1.
    """

    seconds: float | None = None
    lists: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFault(FaultKind):
    """A fault of jobs. It hits those that match all that is given.

    A kind of fault is a subclass with its fields, its `stages` and `build_incident`.

    Args:
        labels: Labels that the job has.
        display_name: Its display name.
        job_id: ID of an existing job; None for jobs that are created from now on.
        nth: Which of the jobs that match, from 1.
        count: How many, from that one on; 0 for all.
        at: In which stage it happens; None for the usual one.
        after: Seconds of the emulator's clock from the stage's beginning; at least 0,
            at most a year.
    """

    stages: ClassVar[tuple[Stage, ...]] = ("running",)
    """In which stages it can happen, the usual one first."""

    labels: Mapping[str, str] = field(default_factory=dict)
    display_name: str | None = None
    job_id: str | None = None
    nth: int = 1
    count: int = 1
    at: FaultStage | None = None
    after: float = 0.0

    def __post_init__(self) -> None:
        if self.at is not None and self.at not in self.stages:
            raise FaultError(f"at: must be one of {', '.join(self.stages)}; got {self.at!r}")
        require(self.nth >= 1, "nth", "at least 1")
        require(self.count >= 0, "count", "at least 0")
        require_seconds(self.after, "after")

    @property
    def stage(self) -> Stage:
        """In which stage it happens."""
        return self.at or self.stages[0]

    def matches(self, labels: Mapping[str, str], display_name: str) -> bool:
        """Whether it can hit a job."""
        return self.display_name in {None, display_name} and all(
            labels.get(key) == value for key, value in self.labels.items()
        )

    def build_incident(self, job: Job) -> Incident | None:
        """What happens to a job that it hits; None for nothing."""
        del job
        return None

    @property
    def listing_lag(self) -> ListingLag | None:
        """For how long a job that it hits is missing from lists."""
        return None

    @property
    def repeats(self) -> int:
        """How often it happens to one job."""
        return 1

    def build_acts(self, job: Job, fault_id: str) -> tuple[Act, ...]:
        """What it adds to the script of a job.

        Args:
            job: A job that it hits.
            fault_id: ID of the fault in its plan.
        """
        incident = self.build_incident(job)
        if incident is None:
            return ()
        return (Act(self.stage, self.after, incident, self.repeats, fault_id),)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Restarting(JobFault):
    """A fault that restarts the job, up to a number of times.

    Args:
        times: How often it happens to one job; at least 1.
        despite_disable_retries: Whether the job is restarted even with `disableRetries`.
            For restarts other than those after an internal error, that is not documented.
    """

    most_restarts: ClassVar[int] = 0

    times: int = 1
    despite_disable_retries: bool = False

    def __post_init__(self) -> None:
        JobFault.__post_init__(self)
        most = self.most_restarts + 1
        require(1 <= self.times <= most, "times", f"1 to {most}; {most} fail the job")

    @property
    def repeats(self) -> int:
        return self.times


@dataclass(frozen=True, slots=True, kw_only=True)
class Stockout(_Restarting):
    """No machine is available: three restarts, and the fourth time FAILED with code 8."""

    stages: ClassVar[tuple[Stage, ...]] = ("provisioning",)
    most_restarts: ClassVar[int] = outcome.MAX_STOCKOUT_RESTARTS

    times: int = outcome.MAX_STOCKOUT_RESTARTS + 1

    def build_incident(self, job: Job) -> Incident:
        return events.Restart(
            "stockout",
            self.most_restarts,
            outcome.stockout_error(job.location),
            despite_disable_retries=self.despite_disable_retries,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Preemption(_Restarting):
    """A Spot machine is preempted, and the container restarted on another one: six times.

    The seventh time the job is FAILED with code 8.
    """

    most_restarts: ClassVar[int] = outcome.MAX_PREEMPTION_RESTARTS

    def build_incident(self, job: Job) -> Incident:
        return events.Restart(
            "preemption",
            self.most_restarts,
            outcome.stockout_error(job.location),
            despite_disable_retries=self.despite_disable_retries,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalErrors(JobFault):
    """The platform fails under the container: two restarts, and then FAILED with code 13.

    Args:
        times: How often; 1 to 3.
    """

    times: int = 1

    def __post_init__(self) -> None:
        JobFault.__post_init__(self)
        most = outcome.MAX_INTERNAL_RESTARTS + 1
        require(1 <= self.times <= most, "times", f"1 to {most}; {most} fail the job")

    @property
    def repeats(self) -> int:
        return self.times

    def build_incident(self, job: Job) -> Incident:
        del job
        return INTERNAL_ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfMemory(JobFault):
    """The container is killed for running out of memory, and the job is FAILED.

    Args:
        form: `replicas`, the recorded text with code 8; or `exit`, the documented text
            with status 137.
    """

    form: Literal["replicas", "exit"] = "replicas"

    def build_incident(self, job: Job) -> Incident:
        del job
        error = outcome.memory_error(is_container_named=self.form == "exit")
        return events.End(JobState.FAILED, error, at_once=True, of_container=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired(JobFault):
    """The job is EXPIRED."""

    stages: ClassVar[tuple[Stage, ...]] = ("running", "queued", "provisioning")

    def build_incident(self, job: Job) -> Incident:
        del job
        return events.End(JobState.EXPIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartiallySucceeded(JobFault):
    """A job that would be SUCCEEDED is PARTIALLY_SUCCEEDED."""

    stages: ClassVar[tuple[Stage, ...]] = ("tearing_down",)

    def build_incident(self, job: Job) -> Incident:
        del job
        return events.End(JobState.PARTIALLY_SUCCEEDED, instead_of=JobState.SUCCEEDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lasting(JobFault):
    """A fault that lasts.

    Args:
        seconds: Seconds of the emulator's clock, at least 0, at most a year; None for no limit.
    """

    seconds: float | None = None

    def __post_init__(self) -> None:
        JobFault.__post_init__(self)
        require_seconds(self.seconds, "seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(_Lasting):
    """The job is PAUSED and its container stopped. It is resumed by a restart.

    Args:
        seconds: Seconds of the emulator's clock; None: forever.
    """

    stages: ClassVar[tuple[Stage, ...]] = ("running", "queued", "provisioning")

    def build_incident(self, job: Job) -> Incident:
        del job
        return events.Pause(self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Updating(_Lasting):
    """The job is UPDATING, then RUNNING again; its container keeps running.

    Args:
        seconds: Seconds of the emulator's clock; None for as long as the container runs.
    """

    def build_incident(self, job: Job) -> Incident:
        del job
        return events.Update(self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownState(_Lasting):
    """Clients see a number that JobState does not define instead of the job's state.

    Args:
        number: The number; 12 to 2147483647.
        seconds: Seconds of the emulator's clock; None: forever, even in a terminal state.
    """

    stages: ClassVar[tuple[Stage, ...]] = (
        "running", "queued", "provisioning", "tearing_down", "over",
    )  # fmt: skip
    # JobState has 0 to 11.
    least_number: ClassVar[int] = 12

    number: int = 99

    def __post_init__(self) -> None:
        _Lasting.__post_init__(self)
        fits = self.least_number <= self.number <= _MOST_NUMBER
        require(fits, "number", f"{self.least_number} to {_MOST_NUMBER}")

    def build_incident(self, job: Job) -> Incident:
        del job
        return events.ShowNumber(self.number, self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted(JobFault):
    """The job is deleted by someone other than its creator."""

    stages: ClassVar[tuple[Stage, ...]] = (
        "running", "queued", "provisioning", "tearing_down", "over",
    )  # fmt: skip

    def build_incident(self, job: Job) -> Incident:
        del job
        return events.Delete()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(_Lasting):
    """The job stays in a stage: QUEUED, PENDING, or teardown after its container's exit.

    Args:
        seconds: Seconds of the emulator's clock; None: forever.
    """

    stages: ClassVar[tuple[Stage, ...]] = ("queued", "provisioning", "tearing_down")

    def build_incident(self, job: Job) -> Incident:
        del job
        return events.Hold(self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class HangsAfterWork(_Lasting):
    """The container hangs after its program has finished: the job is RUNNING for longer.

    Args:
        seconds: Seconds of the emulator's clock; None: forever.
    """

    def build_incident(self, job: Job) -> Incident:
        del job
        return events.HideExit(self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartsAgain(JobFault):
    """A container that fails is started a second time on its machine, and ended there.

    Args:
        wait: Seconds of the emulator's clock between the two, at least 0, at most a year.
        seconds: Seconds until it is ended, unless it has exited; at least 0, at most a year.
    """

    wait: float = 10.0
    seconds: float = 30.0

    def __post_init__(self) -> None:
        JobFault.__post_init__(self)
        require_seconds(self.wait, "wait")
        require_seconds(self.seconds, "seconds")

    def build_incident(self, job: Job) -> Incident:
        del job
        return events.StartAgain(self.wait, self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLag(JobFault):
    """A new job is missing from lists for a while; it can be read by its name.

    Whether Google's lists lag is not documented.

    Args:
        seconds: Seconds of the emulator's clock, from the job's creation; more than 0, at
            most a year.
        lists: Or: from how many lists it is missing; at least 1.
    """

    stages: ClassVar[tuple[Stage, ...]] = ("queued",)

    seconds: float | None = None
    lists: int | None = None

    def __post_init__(self) -> None:
        JobFault.__post_init__(self)
        if (self.seconds is None) == (self.lists is None):
            raise FaultError("seconds, lists: one of the two must be given")
        require_seconds(self.seconds, "seconds", may_be_zero=False)
        require(self.lists is None or self.lists >= 1, "lists", "at least 1")

    @property
    def listing_lag(self) -> ListingLag:
        return ListingLag(self.seconds, self.lists)


if not TYPE_CHECKING:
    # To a type checker, every public name: it cannot read the registry.
    __all__ = ["JobFault"]
    __all__ += [kind.__name__ for kind in find_kinds(JobFault)]
