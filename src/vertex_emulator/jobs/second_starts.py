"""The second start of a container that has failed, on the same machine. Pure.

It changes nothing of how the job goes on: the code runs twice, and what it writes comes
after what it has failed with, even after the job's end.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from vertex_emulator.jobs import outcome
from vertex_emulator.jobs.events import (
    Effect,
    EndReplicas,
    FaultHappened,
    SecondEndDue,
    SecondStartDue,
    StartAgain,
    StartReplicas,
)
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.states import JobState
from vertex_emulator.jobs.timings import SecondStart, Timings
from vertex_emulator.jobs.transitions import Step, add_later, without_act
from vertex_emulator.runtimes.contract import Exit


def plan_second_start(job: Job, end: Exit, now: datetime, timings: Timings) -> Step:
    """Let a container that has failed start again later, if a script or the timings say so.

    One that ends in a way that may be transient gets another machine instead.
    """
    if end.status == 0 or end.start_error or end.status in outcome.TRANSIENT_EXIT_STATUSES:
        return job, ()
    plan: StartAgain | SecondStart | None = timings.at_end(JobState.FAILED).second_start
    effects: tuple[Effect, ...] = ()
    for act in job.script:
        if isinstance(act.incident, StartAgain):
            plan, effects = act.incident, (FaultHappened(act.fault),)
            job = without_act(job, act)
            break
    if plan is None:
        return job, ()
    return add_later(job, SecondStartDue(job.attempt, plan.seconds), now, plan.after), effects


def _on_start_due(job: Job, event: SecondStartDue, now: datetime, timings: Timings) -> Step:
    del timings
    if event.attempt != job.attempt or not _has_failed(job):
        return job, ()
    again = replace(job, is_running_again=True)
    return (
        add_later(again, SecondEndDue(event.attempt), now, event.seconds),
        (StartReplicas(event.attempt, start=2),),
    )


def _on_end_due(job: Job, event: SecondEndDue, now: datetime, timings: Timings) -> Step:
    del now, timings
    is_there = job.is_running_again and event.attempt == job.attempt
    return job, (EndReplicas(),) if is_there else ()


def _has_failed(job: Job) -> bool:
    """Whether a job's container has failed, and its machine is not torn down."""
    if job.stage == "running":
        return job.is_exit_hidden
    is_torn_down = job.stage == "over" and job.due is None
    return job.ending is JobState.FAILED and not is_torn_down


SECOND_STARTS: dict[type, Callable[[Job, Any, datetime, Timings], Step]] = {
    SecondStartDue: _on_start_due,
    SecondEndDue: _on_end_due,
}
