"""What a script does to a job: each event with what follows from it. Pure.

An event that does not fit the stage of the job changes nothing. Restarts and texts:
https://cloud.google.com/vertex-ai/docs/training/understanding-training-service and
https://cloud.google.com/vertex-ai/docs/general/troubleshooting
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import format_time
from vertex_emulator.jobs import outcome
from vertex_emulator.jobs.events import (
    Delete,
    EndReplica,
    Expire,
    ForgetJob,
    Hold,
    MachinesOut,
    MemoryExhausted,
    Pause,
    PlatformFailed,
    Preempted,
    ShowNumber,
    ShowState,
    SucceedPartially,
    Update,
    UpdateOver,
    WriteLine,
)
from vertex_emulator.jobs.job import Job, JobState, Timings
from vertex_emulator.jobs.transitions import (
    Step,
    add_later,
    end_unstarted,
    enter,
    enter_stage,
    evict,
    is_retried,
    provision,
    tear_down,
)

_UNSTARTED = frozenset({"queued", "provisioning"})
_HOLDABLE = frozenset({"queued", "provisioning", "paused", "tearing_down"})


def on_machines_out(job: Job, event: MachinesOut, now: datetime, timings: Timings) -> Step:
    """A stockout: three restarts, then FAILED."""
    if job.stage != "provisioning":
        return job, ()
    error = outcome.stockout_error(job.location)
    line = WriteLine(error["message"], "ERROR")
    may_retry = is_retried(job) or event.is_stubborn
    if may_retry and job.stockout_restarts < outcome.MAX_STOCKOUT_RESTARTS:
        again = replace(job, stockout_restarts=job.stockout_restarts + 1)
        job, effects = provision(again, now, timings)
        return job, (line, *effects)
    return end_unstarted(job, JobState.FAILED, error, now), (line,)


def on_eviction(
    job: Job,
    event: PlatformFailed | Preempted | MemoryExhausted | Expire | Pause,
    now: datetime,
    timings: Timings,
) -> Step:
    """A running container is ended first, whatever follows."""
    if job.stage == "running":
        job = leave_update(job, now)
        if job.is_container_over:
            return after_eviction(replace(job, eviction=event), now, timings)
        at_once = isinstance(event, PlatformFailed | MemoryExhausted)
        return evict(job, event, now, at_once=at_once)
    if job.stage not in _UNSTARTED:
        return job, ()
    if isinstance(event, Expire):
        return end_unstarted(job, JobState.EXPIRED, None, now), ()
    if isinstance(event, Pause):
        return _pause(job, event, now), ()
    return job, ()


def after_eviction(job: Job, now: datetime, timings: Timings) -> Step:
    """What follows the end of a container that was evicted."""
    why = job.eviction
    job = replace(job, eviction=None)
    if isinstance(why, Preempted):
        return _restart_preempted(job, why, now, timings)
    if isinstance(why, MemoryExhausted):
        error = outcome.memory_error(is_container_named=why.is_container_named)
        return _fail(job, error, now, timings)
    if isinstance(why, Expire):
        return tear_down(job, JobState.EXPIRED, None, now, timings)
    if isinstance(why, Pause):
        return _pause(job, why, now), ()
    return lose(job, now, timings)


def lose(job: Job, now: datetime, timings: Timings) -> Step:
    """A job that the platform has lost is started again, twice at most."""
    line = WriteLine(outcome.INTERNAL_ERROR, "ERROR")
    if is_retried(job) and job.internal_restarts < outcome.MAX_INTERNAL_RESTARTS:
        again = replace(job, internal_restarts=job.internal_restarts + 1)
        job, effects = provision(again, now, timings)
        return job, (line, *effects)
    job, effects = tear_down(job, JobState.FAILED, outcome.internal_error(), now, timings)
    return job, (line, WriteLine(outcome.NOT_RETRIED, "ERROR"), *effects)


def on_succeed_partially(
    job: Job, event: SucceedPartially, now: datetime, timings: Timings
) -> Step:
    """Only of what was about to succeed, and is not being cancelled."""
    del event, timings
    if (job.stage, job.ending) != ("tearing_down", JobState.SUCCEEDED):
        return job, ()
    if job.state is JobState.CANCELLING:
        return job, ()
    return replace(job, ending=JobState.PARTIALLY_SUCCEEDED, update_time=now), ()


def on_update(job: Job, event: Update, now: datetime, timings: Timings) -> Step:
    """Only a RUNNING job can be updated, and it goes back to RUNNING."""
    del timings
    if job.state is not JobState.RUNNING or job.stage != "running":
        return job, ()
    updating = enter(job, JobState.UPDATING, now)
    return add_later(updating, UpdateOver(format_time(now)), now, event.seconds), ()


def on_update_over(job: Job, event: UpdateOver, now: datetime, timings: Timings) -> Step:
    """The end of this update, and not of a later one."""
    del timings
    begun = format_time(job.history[-1][1])
    if job.state is not JobState.UPDATING or begun != event.begun:
        return job, ()
    return leave_update(job, now), ()


def leave_update(job: Job, now: datetime) -> Job:
    """A job that is updated goes back to RUNNING before anything else happens to it."""
    return enter(job, JobState.RUNNING, now) if job.state is JobState.UPDATING else job


def on_show_number(job: Job, event: ShowNumber, now: datetime, timings: Timings) -> Step:
    """What clients see; the job itself goes on."""
    del timings
    shown = replace(job, shown_number=event.number, update_time=now)
    return add_later(shown, ShowState(), now, event.seconds), ()


def on_show_state(job: Job, event: ShowState, now: datetime, timings: Timings) -> Step:
    """Clients see the state again."""
    del event, timings
    return replace(job, shown_number=None, update_time=now), ()


def on_delete(job: Job, event: Delete, now: datetime, timings: Timings) -> Step:
    """Gone, with its container."""
    del event, timings
    return replace(job, update_time=now), (EndReplica(), ForgetJob())


def on_hold(job: Job, event: Hold, now: datetime, timings: Timings) -> Step:
    """Another end of the stage."""
    del timings
    if job.stage not in _HOLDABLE:
        return job, ()
    due = None if event.seconds is None else now + timedelta(seconds=event.seconds)
    return replace(job, due=due), ()


def _pause(job: Job, event: Pause, now: datetime) -> Job:
    due = None if event.seconds is None else now + timedelta(seconds=event.seconds)
    return enter_stage(enter(job, JobState.PAUSED, now), "paused", now, due)


def _restart_preempted(job: Job, event: Preempted, now: datetime, timings: Timings) -> Step:
    error = outcome.stockout_error(job.location)
    may_retry = is_retried(job) or event.is_stubborn
    if not may_retry or job.preemptions >= outcome.MAX_PREEMPTION_RESTARTS:
        return _fail(job, error, now, timings)
    again = replace(job, preemptions=job.preemptions + 1)
    job, effects = provision(again, now, timings)
    return job, (WriteLine(error["message"], "ERROR"), *effects)


def _fail(job: Job, error: Json, now: datetime, timings: Timings) -> Step:
    job, effects = tear_down(job, JobState.FAILED, error, now, timings)
    return job, (WriteLine(error["message"], "ERROR"), *effects)


INCIDENTS: dict[type, Callable[[Job, Any, datetime, Timings], Step]] = {
    MachinesOut: on_machines_out,
    PlatformFailed: on_eviction,
    Preempted: on_eviction,
    MemoryExhausted: on_eviction,
    Expire: on_eviction,
    Pause: on_eviction,
    SucceedPartially: on_succeed_partially,
    Update: on_update,
    UpdateOver: on_update_over,
    ShowNumber: on_show_number,
    ShowState: on_show_state,
    Delete: on_delete,
    Hold: on_hold,
}
