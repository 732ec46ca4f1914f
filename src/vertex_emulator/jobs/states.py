"""The states of a job. Vertex API reference, `JobState`."""

from enum import Enum


class JobState(str, Enum):
    """The states of the API. PAUSED and those below it occur only by planned faults."""

    QUEUED = "JOB_STATE_QUEUED"
    PENDING = "JOB_STATE_PENDING"
    RUNNING = "JOB_STATE_RUNNING"
    SUCCEEDED = "JOB_STATE_SUCCEEDED"
    FAILED = "JOB_STATE_FAILED"
    CANCELLING = "JOB_STATE_CANCELLING"
    CANCELLED = "JOB_STATE_CANCELLED"
    PAUSED = "JOB_STATE_PAUSED"
    EXPIRED = "JOB_STATE_EXPIRED"
    UPDATING = "JOB_STATE_UPDATING"
    PARTIALLY_SUCCEEDED = "JOB_STATE_PARTIALLY_SUCCEEDED"


# Those that have an `endTime`.
_ENDS = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
TERMINAL_STATES = _ENDS | {JobState.EXPIRED, JobState.PARTIALLY_SUCCEEDED}


def has_end_time(state: JobState) -> bool:
    """Whether the entry into a state is a job's `endTime`."""
    return state in _ENDS
