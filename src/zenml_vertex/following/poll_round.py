"""The reads of one poll: one that fails does not end it, several in a row do."""

from dataclasses import dataclass, field

from zenml_vertex.clock import Clock
from zenml_vertex.errors import (
    CredentialsError,
    JobNotFound,
    PermissionDenied,
    QuotaExceeded,
    RequestRejected,
    VertexStepOperatorError,
)
from zenml_vertex.following.protocols import Jobs
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.request import JobJson

# Each read may fail by itself. After so many in a row, or so many seconds without an answer,
# the others would fail too, and might each take half a minute to do so.
_MOST_FAILURES_IN_A_ROW = 5
_MOST_SECONDS_WITHOUT_ANSWER = 10.0


@dataclass(slots=True)
class PollRound:
    """How the reads of one poll go."""

    clock: Clock
    # What went wrong.
    errors: list[VertexStepOperatorError] = field(default_factory=list, init=False)
    # Whether a read was answered.
    has_answer: bool = field(default=False, init=False)
    # Whether it makes no sense to read any more in this poll.
    is_over: bool = field(default=False, init=False)
    # Whether jobs are left unread that no list has: they have probably ended.
    is_behind: bool = field(default=False, init=False)
    _failures_in_a_row: int = field(default=0, init=False)
    _answered_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._answered_at = self.clock.monotonic()

    @property
    def has_failed(self) -> bool:
        """Whether no read was answered, or Vertex AI asks for fewer."""
        if not self.errors:
            return False
        return not self.has_answer or isinstance(self.errors[-1], QuotaExceeded)

    @property
    def is_disturbed(self) -> bool:
        """Whether a read failed otherwise than by a refusal, which is about that read only."""
        refusals = (PermissionDenied, RequestRejected)
        return any(not isinstance(error, refusals) for error in self.errors)

    @property
    def common_failure(self) -> VertexStepOperatorError | None:
        """The failure that every read would have met: no token, or no quota; None if none is."""
        last = self.errors[-1] if self.errors and not self.has_answer else None
        return last if isinstance(last, (CredentialsError, QuotaExceeded)) else None

    def read(self, jobs: Jobs, name: JobName) -> JobJson:
        """Read a job.

        Raises:
            VertexStepOperatorError: Why it cannot be read.
        """
        try:
            job = jobs.get(str(name))
        except JobNotFound:
            self.note_answer()
            raise
        except VertexStepOperatorError as error:
            self.note_failure(error)
            raise
        self.note_answer()
        return job

    def note_answer(self) -> None:
        """Note that a read was answered."""
        self.has_answer = True
        self._failures_in_a_row = 0
        self._answered_at = self.clock.monotonic()

    def note_failure(self, error: VertexStepOperatorError) -> None:
        """Note that a read failed."""
        self.errors.append(error)
        self._failures_in_a_row += 1
        self.is_over = (
            isinstance(error, (CredentialsError, QuotaExceeded))
            or self._failures_in_a_row >= _MOST_FAILURES_IN_A_ROW
            or self.clock.monotonic() - self._answered_at > _MOST_SECONDS_WITHOUT_ANSWER
        )
