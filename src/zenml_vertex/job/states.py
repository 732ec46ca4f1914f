"""What the state of a job means: for ZenML, and whether the job can still change.

The states are those of
https://cloud.google.com/vertex-ai/docs/reference/rest/v1/JobState; the statuses
are the values of `zenml.enums.ExecutionStatus`.
"""

from dataclasses import dataclass

_PREFIX = "JOB_STATE_"


@dataclass(frozen=True, slots=True)
class StateMeaning:
    """What one job state means."""

    # ZenML's status of a step whose job is in the state.
    status: str
    # Whether the job has ended, for good: it cannot change any more.
    is_terminal: bool
    # The state in words, for log lines.
    phase: str


# CANCELLING is `running`: ZenML's dynamic runner drops a step that is `stopping`
# from its monitoring and then waits for it forever.
# No call of the API resumes a PAUSED CustomJob, and none is known to pause one.
STATES: dict[str, StateMeaning] = {
    "JOB_STATE_UNSPECIFIED": StateMeaning("provisioning", is_terminal=False, phase="accepted"),
    "JOB_STATE_QUEUED": StateMeaning("provisioning", is_terminal=False, phase="queued"),
    "JOB_STATE_PENDING": StateMeaning("provisioning", is_terminal=False, phase="provisioning"),
    "JOB_STATE_RUNNING": StateMeaning("running", is_terminal=False, phase="running"),
    "JOB_STATE_SUCCEEDED": StateMeaning("completed", is_terminal=True, phase="succeeded"),
    "JOB_STATE_FAILED": StateMeaning("failed", is_terminal=True, phase="failed"),
    "JOB_STATE_CANCELLING": StateMeaning("running", is_terminal=False, phase="cancelling"),
    "JOB_STATE_CANCELLED": StateMeaning("stopped", is_terminal=True, phase="cancelled"),
    "JOB_STATE_PAUSED": StateMeaning("running", is_terminal=False, phase="paused"),
    "JOB_STATE_EXPIRED": StateMeaning("failed", is_terminal=True, phase="expired"),
    "JOB_STATE_UPDATING": StateMeaning("running", is_terminal=False, phase="updating"),
    "JOB_STATE_PARTIALLY_SUCCEEDED": StateMeaning(
        "failed", is_terminal=True, phase="partially succeeded"
    ),
}

TERMINAL_STATES = tuple(state for state, meaning in STATES.items() if meaning.is_terminal)

_UNKNOWN = StateMeaning("running", is_terminal=False, phase="in a state unknown to this version")


def interpret(state: str) -> StateMeaning:
    """What a state means; one that is not in the table counts as running."""
    return STATES.get(state, _UNKNOWN)


def is_known(state: str) -> bool:
    """Whether the state is in the table."""
    return state in STATES


def short_name(state: str) -> str:
    """The state without the prefix that all states share: `RUNNING` for `JOB_STATE_RUNNING`."""
    return state.removeprefix(_PREFIX)
