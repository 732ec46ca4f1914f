"""The life of a job as a pure function: (job, event, now) -> (job, what to do).

QUEUED -> PENDING -> RUNNING -> SUCCEEDED or FAILED, and from each of the first three
to CANCELLING -> CANCELLED, SUCCEEDED or FAILED.

A restart leads from RUNNING back to PENDING. A state changes in `_enter` and
nowhere else. Vertex API reference, `JobState` and `CustomJob`;
https://cloud.google.com/vertex-ai/docs/training/understanding-training-service
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Literal

from zenml_vertex.emulator import outcome
from zenml_vertex.emulator.api_errors import Json
from zenml_vertex.emulator.outcome import Exit
from zenml_vertex.emulator.times import format_time, parse_duration

# Vertex API reference, Scheduling.timeout.
DEFAULT_TIMEOUT = timedelta(days=7)


class JobState(str, Enum):
    """The states that a CustomJob takes by itself."""

    QUEUED = "JOB_STATE_QUEUED"
    PENDING = "JOB_STATE_PENDING"
    RUNNING = "JOB_STATE_RUNNING"
    SUCCEEDED = "JOB_STATE_SUCCEEDED"
    FAILED = "JOB_STATE_FAILED"
    CANCELLING = "JOB_STATE_CANCELLING"
    CANCELLED = "JOB_STATE_CANCELLED"


TERMINAL_STATES = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})

_NEXT: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.PENDING, JobState.FAILED, JobState.CANCELLING}),
    JobState.PENDING: frozenset({JobState.RUNNING, JobState.FAILED, JobState.CANCELLING}),
    JobState.RUNNING: frozenset(
        {JobState.PENDING, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLING}
    ),
    JobState.CANCELLING: TERMINAL_STATES,
}

Stage = Literal["queued", "provisioning", "running", "stopping", "tearing_down", "over"]


class IllegalTransition(Exception):
    """A change of state that the service does not make."""


@dataclass(frozen=True, slots=True)
class Timings:
    """How long the phases of a job last, in seconds of the emulator's clock; at least 0.

    On Vertex AI a machine takes 16 s to 6 min to be provisioned, mostly 3 min with
    a GPU, and SUCCEEDED comes 43 to 65 s after the container's exit (public reports).
    The defaults are for people who wait.

    Args:
        queueing: Time in QUEUED.
        provisioning: Time in PENDING.
        teardown: From the container's exit to the terminal state.
    """

    queueing: float = 0.0
    provisioning: float = 0.5
    teardown: float = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """A job, and where in its life it is.

    Args:
        project: Project as its creator wrote it, mostly an ID.
        number: Number of the project.
        location: Region.
        job_id: Numeric ID.
        request: What the creator set: `displayName`, `jobSpec`, `labels`, `encryptionSpec`.
        create_time: When it was created.
        update_time: When it last changed.
        state: The state that clients see.
        stage: The finer state behind it.
        due: When the stage ends by itself; None where it waits for the container.
        start_time: First entry into RUNNING.
        end_time: Entry into a terminal state.
        error: `google.rpc.Status`; only of a FAILED or CANCELLED job.
        attempt: Number of the container's start, from 1; 0 before the first.
        exit_restarts: Restarts after an exit status that may be transient.
        internal_restarts: Restarts after an internal error.
        ending: The terminal state that the job will have once it is torn down.
        history: Every state with the time of its entry.
    """

    project: str
    number: str
    location: str
    job_id: str
    request: Json
    create_time: datetime
    update_time: datetime
    state: JobState = JobState.QUEUED
    stage: Stage = "queued"
    due: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    error: Json | None = None
    attempt: int = 0
    exit_restarts: int = 0
    internal_restarts: int = 0
    ending: JobState | None = None
    history: tuple[tuple[JobState, datetime], ...] = ()

    @property
    def parent(self) -> str:
        """Resource name of its project and region."""
        return f"projects/{self.number}/locations/{self.location}"

    @property
    def name(self) -> str:
        """Its resource name."""
        return f"{self.parent}/customJobs/{self.job_id}"

    @property
    def is_terminal(self) -> bool:
        """Whether it can no longer change."""
        return self.state in TERMINAL_STATES

    def to_json(self) -> Json:
        """The CustomJob that clients see."""
        message: Json = {"name": self.name, **self.request, "state": self.state.value}
        times = {
            "createTime": self.create_time,
            "startTime": self.start_time,
            "endTime": self.end_time,
            "updateTime": self.update_time,
        }
        message |= {key: format_time(moment) for key, moment in times.items() if moment}
        if self.error is not None and self.is_terminal:
            message["error"] = self.error
        return message


@dataclass(frozen=True, slots=True)
class Due:
    """The time of a stage may have come."""


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody called `customJobs.cancel`."""


