"""The steps from one stage of a job to the next. Pure.

PENDING -> RUNNING -> SUCCEEDED or FAILED, and from each of the first two to CANCELLING ->
CANCELLED, SUCCEEDED or FAILED. A job that waits for quota is QUEUED before it is PENDING. A
restart leads from RUNNING back to PENDING. A script adds PAUSED, UPDATING, EXPIRED and
PARTIALLY_SUCCEEDED.

A state changes in `enter` and nowhere else. Vertex API reference, `JobState`;
https://cloud.google.com/vertex-ai/docs/training/understanding-training-service
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import parse_duration
from vertex_emulator.jobs import outcome
from vertex_emulator.jobs.events import (
    Act,
    Effect,
    EndReplicas,
    Event,
    Eviction,
    Later,
    PullImage,
    RunningSeen,
    SecondEndDue,
    SecondStartDue,
    Stage,
    StartReplicas,
    WriteLine,
)
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.states import JobState, has_end_time
from vertex_emulator.jobs.timings import Timings

# Vertex API reference, Scheduling.timeout.
DEFAULT_TIMEOUT = timedelta(days=7)

Step = tuple[Job, tuple[Effect, ...]]

_BEFORE_THE_START = frozenset(
    {JobState.FAILED, JobState.CANCELLING, JobState.PAUSED, JobState.EXPIRED}
)
# What a job that is being cancelled can end as.
CANCELLED_ENDS = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
_NEXT: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: _BEFORE_THE_START | {JobState.PENDING},
    JobState.PENDING: _BEFORE_THE_START | {JobState.RUNNING},
    JobState.RUNNING: frozenset(
        {
            *(JobState.PENDING, JobState.CANCELLING, JobState.PAUSED, JobState.UPDATING),
            *(JobState.SUCCEEDED, JobState.FAILED, JobState.EXPIRED),
            JobState.PARTIALLY_SUCCEEDED,
        }
    ),
    JobState.UPDATING: frozenset({JobState.RUNNING, JobState.CANCELLING}),
    JobState.PAUSED: frozenset({JobState.PENDING, JobState.CANCELLING}),
    JobState.CANCELLING: CANCELLED_ENDS,
}


# What is not known of other ends is left out.
_LAST_LINES = {
    JobState.SUCCEEDED: outcome.SUCCEEDED,
    JobState.FAILED: outcome.FAILED,
    JobState.CANCELLED: outcome.CANCELLED,
}


class IllegalTransition(Exception):
    """A change of state that Vertex AI never makes."""


def may_enter(job: Job, state: JobState) -> bool:
    """Whether a state can follow the job's own."""
    return state in _NEXT.get(job.state, frozenset())


def enter(job: Job, state: JobState, now: datetime) -> Job:
    """The job in another state.

    Raises:
        IllegalTransition: If the state cannot follow the job's own; a defect of the
            emulator.
    """
    if not may_enter(job, state):
        raise IllegalTransition(f"{job.name}: {job.state.value} -> {state.value}")
    first_run = state is JobState.RUNNING and job.start_time is None
    return replace(
        job,
        state=state,
        update_time=now,
        start_time=now if first_run else job.start_time,
        end_time=now if has_end_time(state) else None,
        history=(*job.history, (state, now)),
    )


def enter_stage(job: Job, stage: Stage, now: datetime, due: datetime | None) -> Job:
    """The job at the beginning of a stage, another one or its own again."""
    return replace(
        job, stage=stage, stage_time=now, due=due, update_time=now, is_image_awaited=False
    )


def provision(job: Job, now: datetime, timings: Timings) -> Step:
    """Look for machines, from the beginning if the job does so already.

    A persistent resource has them ready.
    """
    if job.state is not JobState.PENDING:
        job = enter(job, JobState.PENDING, now)
    due = now + timedelta(seconds=0 if job.resource else timings.provisioning)
    return replace(enter_stage(job, "provisioning", now, due), images={}), (
        WriteLine(outcome.PROVISIONING),
        WriteLine(outcome.SETTING_UP),
        WriteLine(outcome.STARTING),
        WriteLine(outcome.PREPARING),
        PullImage(),
    )


def run(job: Job, now: datetime, timings: Timings) -> Step:
    """Start the containers. The job is RUNNING at once, or once the service has seen it run."""
    due = (job.start_time or now) + timeout_of(job)
    started = replace(
        enter_stage(job, "running", now, due),
        attempt=job.attempt + 1,
        decided=None,
        is_exit_hidden=False,
    )
    start = StartReplicas(started.attempt)
    if timings.head_start:
        seen = RunningSeen(started.attempt)
        return add_later(started, seen, now, timings.head_start), (start,)
    running, effects = see_running(started, now)
    return running, (*effects, start)


