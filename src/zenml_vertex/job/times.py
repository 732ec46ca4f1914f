"""How long a job waited and ran, by its own times, and durations as people read them.

The times are those of
https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs;
`startTime` and `endTime` are mostly whole seconds, `createTime` is not.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, TypeAdapter, ValidationError

_TIME: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)
_DECIMAL_BELOW_SECONDS = 9.95
# Scheduling.timeout of a job that sets none.
DEFAULT_TIMEOUT_SECONDS = 7 * 24 * 3600.0
# Times in whole seconds, rounded either way.
_ROUNDING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class JobTimes:
    """When a job was created, first ran, and ended; None for what it has not, or not yet."""

    created: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None

    @classmethod
    def read(cls, job: dict[str, Any]) -> "JobTimes":
        """Read a CustomJob, as API JSON; a time that cannot be read counts as not there."""
        return cls(
            *(read_timestamp(job.get(key)) for key in ("createTime", "startTime", "endTime"))
        )

    @property
    def waited(self) -> float | None:
        """Seconds from its creation to its start; 0 or more."""
        return _subtract(self.created, self.started)

    @property
    def ran(self) -> float | None:
        """Seconds from its start to its end; 0 or more."""
        return _subtract(self.started, self.ended)

    @property
    def existed(self) -> float | None:
        """Seconds from its creation to its end; 0 or more."""
        return _subtract(self.created, self.ended)


def find_reached_timeout(job: dict[str, Any]) -> float | None:
    """The timeout, in seconds, that a cancelled job had reached; None if it had not.

    Vertex AI cancels such a job (tfx #6223), and its text says no more than of any other.

    Args:
        job: The CustomJob, as API JSON.
    """
    if job.get("state") != "JOB_STATE_CANCELLED":
        return None
    scheduling = (job.get("jobSpec") or {}).get("scheduling") or {}
    timeout = read_seconds(scheduling.get("timeout")) or DEFAULT_TIMEOUT_SECONDS
    ran = JobTimes.read(job).ran
    return timeout if ran is not None and ran + _ROUNDING_SECONDS >= timeout else None


def read_seconds(duration: str | None) -> float:
    """The seconds of a duration as API JSON, such as `12s`; 0 for none."""
    return float(duration.removesuffix("s")) if duration else 0.0


def read_timestamp(text: object) -> datetime | None:
    """A time of the API; None if there is none, or if it cannot be read."""
    try:
        return _TIME.validate_python(text)
    except ValidationError:
        return None


def _subtract(since: datetime | None, until: datetime | None) -> float | None:
    if since is None or until is None:
        return None
    # A time in whole seconds may lie before one that it follows.
    return max(0.0, (until - since).total_seconds())


def format_duration(seconds: float) -> str:
    """A duration in two units at most: `0.5 s`, `8 s`, `2 min 5 s`, `1 h`."""
    seconds = max(0.0, seconds)
    if seconds < _DECIMAL_BELOW_SECONDS:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (0 if hours else rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
