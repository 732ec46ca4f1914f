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
    Effect,
    End,
    EndReplicas,
    Event,
    FaultHappened,
    HideExit,
    ImageAwaited,
    ImageReady,
    ImageUnavailable,
    InternalError,
    LineDue,
    MachinesFree,
    ReplicaEnded,
    Restart,
    RunningSeen,
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
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.second_starts import SECOND_STARTS, plan_second_start
from vertex_emulator.jobs.states import JobState
from vertex_emulator.jobs.timings import Timings
from vertex_emulator.jobs.transitions import (
    CANCELLED_ENDS,
    Step,
    add_later,
    clean_up,
    end_unstarted,
    enter,
    enter_stage,
    finish,
    provision,
    run,
    see_running,
    stop,
    tear_down,
    without_act,
)
from vertex_emulator.runtimes.contract import KILLED, Exit


def begin(job: Job, timings: Timings) -> Step:
    """The first step of a job that was just created.

    It is PENDING, as both recorded answers to a create have it, and QUEUED only where it waits
    for quota, or for machines of its persistent resource, whose quota was used when that was
    created.
    """
    now = job.create_time
    waiting = (WriteLine(outcome.WAITING),)
    queueing = 0.0 if job.resource else timings.queueing
    if queueing or job.is_machine_awaited or any(act.stage == "queued" for act in job.script):
        due = now + timedelta(seconds=queueing)
        queued = replace(job, state=JobState.QUEUED, history=((JobState.QUEUED, now),))
        return enter_stage(queued, "queued", now, due), waiting
    pending = replace(job, state=JobState.PENDING, history=((JobState.PENDING, now),))
    provisioned, effects = provision(pending, now, timings)
    if job.resource:
        return provisioned, (*waiting, *effects)
    return _announce(provisioned, (*waiting, *effects), timings)


def _announce(job: Job, effects: tuple[Effect, ...], timings: Timings) -> Step:
    """Write the lines of a job's beginning when they are due."""
    at_once = []
    for effect in effects:
        seconds = timings.announcing
        if isinstance(effect, WriteLine) and effect.text == outcome.PREPARING:
            seconds += timings.preparing
        if seconds and isinstance(effect, WriteLine):
            line = LineDue(effect.text, effect.severity)
            job = add_later(job, line, job.create_time, seconds)
        else:
            at_once.append(effect)
    return job, tuple(at_once)


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
        return run(job, now, timings)
    if job.stage == "running":
        # The timeout. A job that ran for its seven days ended CANCELLED (tfx #6223).
        return stop(job, now, timings)
    return clean_up(job) if job.is_terminal else finish(job, now, timings)


def _do_act(job: Job, act: Act, now: datetime, timings: Timings) -> Step:
    rest = without_act(job, act)
    changed, effects = advance(rest, act.incident, now, timings)
    if changed is rest:
        return changed, effects
    return changed, (FaultHappened(act.fault), *effects)


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
    if event.start > 1:
        return (replace(job, is_running_again=False) if job.is_running_again else job), ()
    if event.is_last:
        return _on_all_ended(job, event, now, timings)
    # Containers of other replicas run still: where the job ends with this one, they are ended.
    if job.stage != "running" or job.decided or not event.is_decisive:
        return job, ()
    decided = replace(job, decided=replace(event, is_last=True), update_time=now)
    return decided, (EndReplicas(),)


def _on_all_ended(job: Job, event: ReplicaEnded, now: datetime, timings: Timings) -> Step:
    if job.stage == "evicting":
        return _on_evicted(job, now, timings)
    if job.stage == "stopping":
        return tear_down(job, JobState.CANCELLED, None, now, timings)
    if job.stage != "running":
        return job, ()
    return _on_program_ended(job, job.decided or event, now, timings)


def _on_program_ended(job: Job, event: ReplicaEnded, now: datetime, timings: Timings) -> Step:
    """The containers have exited by themselves; the service notices at once, or later."""
    is_new = not job.is_exit_hidden
    effects: tuple[Effect, ...] = ()
    if is_new:
        job, seen = see_running(job, now)
        job, planned = plan_second_start(job, event.end, now, timings)
        effects = (*seen, *planned)
    hidden = replace(job, is_exit_hidden=True, update_time=now)
    for act in job.script:
        if isinstance(act.incident, HideExit):
            over = add_later(without_act(hidden, act), event, now, act.incident.seconds)
            return over, (*effects, FaultHappened(act.fault))
    ending = JobState.SUCCEEDED if event.end.status == 0 else JobState.FAILED
    noticing = timings.at_end(ending).noticing
    if is_new and noticing:
        return add_later(hidden, event, now, noticing), effects
    job, more = _on_exit(leave_update(job, now), event, now, timings)
    return job, (*effects, *more)


def _on_evicted(job: Job, now: datetime, timings: Timings) -> Step:
    """Containers have exited because they were ended; a failed one is noticed as above."""
    why = job.eviction
    if not isinstance(why, End) or not why.of_container:
        return after_eviction(job, now, timings)
    job, effects = plan_second_start(job, Exit(KILLED), now, timings)
    if noticing := timings.at_end(why.state).noticing:
        hidden = replace(job, stage="running", eviction=None, is_exit_hidden=True)
        return add_later(hidden, why, now, noticing), effects
    job, more = after_eviction(job, now, timings)
    return job, (*effects, *more)


def _on_running_seen(job: Job, event: RunningSeen, now: datetime, timings: Timings) -> Step:
    del timings
    return see_running(job, now) if event.attempt == job.attempt else (job, ())


def _on_line_due(job: Job, event: LineDue, now: datetime, timings: Timings) -> Step:
    del now, timings
    return job, () if job.is_terminal else (WriteLine(event.text, event.severity),)


def _on_exit(job: Job, event: ReplicaEnded, now: datetime, timings: Timings) -> Step:
    end = event.end
    if end.status == 0:
        return tear_down(job, JobState.SUCCEEDED, None, now, timings)
    transient = end.start_error is None and end.status in outcome.TRANSIENT_EXIT_STATUSES
    why = Restart(
        "exit",
        outcome.MAX_EXIT_RESTARTS if transient else 0,
        outcome.exit_error(end, number=job.number, job_id=job.job_id, replica=event.replica),
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
    if job.decided:
        return _on_program_ended(job, job.decided, now, timings)
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
        return replace(job, is_image_awaited=False, images=event.images), ()
    error = outcome.image_error(event.reason)
    return end_unstarted(job, JobState.FAILED, error, now), (WriteLine(event.reason, "ERROR"),)


def _on_machines_free(job: Job, event: MachinesFree, now: datetime, timings: Timings) -> Step:
    del event, now, timings
    return (replace(job, is_machine_awaited=False) if job.is_machine_awaited else job), ()


def _on_scripted(job: Job, event: Scripted, now: datetime, timings: Timings) -> Step:
    del now, timings
    return replace(job, script=(*job.script, *event.acts)), ()


_HANDLERS: dict[type, Callable[[Job, Any, datetime, Timings], Step]] = {
    Due: _on_due,
    CancelRequested: _on_cancel,
    ReplicaEnded: _on_replica_ended,
    InternalError: _on_internal_error,
    MachinesFree: _on_machines_free,
    ImageAwaited: _on_image,
    ImageReady: _on_image,
    ImageUnavailable: _on_image,
    Scripted: _on_scripted,
    RunningSeen: _on_running_seen,
    LineDue: _on_line_due,
    **INCIDENTS,
    **SECOND_STARTS,
}
