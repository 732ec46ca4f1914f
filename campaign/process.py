"""A client's process, which can be cut off at every boundary between it and the world."""

from collections import Counter
from collections.abc import Callable, Sequence

from zenml.exceptions import RunInterruptedException, RunStoppedException

from campaign.trial import Cut, CutKind

# How many boundaries a process can cross before it counts as never ending.
MAX_CROSSINGS = 400_000


class Killed(BaseException):
    """SIGKILL: nothing that the process does from now on has an effect."""


class NeverEnding(BaseException):
    """The process runs for too long."""


def _build_error(how: CutKind) -> BaseException:
    if how == "SIGKILL":
        return Killed()
    if how == "Ctrl-C":
        return KeyboardInterrupt()
    if how == "SIGTERM":
        return RunInterruptedException("The execution was interrupted.")
    return RunStoppedException("Pipeline run is stopped.")


class Process:
    """A process of a client; implements `zenml_vertex.clock.Clock`.

    Args:
        cuts: Where it is cut off.
        sleep: Lets time pass.
        monotonic: Seconds since an arbitrary start.
        max_seconds: How long it can run before it counts as never ending.
        max_crossings: How many boundaries it can cross before that.
    """

    def __init__(
        self,
        cuts: Sequence[Cut],
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
        *,
        max_seconds: float,
        max_crossings: float = MAX_CROSSINGS,
    ) -> None:
        self.phase = "start"
        self.crossed: Counter[str] = Counter()
        self.cuts_met: list[Cut] = []
        self.background: list[Callable[[], None]] = []
        self._cuts = list(cuts)
        self._sleep = sleep
        self._monotonic = monotonic
        self._begin = monotonic()
        self._end: BaseException | None = None
        self._crossings = 0
        self._most_seconds = max_seconds
        self._most_crossings = max_crossings

    @property
    def has_ended(self) -> bool:
        """Whether it was killed, or ran for too long."""
        return self._end is not None

    @property
    def was_killed(self) -> bool:
        """Whether it was killed."""
        return isinstance(self._end, Killed)

    @property
    def is_endless(self) -> bool:
        """Whether it ran for too long."""
        return isinstance(self._end, NeverEnding)

    @property
    def was_interrupted(self) -> bool:
        """Whether it was cut off in a way that it could notice."""
        return any(cut.how != "SIGKILL" for cut in self.cuts_met)

    def cross(self, call: str, when: str) -> None:
        """Cross a boundary.

        Raises:
            BaseException: What cuts the process off here.
        """
        if self._end is not None:
            raise self._end
        boundary = f"{self.phase}: {call} {when}"
        self.crossed[boundary] += 1
        self._crossings += 1
        is_late = self._monotonic() - self._begin > self._most_seconds
        if is_late or self._crossings > self._most_crossings:
            self._end = NeverEnding()
            raise self._end
        for cut in self._cuts:
            if cut.boundary == boundary and cut.nth == self.crossed[boundary]:
                self.cuts_met.append(cut)
                error = _build_error(cut.how)
                if isinstance(error, Killed):
                    self._end = error
                raise error

    def monotonic(self) -> float:
        """The process's clock."""
        self.cross("clock.monotonic", "before")
        return self._monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.cross("clock.sleep", "before")
        self._sleep(seconds)
        self.cross("clock.sleep", "after")

    def time(self) -> float:
        """Like `monotonic`, without crossing a boundary."""
        return self._monotonic()