@dataclass(frozen=True, slots=True)
class ReplicaEnded:
    """The container of an attempt has ended, with everything that it had started."""

    attempt: int
    end: Exit


@dataclass(frozen=True, slots=True)
class InternalError:
    """The platform has lost the job; its container is gone."""


Event = Due | CancelRequested | ReplicaEnded | InternalError


@dataclass(frozen=True, slots=True)
class StartReplica:
    """Start the container."""

    attempt: int


@dataclass(frozen=True, slots=True)
class EndReplica:
    """End the container with everything that it has started."""


@dataclass(frozen=True, slots=True)
class WriteLine:
    """Write a log line of the service."""

    text: str
    severity: str = "INFO"


Effect = StartReplica | EndReplica | WriteLine
Step = tuple[Job, tuple[Effect, ...]]


def begin(job: Job, timings: Timings) -> Step:
    """The first step of a job that was just created."""
    now = job.create_time
    started = replace(
        job,
        state=JobState.QUEUED,
        stage="queued",
        due=now + timedelta(seconds=timings.queueing),
        history=((JobState.QUEUED, now),),
    )
    return started, (WriteLine(outcome.WAITING),)


def advance(job: Job, event: Event, now: datetime, timings: Timings) -> Step:
    """The job after an event. An event that does not concern it changes nothing.

    Raises:
        IllegalTransition: If the job would take a state that cannot follow its own;
            a defect of the emulator.
    """
    if job.is_terminal:
        return job, ()
    if isinstance(event, Due):
        return _on_due(job, now, timings)
    if isinstance(event, CancelRequested):
        return _on_cancel(job, now)
    if isinstance(event, ReplicaEnded):
        return _on_replica_ended(job, event, now, timings)
    return _on_internal_error(job, now, timings)


def _on_due(job: Job, now: datetime, timings: Timings) -> Step:
    if job.due is None or job.due > now:
        return job, ()
    if job.stage == "queued":
        return _provision(job, now, timings)
    if job.stage == "provisioning":
        return _run(job, now)
    if job.stage == "running":
        # The timeout. A job that ran for its seven days ended CANCELLED (tfx #6223).
        return _stop(job, now)
    return _finish(job, now)


def _on_cancel(job: Job, now: datetime) -> Step:
    if job.state is JobState.CANCELLING:
        return job, ()
    if job.stage == "running":
        return _stop(job, now)
    if job.stage == "tearing_down":
        # Too late: the container's end has decided already.
        return _enter(job, JobState.CANCELLING, now), ()
    cancelling = _enter(job, JobState.CANCELLING, now)
    return replace(cancelling, stage="tearing_down", due=now, ending=JobState.CANCELLED), ()


def _on_replica_ended(job: Job, event: ReplicaEnded, now: datetime, timings: Timings) -> Step:
    if event.attempt != job.attempt or job.stage not in {"running", "stopping"}:
        return job, ()
    end = event.end
    if job.stage == "stopping" or end.status == 0:
        ending = JobState.CANCELLED if job.stage == "stopping" else JobState.SUCCEEDED
        return _tear_down(job, ending, None, now, timings)
    error = outcome.exit_error(end, number=job.number, job_id=job.job_id)
    line = WriteLine(error["message"], "ERROR")
    transient = end.start_error is None and end.status in outcome.TRANSIENT_EXIT_STATUSES
    if transient and _retries(job) and job.exit_restarts < outcome.MAX_EXIT_RESTARTS:
        again = replace(job, exit_restarts=job.exit_restarts + 1)
        job, effects = _provision(again, now, timings)
    else:
        job, effects = _tear_down(job, JobState.FAILED, error, now, timings)
    return job, (line, *effects)


