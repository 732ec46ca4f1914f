"""Looking for the notes that the containers of steps leave when they have reported.

The ZenML server then need not be asked all the time. Whether the place can be looked into is
found by trying: a process whose looks fail asks the server instead, and looks seldom.
"""

import logging
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from zenml_vertex.clock import Clock
from zenml_vertex.errors import PermissionDenied
from zenml_vertex.following.follower import JobFollower
from zenml_vertex.following.protocols import Notes
from zenml_vertex.following.single_flight import SingleFlight

if TYPE_CHECKING:
    from zenml_vertex.job.identity import Attempt

logger = logging.getLogger(__name__)

# A look that takes longer goes on in its thread, and nobody waits for it.
_PATIENCE_SECONDS = 1.0
# A look that takes longer than this does not work.
_HANGING_SECONDS = 10.0


class NoteSeeker:
    """Looks for the notes of steps; never raises, and never takes long.

    Args:
        notes: Where they are; None if there is no such place.
        clock: Where time comes from.
    """

    def __init__(self, notes: Notes | None, clock: Clock) -> None:
        self.failures = 0
        self._notes = notes
        self._clock = clock
        self._single_flight = SingleFlight(self._look)
        # What to look for: pipeline run -> attempts.
        self._wanted: dict[str, list[Attempt]] = {}
        self._found: set[str] = set()
        self._began: float | None = None
        self._has_said_denied = False
        self._lock = threading.Lock()

    @property
    def is_possible(self) -> bool:
        """Whether there is a place to look into."""
        return self._notes is not None

    @property
    def works(self) -> bool:
        """Whether a note would be found, as far as is known."""
        began = self._began
        hangs = began is not None and self._clock.monotonic() - began > _HANGING_SECONDS
        return self.is_possible and not self.failures and not hangs

    def look(self, followers: Iterable[JobFollower]) -> set[str]:
        """The step runs, of those that are followed, whose notes have been found since.

        Each note is found once.
        """
        wanted: dict[str, list[Attempt]] = {}
        for follower in followers:
            wanted.setdefault(follower.run_id, []).append(follower.attempt)
        if wanted and self.is_possible:
            self._wanted = wanted
            self._single_flight.run(_PATIENCE_SECONDS)
        with self._lock:
            found, self._found = self._found, set()
        return found

    def _look(self) -> None:
        if self._notes is None:
            return
        self._began = self._clock.monotonic()
        try:
            for run_id, attempts in self._wanted.items():
                taken = self._notes.take(run_id, attempts)
                with self._lock:
                    self._found |= {attempt.step_run_id for attempt in taken}
        except Exception as error:  # noqa: BLE001 - whatever an artifact store may raise
            self._note_failure(error)
        else:
            self.failures = 0
        finally:
            self._began = None

    def _note_failure(self, error: Exception) -> None:
        self.failures += 1
        if isinstance(error, PermissionDenied) and not self._has_said_denied:
            self._has_said_denied = True
            logger.info(
                "%s Until then, the ZenML server is asked whether steps have finished, and a step "
                "ends up to a fiftieth of its time later, at most a minute.",
                error,
            )
        elif self.failures == 1:
            logger.debug(
                "Cannot see in the artifact store that steps have finished (%s); asking the ZenML "
                "server more often instead.",
                type(error).__name__,
            )
