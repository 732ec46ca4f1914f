"""A job as a JSON document, and back. Pure."""

from dataclasses import fields
from datetime import datetime
from typing import get_args

from vertex_emulator.core.errors import Json
from vertex_emulator.core.times import format_time, parse_time
from vertex_emulator.jobs.events import (
    Stage,
    act_from_json,
    act_to_json,
    event_from_json,
    event_to_json,
    later_from_json,
    later_to_json,
)
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.states import JobState

_TIMES = ("create_time", "update_time", "stage_time", "start_time", "end_time", "due")


def job_to_json(job: Job) -> Json:
    """A job as it is kept."""
    kept: Json = {field.name: getattr(job, field.name) for field in fields(job)}
    for name in _TIMES:
        kept[name] = format_time(kept[name]) if kept[name] else None
    kept["state"] = job.state.value
    kept["ending"] = job.ending.value if job.ending else None
    kept["eviction"] = event_to_json(job.eviction) if job.eviction else None
    kept["decided"] = event_to_json(job.decided) if job.decided else None
    kept["script"] = [act_to_json(act) for act in job.script]
    kept["later"] = [later_to_json(item) for item in job.later]
    kept["history"] = [[state.value, format_time(moment)] for state, moment in job.history]
    return kept


def job_from_json(kept: Json) -> Job:
    """The job that was kept.

    Raises:
        ValueError: For an unknown state or stage, or an invalid time.
        TypeError: For an unknown field, or a value of the wrong type.
        AttributeError: For a value of the wrong type.
        LookupError: For a missing field.
    """
    if not isinstance(kept["request"], dict):
        raise TypeError("`request` is not an object")
    if kept["stage"] not in get_args(Stage):
        raise ValueError(f"{kept['stage']!r} is not a stage")

    def read_time(name: str) -> datetime | None:
        return parse_time(kept[name]) if kept.get(name) else None

    return Job(
        **{
            **kept,
            **{name: read_time(name) for name in _TIMES},
            "state": JobState(kept["state"]),
            "ending": JobState(kept["ending"]) if kept["ending"] else None,
            "eviction": event_from_json(kept["eviction"]) if kept.get("eviction") else None,
            "decided": event_from_json(kept["decided"]) if kept.get("decided") else None,
            "script": tuple(act_from_json(act) for act in kept.get("script", ())),
            "later": tuple(later_from_json(item) for item in kept.get("later", ())),
            "history": tuple(
                (JobState(state), parse_time(moment)) for state, moment in kept["history"]
            ),
        }
    )


def read_job(name: str, kept: Json) -> Job:
    """The job that was kept under a resource name.

    Raises:
        ValueError: Says what is wrong with it, without its content.
    """
    try:
        job = job_from_json(kept)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:
        raise ValueError(f"it is not a job of this version ({type(exc).__name__}: {exc})") from exc
    if job.name != name:
        raise ValueError("it belongs to another job")
    return job