def _on_internal_error(job: Job, now: datetime, timings: Timings) -> Step:
    """A job whose end was decided keeps it; one that ran is started again, twice at most."""
    if job.stage == "stopping":
        return _tear_down(job, JobState.CANCELLED, None, now, timings)
    if job.stage != "running":
        return job, ()
    line = WriteLine(outcome.INTERNAL_ERROR, "ERROR")
    if _retries(job) and job.internal_restarts < outcome.MAX_INTERNAL_RESTARTS:
        again = replace(job, internal_restarts=job.internal_restarts + 1)
        job, effects = _provision(again, now, timings)
        return job, (line, *effects)
    job, effects = _tear_down(job, JobState.FAILED, outcome.internal_error(), now, timings)
    return job, (line, WriteLine(outcome.NOT_RETRIED, "ERROR"), *effects)


def _provision(job: Job, now: datetime, timings: Timings) -> Step:
    pending = replace(
        _enter(job, JobState.PENDING, now),
        stage="provisioning",
        due=now + timedelta(seconds=timings.provisioning),
    )
    return pending, (WriteLine(outcome.PROVISIONING), WriteLine(outcome.SETTING_UP))


def _run(job: Job, now: datetime) -> Step:
    running = _enter(job, JobState.RUNNING, now)
    running = replace(
        running,
        stage="running",
        attempt=job.attempt + 1,
        due=(running.start_time or now) + _timeout(job),
    )
    return running, (
        WriteLine(outcome.STARTING),
        WriteLine(outcome.RUNNING),
        StartReplica(running.attempt),
    )


def _stop(job: Job, now: datetime) -> Step:
    stopping = replace(_enter(job, JobState.CANCELLING, now), stage="stopping", due=None)
    return stopping, (EndReplica(),)


def _tear_down(
    job: Job, ending: JobState, error: Json | None, now: datetime, timings: Timings
) -> Step:
    done = replace(
        job,
        stage="tearing_down",
        due=now + timedelta(seconds=timings.teardown),
        ending=ending,
        error=error,
        update_time=now,
    )
    return done, (WriteLine(outcome.TEARING_DOWN),)


def _finish(job: Job, now: datetime) -> Step:
    if job.ending is None:
        raise IllegalTransition(f"{job.name} ends, but how was not decided")
    error = outcome.cancelled_error() if job.ending is JobState.CANCELLED else job.error
    over = replace(_enter(job, job.ending, now), stage="over", due=None, error=error)
    effects = [WriteLine(outcome.TORN_DOWN)] if job.attempt else []
    if job.ending is JobState.SUCCEEDED:
        effects.append(WriteLine(outcome.SUCCEEDED))
    elif job.ending is JobState.FAILED:
        effects.append(WriteLine(outcome.FAILED, "ERROR"))
    return over, tuple(effects)


def _enter(job: Job, state: JobState, now: datetime) -> Job:
    if state not in _NEXT.get(job.state, frozenset()):
        raise IllegalTransition(f"{job.name}: {job.state.value} -> {state.value}")
    first_run = state is JobState.RUNNING and job.start_time is None
    return replace(
        job,
        state=state,
        update_time=now,
        start_time=now if first_run else job.start_time,
        end_time=now if state in TERMINAL_STATES else None,
        history=(*job.history, (state, now)),
    )


def _timeout(job: Job) -> timedelta:
    text = job.request["jobSpec"].get("scheduling", {}).get("timeout", "0s")
    return parse_duration(text) or DEFAULT_TIMEOUT


def _retries(job: Job) -> bool:
    return not job.request["jobSpec"].get("scheduling", {}).get("disableRetries", False)
