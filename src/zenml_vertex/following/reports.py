"""Asking the ZenML server for what steps have reported: at once after a note, seldom without.

A question costs the server some 30 ms of its processor, for a step run as for a hundred.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from zenml_vertex.clock import Clock
from zenml_vertex.errors import StepRunNotFound, VertexStepOperatorError
from zenml_vertex.following.cadence import (
    NOTE_QUICKEST_SECONDS,
    QUICKEST_SECONDS,
    ServerContext,
    choose_note_interval,
    choose_server_interval,
)
from zenml_vertex.following.cancelling import Canceller
from zenml_vertex.following.follower import JobFollower
from zenml_vertex.following.notes import NoteSeeker
from zenml_vertex.following.outages import OutageLog
from zenml_vertex.following.protocols import StepRuns

# Until the server is asked again for a step that has left a note, or whose step run it does
# not find.
_AGAIN_SECONDS = 3.0
# A step whose note was in vain may leave notes all the time: each has its next ones rest for
# twice as long, in the end as long as the server is left alone without notes.
_LONGEST_REST_SECONDS = 60.0


@dataclass(slots=True)
class _NotesOfStep:
    """The notes that one step has left."""

    # Whether there is one for which the server has yet to be asked.
    is_waiting: bool = False
    # When the server may be asked because of the next one, by the clock.
    rests_until: float = 0.0
    # How long they rest after the next question.
    rest_seconds: float = _AGAIN_SECONDS


@dataclass(slots=True)
class Reports:
    """What the steps that wait have reported to the ZenML server."""

    step_runs: StepRuns
    seeker: NoteSeeker
    clock: Clock
    # Where failures are logged.
    outages: OutageLog
    # Cancels the jobs of step runs that were deleted.
    canceller: Canceller
    # Makes an interval a little longer.
    jitter: Callable[[float], float]
    _server_due: float = field(default=0.0, init=False)
    _notes_due: float = field(default=math.inf, init=False)
    _submitted_at: float = field(default=0.0, init=False)
    # How long the server took for its last answer.
    _answer_seconds: float = field(default=0.0, init=False)
    # Step runs that left a note for which the server was asked, until it has answered.
    _noted: set[str] = field(default_factory=set, init=False)
    # Step run -> the notes that it has left.
    _notes: dict[str, _NotesOfStep] = field(default_factory=dict, init=False)
    # Whether a step run was not found.
    _misses: bool = field(default=False, init=False)

    @property
    def next_due(self) -> float:
        """When to ask again, by the clock."""
        return min(self._server_due, self._notes_due)

    def expect(self, *, is_first: bool) -> None:
        """Ask soon, since one more step waits from now on; at once if it is the only one."""
        now = self.clock.monotonic()
        self._submitted_at = now
        self._server_due = now if is_first else min(self._server_due, now + QUICKEST_SECONDS)
        if self.seeker.is_possible and not self.seeker.failures:
            self._notes_due = now + NOTE_QUICKEST_SECONDS

    def ask_if_due(self, waiting: Sequence[JobFollower], jobs_elsewhere: int) -> None:
        """Pass on what the steps have reported.

        Args:
            waiting: Those who follow the steps that wait.
            jobs_elsewhere: As in `PollContext`.
        """
        now = self.clock.monotonic()
        if now >= self._notes_due:
            self._look(waiting, now)
        if now >= self._server_due:
            self._ask(waiting)
            interval = choose_server_interval(self._build_context(waiting, jobs_elsewhere))
            if self._noted or self._misses:
                interval = min(interval, _AGAIN_SECONDS)
            self._server_due = self.clock.monotonic() + self.jitter(interval)

    def _look(self, waiting: Sequence[JobFollower], now: float) -> None:
        """Look for notes, and ask for the steps that have left one."""
        found = self.seeker.look(follower for follower in waiting if follower.reports_itself)
        self._notes_due = now + self.jitter(
            choose_note_interval(now - self._submitted_at, self.seeker.failures)
        )
        noted = self._choose_noted(waiting, found, now)
        if noted:
            self._noted |= {follower.step_run_id for follower in noted}
            self._ask(noted)
            if self._noted:
                self._server_due = min(self._server_due, now + _AGAIN_SECONDS)

    def _choose_noted(
        self, waiting: Sequence[JobFollower], found: set[str], now: float
    ) -> list[JobFollower]:
        """Those who have left a note, now or before, and for whom the server may be asked now."""
        chosen = []
        for follower in waiting:
            if follower.step_run_id in found:
                self._notes.setdefault(follower.step_run_id, _NotesOfStep()).is_waiting = True
            notes = self._notes.get(follower.step_run_id)
            if notes and notes.is_waiting and now >= notes.rests_until:
                chosen.append(follower)
                notes.is_waiting = False
                notes.rests_until = now + notes.rest_seconds
                notes.rest_seconds = min(2 * notes.rest_seconds, _LONGEST_REST_SECONDS)
        if len(self._notes) > len(waiting):
            ids = {follower.step_run_id for follower in waiting}
            self._notes = {key: notes for key, notes in self._notes.items() if key in ids}
        return chosen

    def _build_context(self, waiting: Sequence[JobFollower], jobs_elsewhere: int) -> ServerContext:
        now = self.clock.monotonic()
        running = [
            now - follower.changed_at
            for follower in waiting
            if follower.reports_itself and not follower.is_starting and not follower.is_finished
        ]
        return ServerContext(
            seconds_waiting=now - self._submitted_at,
            seconds_running=min(running) if running and not self.seeker.works else None,
            answer_seconds=self._answer_seconds,
            jobs_elsewhere=jobs_elsewhere,
        )

    def _ask(self, waiting: Iterable[JobFollower]) -> None:
        """Poll the ZenML server for what the steps have reported themselves."""
        self._misses = False
        for run_id, followers in group_by_run(waiting).items():
            asked = {follower.step_run_id: follower for follower in followers}
            began = self.clock.monotonic()
            try:
                reported = self.step_runs.statuses(run_id, list(asked))
            except StepRunNotFound as error:
                self.outages.warn("ZenML", error)
                self._note_missing(followers, error)
                continue
            except VertexStepOperatorError as error:
                self.outages.warn("ZenML", error)
                continue
            self._answer_seconds = self.clock.monotonic() - began
            self._noted.difference_update(asked)
            self.outages.note_success("ZenML")
            for step_run_id, news in reported.items():
                if step_run_id in asked:
                    asked[step_run_id].see_reported(news)

    def _note_missing(self, followers: Iterable[JobFollower], error: StepRunNotFound) -> None:
        """Count step runs as not found, and cancel the jobs of those that stay away."""
        self._misses = True
        for follower in followers:
            self._noted.discard(follower.step_run_id)
            follower.note_failure(error)
            if follower.is_finished:
                self.canceller.cancel_unneeded(follower.log)


def group_by_run(followers: Iterable[JobFollower]) -> dict[str, list[JobFollower]]:
    """Followers by their pipeline runs."""
    runs: dict[str, list[JobFollower]] = {}
    for follower in followers:
        runs.setdefault(follower.run_id, []).append(follower)
    return runs
