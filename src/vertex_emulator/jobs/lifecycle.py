"""The life of a job as a pure function: (job, event, now) -> (job, what to do).

`transitions` are the steps from stage to stage, `incidents` what a script does to a
job. What is due earlier is done first; at the same time, the script's acts come before
the end of the stage.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from vertex_emulator.jobs import outcome
from vertex_emulator.jobs.events import (
    Act,
    CancelRequested,
    Due,
    Event,
    FaultHappened,
    HideExit,
    ImageAwaited,
    ImageReady,
    ImageUnavailable,
    InternalError,
    ReplicaEnded,
    Restart,
    Scripted,
    WriteLine,
)
from vertex_emulator.jobs.incidents import (
    INCIDENTS,
    INTERNAL_ERROR,
    after_eviction,
    leave_update,
    restart,
)
from vertex_emulator.jobs.job import Job, Timings
from vertex_emulator.jobs.states import JobState
from vertex_emulator.jobs.transitions import (
    CANCELLED_ENDS,
    Step,
    add_later,
    end_unstarted,
    enter,
    enter_stage,
    finish,
    provision,
    run,
    stop,
    tear_down,
)


def begin(job: Job, timings: Timings) -> Step:
    """The first step of a job that was just created."""
    now = job.create_time
    due = now + timedelta(seconds=timings.queueing)
    started = replace(job, state=JobState.QUEUED, history=((JobState.QUEUED, now),))
    return enter_stage(started, "queued", now, due), (WriteLine(outcome.WAITING),)


def advance(job: Job, event: Event, now: datetime, timings: Timings) -> Step:
    """The job after an event. An event that does not fit its stage changes nothing.

    Raises:
        IllegalTransition: If the job would take a state that cannot follow its own;
            a defect of the emulator.
    """
    handler = _HANDLERS.get(type(event))
    return handler(job, event, now, timings) if handler else (job, ())


def _on_due(job: Job, event: Due, now: datetime, timings: Timings) -> Step:
    """Do what is due first, and nothing else."""
    del event
    first = job.next_time
    if first is None or first > now:
        return job, ()
    for act, moment in job.pending_acts():
        if moment == first:
            return _do_act(job, act, now, timings)
    for item in job.later:
        if item.moment == first:
            rest = replace(job, later=tuple(other for other in job.later if other is not item))
            return advance(rest, item.event, now, timings)
    return _leave_stage(job, now, timings)


def _leave_stage(job: Job, now: datetime, timings: Timings) -> Step:
    if job.stage in {"queued", "paused"}:
        return provision(job, now, timings)
    if job.stage == "provisioning":
        return run(job, now)
    if job.stage == "running":
        # The timeout. A job that ran for its seven days ended CANCELLED (tfx #6223).
        return stop(job, now, timings)
    return finish(job, now)


def _do_act(job: Job, act: Act, now: datetime, timings: Timings) -> Step:
    rest = _without(job, act)
    changed, effects = advance(rest, act.incident, now, timings)
    if changed is rest:
        return changed, effects
    return changed, (FaultHappened(act.fault), *effects)


def _without(job: Job, act: Act) -> Job:
    """The job with an act done once, and so gone from its script or left for fewer times."""
    script = list(job.script)
    index = next(index for index, other in enumerate(script) if other is act)
    script[index : index + 1] = [replace(act, times=act.times - 1)] if act.times > 1 else []
    return replace(job, script=tuple(script))


def _on_cancel(job: Job, event: CancelRequested, now: datetime, timings: Timings) -> Step:
    del event
    if job.is_terminal or job.state is JobState.CANCELLING:
        return job, ()
    if job.stage == "running":
        return stop(job, now, timings)
    if job.stage == "evicting":
        return enter_stage(enter(job, JobState.CANCELLING, now), "stopping", now, None), ()
    if job.stage == "tearing_down":
        # Too late: the container's exit has decided the ending.
        can_say = job.ending in CANCELLED_ENDS
        return (enter(job, JobState.CANCELLING, now) if can_say else job), ()
    return end_unstarted(enter(job, JobState.CANCELLING, now), JobState.CANCELLED, None, now), ()


def _on_replica_ended(job: Job, event: ReplicaEnded, now: datetime, timings: Timings) -> Step:
    if event.attempt != job.attempt:
        return job, ()
    if job.stage == "evicting":
        return after_eviction(job, now, timings)
    if job.stage == "stopping":
        return tear_down(job, JobState.CANCELLED, None, now, timings)
    if job.stage != "running":
        return job, ()
    for act in job.script:
        if isinstance(act.incident, HideExit):
            over = replace(_without(job, act), is_exit_hidden=True, update_time=now)
            return add_later(over, event, now, act.incident.seconds), (FaultHappened(act.fault),)
    return _on_exit(leave_update(job, now), event, now, timings)


def _on_exit(job: Job, event: ReplicaEnded, now: datetime, timings: Timings) -> Step:
    end = event.end
    if end.status == 0:
        return tear_down(job, JobState.SUCCEEDED, None, now, timings)
    transient = end.start_error is None and end.status in outcome.TRANSIENT_EXIT_STATUSES
    why = Restart(
        "exit",
        outcome.MAX_EXIT_RESTARTS if transient else 0,
        outcome.exit_error(end, number=job.number, job_id=job.job_id),
    )
    return restart(job, why, now, timings)


def _on_internal_error(job: Job, event: InternalError, now: datetime, timings: Timings) -> Step:
    """A decided ending stays; a job that ran is restarted, at most twice."""
    del event
    if job.stage == "stopping":
        return tear_down(job, JobState.CANCELLED, None, now, timings)
    if job.stage == "evicting":
        return after_eviction(job, now, timings)
    if job.stage != "running":
        return job, ()
    return restart(leave_update(job, now), INTERNAL_ERROR, now, timings)


def _on_image(
    job: Job,
    event: ImageAwaited | ImageReady | ImageUnavailable,
    now: datetime,
    timings: Timings,
) -> Step:
    """A pull that was begun for another stage changes nothing."""
    del timings
    if job.stage != "provisioning":
        return job, ()
    if isinstance(event, ImageAwaited):
        return replace(job, is_image_awaited=True), ()
    if isinstance(event, ImageReady):
        return replace(job, is_image_awaited=False, image=event.image), ()
    error = outcome.image_error(event.reason)
    return end_unstarted(job, JobState.FAILED, error, now), (WriteLine(event.reason, "ERROR"),)


def _on_scripted(job: Job, event: Scripted, now: datetime, timings: Timings) -> Step:
    del now, timings
    return replace(job, script=(*job.script, *event.acts)), ()


_HANDLERS: dict[type, Callable[[Job, Any, datetime, Timings], Step]] = {
    Due: _on_due,
    CancelRequested: _on_cancel,
    ReplicaEnded: _on_replica_ended,
    InternalError: _on_internal_error,
    ImageAwaited: _on_image,
    ImageReady: _on_image,
    ImageUnavailable: _on_image,
    Scripted: _on_scripted,
    **INCIDENTS,
}