def see_running(job: Job, now: datetime) -> Step:
    """Let a job whose containers run be RUNNING, if it is not yet."""
    if job.stage != "running" or job.state is not JobState.PENDING:
        return job, ()
    running = enter(job, JobState.RUNNING, now)
    due = (running.start_time or now) + timeout_of(job)
    return replace(running, due=due), (WriteLine(outcome.RUNNING),)


def stop(job: Job, now: datetime, timings: Timings) -> Step:
    """Cancel a job whose containers run."""
    cancelling = enter(job, JobState.CANCELLING, now)
    if job.is_exit_hidden:
        done, effects = tear_down(cancelling, JobState.CANCELLED, None, now, timings)
        return done, (*end_second(job), *effects)
    return enter_stage(cancelling, "stopping", now, None), (EndReplicas(),)


def evict(job: Job, why: Eviction, now: datetime, *, at_once: bool) -> Step:
    """Stop running containers for a reason; what follows is decided once they have exited."""
    evicting = replace(enter_stage(job, "evicting", now, None), eviction=why)
    return evicting, (EndReplicas(at_once=at_once),)


def tear_down(
    job: Job, ending: JobState, error: Json | None, now: datetime, timings: Timings
) -> Step:
    """Begin the teardown after the containers have exited."""
    due = now + timedelta(seconds=timings.at_end(ending).teardown)
    done = replace(enter_stage(job, "tearing_down", now, due), ending=ending, error=error)
    # As recorded: jobs that fail or are cancelled do not say it.
    says_so = ending is JobState.SUCCEEDED
    return done, (WriteLine(outcome.TEARING_DOWN),) if says_so else ()


def end_unstarted(job: Job, ending: JobState, error: Json | None, now: datetime) -> Job:
    """End a job without a container: there is nothing to tear down."""
    return replace(enter_stage(job, "tearing_down", now, now), ending=ending, error=error)


def finish(job: Job, now: datetime, timings: Timings) -> Step:
    """Take the terminal state; the teardown goes on after it.

    The `endTime` of a cancelled job is that entry, as recorded, and of others the time when
    their containers had exited.
    """
    if job.ending is None:
        raise IllegalTransition(f"{job.name} ends, but how was not decided")
    error = outcome.cancelled_error() if job.ending is JobState.CANCELLED else job.error
    over = enter(job, job.ending, now)
    if over.end_time is not None and job.ending is not JobState.CANCELLED:
        over = replace(over, end_time=job.stage_time)
    over = replace(enter_stage(over, "over", now, now), error=error)
    due = now + timedelta(seconds=timings.at_end(job.ending).cleanup)
    if job.ending is JobState.FAILED:
        due = max([due, *_second_ends(job)])
    return (replace(over, due=due), ()) if due > now else clean_up(over)


def clean_up(job: Job) -> Step:
    """End the teardown of a job that has its terminal state already."""
    effects = [WriteLine(outcome.TORN_DOWN)] if job.attempt else []
    if job.state in _LAST_LINES:
        effects.append(WriteLine(_LAST_LINES[job.state]))
    return replace(job, due=None), tuple(effects)


def end_second(job: Job) -> tuple[EndReplicas, ...]:
    """End the container that was started a second time, if there is one."""
    return (EndReplicas(at_once=True),) if job.is_running_again else ()


def _second_ends(job: Job) -> Iterator[datetime]:
    """When a second start of the container is over, at the latest."""
    for item in job.later:
        if isinstance(item.event, SecondStartDue):
            yield item.moment + timedelta(seconds=item.event.seconds)
        elif isinstance(item.event, SecondEndDue):
            yield item.moment


def without_act(job: Job, act: Act) -> Job:
    """The job with an act done once, and so gone from its script or left for fewer times."""
    script = list(job.script)
    index = next(index for index, other in enumerate(script) if other is act)
    script[index : index + 1] = [replace(act, times=act.times - 1)] if act.times > 1 else []
    return replace(job, script=tuple(script))


def add_later(job: Job, event: Event, now: datetime, seconds: float | None) -> Job:
    """The job with an event to come, in so many seconds; None for never."""
    if seconds is None:
        return job
    item = Later(now + timedelta(seconds=seconds), event)
    return replace(job, later=(*job.later, item))


def timeout_of(job: Job) -> timedelta:
    """How long the job may run, from its `startTime`."""
    text = job.request["jobSpec"].get("scheduling", {}).get("timeout", "0s")
    return parse_duration(text) or DEFAULT_TIMEOUT


def is_retried(job: Job) -> bool:
    """Whether the job is restarted where the service restarts jobs."""
    return not job.request["jobSpec"].get("scheduling", {}).get("disableRetries", False)
