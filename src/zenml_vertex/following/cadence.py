"""How often to poll: often while something is about to change, rarely later. Pure.

Vertex AI allows 600 reads per minute, project and region, for everybody together
(https://cloud.google.com/vertex-ai/docs/quotas), and there is no telling who else reads.
So a process polls at most 12 times a minute, and the more jobs of its run other
processes wait for, the less often it polls.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zenml_vertex.errors import (
    CredentialsError,
    PermissionDenied,
    QuotaExceeded,
    ServiceUnavailable,
    VertexStepOperatorError,
)

# 12 times a minute.
QUICKEST_SECONDS = 5.0
# Seconds since the last change of a job's state -> seconds between two polls.
_CADENCE = ((2 * 60.0, QUICKEST_SECONDS), (10 * 60.0, 15.0), (60 * 60.0, 30.0))
_SLOWEST_SECONDS = 60.0
# A job in a queue, or whose machine is being provisioned, changes within minutes.
_STARTING_SECONDS = 10 * 60.0
# For each job that another process waits for, which may cost that process two reads a
# poll: a thousand processes then make 300 reads a minute.
_SECONDS_PER_JOB_ELSEWHERE = 0.4

# The ZenML server says that a step was told to stop, and that it has finished if no note says so.
_SERVER_QUICKEST_SECONDS = 20.0
_SERVER_SHARE_OF_WAITING = 1 / 8
_SERVER_SLOWEST_SECONDS = 90.0
# Where notes cannot be looked for, the server alone says at once that a running step has finished.
_SERVER_QUICKEST_UNNOTED_SECONDS = 1.0
_SERVER_SHARE_OF_RUNNING = 1 / 50
# A process takes at most a twentieth of the server's time, and processes with one step each a
# sixth of a processor together, at 30 ms a question.
_ANSWERS_APART = 20
_SERVER_SECONDS_PER_JOB_ELSEWHERE = 0.2
_SERVER_LONGEST_SECONDS = 5 * 60.0

# A look for notes costs the ZenML server nothing.
NOTE_QUICKEST_SECONDS = 0.5
_NOTE_SHARE_OF_WAITING = 1 / 100
_NOTE_SLOWEST_SECONDS = 5.0
# Where looks fail, mostly for good.
_NOTE_FAILED_SECONDS = (30.0, 10 * 60.0)

# Kind of failure -> seconds until the next poll after the first, and at most; each further
# failure in a row doubles the seconds. What has no row may be the fault of the polls.
_BACKOFFS: Mapping[type[VertexStepOperatorError], tuple[float, float]] = {
    # No answer: it is back at any moment.
    ServiceUnavailable: (QUICKEST_SECONDS, 30.0),
    # Quotas of calls are per minute.
    QuotaExceeded: (10.0, 60.0),
    # Somebody has to notice, and what they change takes minutes to spread.
    CredentialsError: (10.0, 2 * 60.0),
    PermissionDenied: (10.0, 2 * 60.0),
}
_OTHER_BACKOFF = (10.0, 5 * 60.0)


@dataclass(frozen=True, slots=True)
class PollContext:
    """What the interval until the next poll depends on."""

    # Since a job changed its state, or was created.
    seconds_since_change: float
    # Whether a job is queued, or its machine is being provisioned.
    is_starting: bool = False
    # Whether a step waits that reports nothing to ZenML, so that only Vertex AI knows of
    # its end.
    is_silent: bool = False
    # Whether jobs are left unread that have probably ended.
    is_behind: bool = False
    # Live jobs of the same run that other processes wait for, as far as is known.
    jobs_elsewhere: int = 0


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What the interval until the ZenML server is asked again depends on."""

    # Since the last submission of a step.
    seconds_waiting: float
    # Since the last step that reports itself began to run; None if there is none, or if the
    # note that it leaves would be found.
    seconds_running: float | None = None
    # How long the server took for its last answer.
    answer_seconds: float = 0.0
    # As in `PollContext`.
    jobs_elsewhere: int = 0


def choose_interval(context: PollContext) -> float:
    """Seconds until Vertex AI is asked again; at least `QUICKEST_SECONDS`."""
    since = context.seconds_since_change
    interval = next((seconds for until, seconds in _CADENCE if since < until), _SLOWEST_SECONDS)
    if (context.is_starting or context.is_silent) and since < _STARTING_SECONDS:
        interval = QUICKEST_SECONDS
    if context.is_behind:
        interval = QUICKEST_SECONDS
    return max(interval, _SECONDS_PER_JOB_ELSEWHERE * context.jobs_elsewhere)


def choose_server_interval(context: ServerContext) -> float:
    """Seconds until the ZenML server is asked again without a note."""
    interval = _clamp(
        _SERVER_QUICKEST_SECONDS,
        _SERVER_SHARE_OF_WAITING * context.seconds_waiting,
        _SERVER_SLOWEST_SECONDS,
    )
    if context.seconds_running is not None:
        unnoted = _SERVER_SHARE_OF_RUNNING * context.seconds_running
        interval = min(interval, max(_SERVER_QUICKEST_UNNOTED_SECONDS, unnoted))
    return _clamp(
        interval,
        max(
            _ANSWERS_APART * context.answer_seconds,
            _SERVER_SECONDS_PER_JOB_ELSEWHERE * context.jobs_elsewhere,
        ),
        _SERVER_LONGEST_SECONDS,
    )


def choose_note_interval(seconds_waiting: float, failures: int = 0) -> float:
    """Seconds until notes are looked for again.

    Args:
        seconds_waiting: As in `ServerContext`.
        failures: Looks in a row that failed.
    """
    if failures:
        first, longest = _NOTE_FAILED_SECONDS
        return min(first * 2.0 ** min(failures - 1, 16), longest)
    share = _NOTE_SHARE_OF_WAITING * seconds_waiting
    return _clamp(NOTE_QUICKEST_SECONDS, share, _NOTE_SLOWEST_SECONDS)


def _clamp(least: float, value: float, most: float) -> float:
    return max(least, min(value, most))


def back_off(
    failures: int, errors: Iterable[VertexStepOperatorError], jobs_elsewhere: int = 0
) -> float:
    """Seconds until the next poll after polls in a row in which nothing was answered.

    Args:
        failures: Number of these polls; at least 1.
        errors: What went wrong in the last one; the kind that takes longest counts.
        jobs_elsewhere: As in `PollContext`.
    """
    pauses = [_SECONDS_PER_JOB_ELSEWHERE * jobs_elsewhere]
    for error in errors:
        first, longest = _BACKOFFS.get(type(error), _OTHER_BACKOFF)
        pauses.append(min(first * 2.0 ** min(failures - 1, 16), longest))
        if isinstance(error, QuotaExceeded):
            pauses.append(error.retry_after or 0.0)
    return max(pauses)
