"""What a script does to a job: each incident with what follows from it. Pure.

An incident that does not fit the stage of the job changes nothing. Restarts and texts:
https://cloud.google.com/vertex-ai/docs/training/understanding-training-service and
https://cloud.google.com/vertex-ai/docs/general/troubleshooting
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from vertex_emulator.core.times import format_time
from vertex_emulator.jobs import outcome
from vertex_emulator.jobs.events import (
    Delete,
    End,
    EndReplicas,
    Eviction,
    ForgetJob,
    Hold,
    Pause,
    Restart,
    ShowNumber,
    ShowState,
    Update,
    UpdateOver,
    WriteLine,
)
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.states import JobState
from vertex_emulator.jobs.timings import Timings
from vertex_emulator.jobs.transitions import (
    Step,
    add_later,
    end_second,
    end_unstarted,
    enter,
    enter_stage,
    evict,
    is_retried,
    may_enter,
    provision,
    tear_down,
)

INTERNAL_ERROR = Restart(
    "internal error",
    outcome.MAX_INTERNAL_RESTARTS,
    outcome.internal_error(),
    at_once=True,
    last_line=outcome.NOT_RETRIED,
)
"""The platform has lost the job: it is restarted, at most twice."""

_UNSTARTED = frozenset({"queued", "provisioning"})
_HOLDABLE = frozenset({"queued", "provisioning", "paused", "tearing_down"})


def on_eviction(job: Job, event: Eviction, now: datetime, timings: Timings) -> Step:
    """Stop a running container first; what follows is decided once it has exited."""
    if job.stage == "running":
        running = leave_update(job, now)
        if isinstance(event, End) and not may_enter(running, event.state):
            return job, ()
        if running.is_exit_hidden:
            followed, effects = _follow(running, event, now, timings)
            return followed, (*end_second(job), *effects)
        at_once = not isinstance(event, Pause) and event.at_once
        return evict(running, event, now, at_once=at_once)
    if job.stage not in _UNSTARTED:
        return job, ()
    return _follow(job, event, now, timings)


def after_eviction(job: Job, now: datetime, timings: Timings) -> Step:
    """What follows once an evicted container has exited."""
    why = job.eviction or INTERNAL_ERROR
    return _follow(replace(job, eviction=None), why, now, timings)


def restart(job: Job, why: Restart, now: datetime, timings: Timings) -> Step:
    """Provision a job without a container again, or fail it after too many restarts."""
    reason = WriteLine(why.error["message"], "ERROR")
    before = job.restarts.get(why.cause, 0)
    if before < why.limit and (is_retried(job) or why.despite_disable_retries):
        again = replace(job, restarts={**job.restarts, why.cause: before + 1})
        job, effects = provision(again, now, timings)
        return job, (reason, *effects)
    lines = [reason] if timings.at_end(JobState.FAILED).is_reason_logged else []
    if why.last_line is not None:
        lines.append(WriteLine(why.last_line, "ERROR"))
    if job.stage == "provisioning":
        return end_unstarted(job, JobState.FAILED, why.error, now), tuple(lines)
    job, effects = tear_down(job, JobState.FAILED, why.error, now, timings)
    return job, (*lines, *effects)


def _follow(job: Job, why: Eviction, now: datetime, timings: Timings) -> Step:
    """Apply an incident to a job without a running container."""
    if isinstance(why, Pause):
        due = None if why.seconds is None else now + timedelta(seconds=why.seconds)
        return enter_stage(enter(job, JobState.PAUSED, now), "paused", now, due), ()
    if isinstance(why, End):
        return _end(job, why, now, timings)
    # A queued job has no machine to lose.
    return (job, ()) if job.stage == "queued" else restart(job, why, now, timings)


def _end(job: Job, why: End, now: datetime, timings: Timings) -> Step:
    if not may_enter(job, why.state):
        return job, ()
    is_logged = timings.at_end(why.state).is_reason_logged
    lines = (WriteLine(why.error["message"], "ERROR"),) if why.error and is_logged else ()
    if job.stage in _UNSTARTED:
        return end_unstarted(job, why.state, why.error, now), lines
    job, effects = tear_down(job, why.state, why.error, now, timings)
    return job, (*lines, *effects)


def on_end(job: Job, event: End, now: datetime, timings: Timings) -> Step:
    """A decided ending is replaced, unless the job is being cancelled."""
    if event.instead_of is None:
        return on_eviction(job, event, now, timings)
    if (job.stage, job.ending) != ("tearing_down", event.instead_of):
        return job, ()
    if job.state is JobState.CANCELLING or not may_enter(job, event.state):
        return job, ()
    return replace(job, ending=event.state, error=event.error, update_time=now), ()


def on_update(job: Job, event: Update, now: datetime, timings: Timings) -> Step:
    """Only a RUNNING job can be UPDATING, and it returns to RUNNING."""
    del timings
    if job.state is not JobState.RUNNING or job.stage != "running":
        return job, ()
    updating = enter(job, JobState.UPDATING, now)
    return add_later(updating, UpdateOver(format_time(now)), now, event.seconds), ()


def on_update_over(job: Job, event: UpdateOver, now: datetime, timings: Timings) -> Step:
    """Ends the update that it was set for, not a later one."""
    del timings
    begun = format_time(job.history[-1][1])
    if job.state is not JobState.UPDATING or begun != event.begun:
        return job, ()
    return leave_update(job, now), ()


def leave_update(job: Job, now: datetime) -> Job:
    """Return an UPDATING job to RUNNING, before anything else happens to it."""
    return enter(job, JobState.RUNNING, now) if job.state is JobState.UPDATING else job


def on_show_number(job: Job, event: ShowNumber, now: datetime, timings: Timings) -> Step:
    """Changes what clients see; the job itself goes on."""
    del timings
    shown = replace(job, shown_number=event.number, update_time=now)
    return add_later(shown, ShowState(), now, event.seconds), ()


def on_show_state(job: Job, event: ShowState, now: datetime, timings: Timings) -> Step:
    """Clients see the state again."""
    del event, timings
    return replace(job, shown_number=None, update_time=now), ()


def on_delete(job: Job, event: Delete, now: datetime, timings: Timings) -> Step:
    """Delete the job and stop its container."""
    del event, timings
    return replace(job, update_time=now), (EndReplicas(), ForgetJob())


def on_hold(job: Job, event: Hold, now: datetime, timings: Timings) -> Step:
    """Move the end of the stage."""
    del timings
    if job.stage not in _HOLDABLE:
        return job, ()
    due = None if event.seconds is None else now + timedelta(seconds=event.seconds)
    return replace(job, due=due), ()


INCIDENTS: dict[type, Callable[[Job, Any, datetime, Timings], Step]] = {
    Restart: on_eviction,
    End: on_end,
    Pause: on_eviction,
    Update: on_update,
    UpdateOver: on_update_over,
    ShowNumber: on_show_number,
    ShowState: on_show_state,
    Delete: on_delete,
    Hold: on_hold,
}
