"""A client's process: it can be cut off at every boundary between it and the world."""

from collections import Counter
from collections.abc import Callable, Sequence

from zenml.exceptions import RunInterruptedException, RunStoppedException

from campaign.trial import Cut, CutKind

# What a process may do before it counts as one that never ends.
MOST_CROSSINGS = 400_000


class Killed(BaseException):
    """SIGKILL: nothing that the process still does has an effect."""


class Endless(BaseException):
    """The process has gone on for too long."""


def _build_error(how: CutKind) -> BaseException:
    if how == "SIGKILL":
        return Killed()
    if how == "Ctrl-C":
        return KeyboardInterrupt()
    if how == "SIGTERM":
        return RunInterruptedException("The execution was interrupted.")
    return RunStoppedException("Pipeline run is stopped.")


class Process:
    """A process of a client.

    Args:
        cuts: Where it is cut off.
        sleep: Lets time pass.
        monotonic: Seconds since an arbitrary start.
        most_seconds: How long it may go on before it counts as one that never ends.
        most_crossings: How many boundaries it may cross before that.
    """

    def __init__(
        self,
        cuts: Sequence[Cut],
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
        *,
        most_seconds: float,
        most_crossings: float = MOST_CROSSINGS,
    ) -> None:
        self.phase = "start"
        self.seen: Counter[str] = Counter()
        self.hit: list[Cut] = []
        self.background: list[Callable[[], None]] = []
        self._cuts = list(cuts)
        self._sleep = sleep
        self._monotonic = monotonic
        self._begin = monotonic()
        self._end: BaseException | None = None
        self._crossings = 0
        self._most_seconds = most_seconds
        self._most_crossings = most_crossings

    @property
    def is_over(self) -> bool:
        """Whether it was killed, or has gone on for too long."""
        return self._end is not None

    @property
    def was_killed(self) -> bool:
        """Whether it was killed."""
        return isinstance(self._end, Killed)

    @property
    def is_endless(self) -> bool:
        """Whether it has gone on for too long."""
        return isinstance(self._end, Endless)

    @property
    def was_interrupted(self) -> bool:
        """Whether it was cut off by something that it could notice."""
        return any(cut.how != "SIGKILL" for cut in self.hit)

    def cross(self, call: str, when: str) -> None:
        """Cross a boundary.

        Raises:
            BaseException: Whatever cuts the process off here.
        """
        if self._end is not None:
            raise self._end
        place = f"{self.phase}: {call} {when}"
        self.seen[place] += 1
        self._crossings += 1
        is_late = self._monotonic() - self._begin > self._most_seconds
        if is_late or self._crossings > self._most_crossings:
            self._end = Endless()
            raise self._end
        for cut in self._cuts:
            if cut.place == place and cut.nth == self.seen[place]:
                self.hit.append(cut)
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
        """Time as `time.time` has it."""
        return self._monotonic()
