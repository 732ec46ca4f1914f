"""One poll for all steps of a process that wait for jobs in one project and region.

However many steps wait, a poll costs one list of jobs for each pipeline run among them, and
now and then one request to the ZenML server, see `reports.py`. Jobs are read one by one only
where a list leaves a question open. Asking for a status polls if a poll is due, and otherwise
answers what is known: no step has a thread of its own. A poll that takes long goes on in a
thread, one for all, so that a caller that asks for a thousand steps in turn does not wait for it.
"""

import random
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from zenml_vertex.clock import Clock
from zenml_vertex.errors import (
    JobNotFound,
    PermissionDenied,
    RequestRejected,
    ServerUnreachable,
    StepRunNotFound,
    VertexStepOperatorError,
)
from zenml_vertex.following.cadence import (
    QUICKEST_SECONDS,
    PollContext,
    back_off,
    choose_interval,
)
from zenml_vertex.following.cancelling import Canceller
from zenml_vertex.following.follower import JobFollower
from zenml_vertex.following.lingering import LingeringJobs
from zenml_vertex.following.notes import NoteSeeker
from zenml_vertex.following.outages import OutageLog
from zenml_vertex.following.poll_round import PollRound
from zenml_vertex.following.protocols import Jobs, Notes, StepRuns
from zenml_vertex.following.reports import Reports, group_by_run
from zenml_vertex.following.single_flight import SingleFlight
from zenml_vertex.job.identity import RUN_LABEL, Attempt, filter_live_jobs, is_job_of
from zenml_vertex.job.request import JobJson
from zenml_vertex.job.step_status import interpret_status

# Jobs that are read one by one in a poll; the others follow in the next.
_MOST_READS = 20
_JITTER = 0.1
# More jobs than one page lists.
_UNKNOWN_NUMBER_OF_JOBS = 1000
# While jobs linger and no step waits, polls are as rare as if a job had run for so long.
_LINGERING_AGE_SECONDS = 10 * 60.0


@dataclass(frozen=True, slots=True)
class _Listed:
    """What a list of a run's live jobs says."""

    # Jobs by name.
    jobs: Mapping[str, JobJson]
    # Why the list failed, if its jobs should have been in it.
    error: VertexStepOperatorError | None = None
    # How many jobs other processes wait for; None if that is not known.
    elsewhere: int | None = None


@dataclass(slots=True)
class Watcher:
    """Watches the jobs of one project and region for every step of this process."""

    jobs: Jobs
    step_runs: StepRuns
    clock: Clock
    # Project and region, as the API names them.
    parent: str
    # Where containers leave notes; None if they leave none.
    notes: Notes | None = None
    # A random number from 0 to 1, so that processes that start together do not poll
    # together forever.
    draw: Callable[[], float] = random.random
    # Tells which pipeline runs are still followed.
    renew_leases: Callable[[Iterable[str]], None] = lambda _: None
    _followers: dict[str, JobFollower] = field(default_factory=dict, init=False)
    _outages: OutageLog = field(default_factory=OutageLog, init=False)
    _lingering: LingeringJobs = field(init=False)
    _canceller: Canceller = field(init=False)
    _reports: Reports = field(init=False)
    _single_flight: SingleFlight = field(init=False)
    # Held during a poll, while Vertex AI and the ZenML server are asked.
    _poll_lock: threading.RLock = field(default_factory=threading.RLock, init=False)
    # Guards `_followers`; held for moments.
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)
    _jobs_due: float = field(default=0.0, init=False)
    _failures: int = field(default=0, init=False)
    _jobs_elsewhere: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._lingering = LingeringJobs(self.jobs, self.clock, self._outages)
        self._canceller = Canceller(self.jobs, self.clock, self._outages)
        seeker = NoteSeeker(self.notes, self.clock)
        self._reports = Reports(
            self.step_runs, seeker, self.clock, self._outages, self._canceller, self._jittered
        )
        self._single_flight = SingleFlight(self.poll_if_due)

    def follow(self, follower: JobFollower) -> None:
        """Watch a step's job from now on; the next poll is soon."""
        with self._lock:
            now = self.clock.monotonic()
            is_first = not self._followers and not self._lingering
            if is_first:
                self._jobs_due = now
            elif not self._failures:
                # The interval was chosen for fewer steps, whose jobs may have been taken
                # for those of other processes.
                self._jobs_due = min(self._jobs_due, now + QUICKEST_SECONDS)
            self._reports.expect(is_first=is_first)
            self._followers[follower.step_run_id] = follower

    def find(self, step_run_id: str) -> JobFollower | None:
        """The follower of a step run, if it is watched here."""
        return self._followers.get(step_run_id)

    def has_finished(self, step_run_id: str) -> bool:
        """Whether a step that is watched here has finished."""
        follower = self._followers.get(step_run_id)
        return follower is not None and follower.is_finished

    def forget(self, step_run_id: str) -> JobFollower | None:
        """Stop watching a step's job."""
        with self._lock:
            return self._followers.pop(step_run_id, None)

    def poll(self, step_run_id: str, *, patience: float | None = None) -> str:
        """The status of a step as far as is known, after a poll if one is due.

        Args:
            step_run_id: The step run.
            patience: Seconds to wait for the poll, which goes on in a thread after
                that; None to wait until it is done. A poll that another caller has
                started in a thread is not waited for.

        Raises:
            KeyError: If the step run is not watched here.
        """
        with self._lock:
            follower = self._followers[step_run_id]
        if not follower.is_finished and self.clock.monotonic() >= self.next_due:
            if patience is None:
                self.poll_if_due()
            else:
                self._single_flight.run(patience)
        return follower.status

    def wait(self, step_run_id: str) -> str:
        """Poll until a step has finished; its final status.

        Raises:
            KeyError: If the step run is not watched here.
        """
        while not interpret_status(status := self.poll(step_run_id)).is_finished:
            self.clock.sleep(max(0.0, self.next_due - self.clock.monotonic()))
        return status

    @property
    def has_followers(self) -> bool:
        """Whether steps are watched here that have not been forgotten."""
        return bool(self._followers)

    @property
    def left(self) -> list[JobFollower]:
        """The steps that have not finished, as far as is known."""
        return [follower for follower in self._waiting() if not follower.is_terminal]

    def cancel(self, step_run_id: str) -> None:
        """Ask for a step's job to be cancelled; does nothing if it is not watched here.

        After a retryable error it is asked for again at later polls, until the step has
        finished: a caller that cancels many steps in turn has soon asked for each.

        Raises:
            VertexApiError: If the job may still be running and cannot be cancelled.
        """
        if follower := self.find(step_run_id):
            follower.log.log_cancelling()
            self._canceller.cancel(follower)

    def linger(self, follower: JobFollower, seconds: float, *, is_cancelled: bool = False) -> None:
        """Give the job of a finished step some time to end by itself; it is cancelled after that.

        Args:
            follower: The follower of the step.
            seconds: How long the job may take; 0 or more.
            is_cancelled: Whether the job was asked to stop already.
        """
        self._lingering.add(follower.log, follower.run_id, seconds, is_cancelled=is_cancelled)

    @property
    def has_lingering(self) -> bool:
        """Whether jobs are still running after their steps finished."""
        return bool(self._lingering)

    def tidy(self) -> None:
        """Poll for lingering jobs, if a poll is due."""
        if self._lingering:
            self.poll_if_due()

    @property
    def next_due(self) -> float:
        """When the next poll is due, by the clock."""
        return min(self._jobs_due, self._reports.next_due)

    def poll_if_due(self) -> None:
        """Poll, if a poll is due."""
        with self._poll_lock:
            self._poll()

    def _poll(self) -> None:
        now = self.clock.monotonic()
        self._reports.ask_if_due(self._waiting(), self._jobs_elsewhere)
        if now >= self._jobs_due:
            polled = self._ask_vertex()
            interval = choose_interval(self._poll_context(polled))
            if self._failures:
                interval = back_off(self._failures, polled.errors, self._jobs_elsewhere)
            self._jobs_due = self.clock.monotonic() + self._jittered(interval)
        waiting = self._waiting()
        for follower in waiting:
            self._canceller.cancel_if_due(follower)
        self.renew_leases({follower.run_id for follower in waiting})

    def _jittered(self, interval: float) -> float:
        """A little longer, never shorter: the intervals are what a quota allows."""
        return interval * (1 + _JITTER * self.draw())

    def _poll_context(self, polled: PollRound) -> PollContext:
        waiting = self._waiting()
        if not waiting:
            return PollContext(_LINGERING_AGE_SECONDS)
        now = self.clock.monotonic()
        return PollContext(
            seconds_since_change=now - max(follower.changed_at for follower in waiting),
            is_starting=any(follower.is_starting for follower in waiting),
            is_silent=any(not follower.reports_itself for follower in waiting),
            is_behind=polled.is_behind,
            jobs_elsewhere=self._jobs_elsewhere,
        )

    def _waiting(self) -> list[JobFollower]:
        with self._lock:
            return [follower for follower in self._followers.values() if not follower.is_finished]

    def _ask_vertex(self) -> PollRound:
        """Poll Vertex AI for the jobs; how that went."""
        waiting = group_by_run(self._waiting())
        polled = PollRound(self.clock)
        lists = {
            run_id: self._list(run_id, len(waiting.get(run_id, ())), polled)
            for run_id in {*waiting, *self._lingering.find_runs()}
        }
        if any(listed.elsewhere is not None for listed in lists.values()):
            self._jobs_elsewhere = sum(listed.elsewhere or 0 for listed in lists.values())
        unseen: list[tuple[JobFollower, VertexStepOperatorError | None]] = []
        for run_id, followers in waiting.items():
            listed = lists[run_id]
            unseen += [(one, listed.error) for one in self._see_listed(followers, listed.jobs)]
        self._read_some(unseen, polled)
        for run_id, listed in lists.items():
            self._lingering.end(run_id, listed.jobs, _MOST_READS, polled)
        self._failures = self._failures + 1 if polled.has_failed else 0
        if not polled.is_disturbed:
            self._outages.note_success("Vertex")
        return polled

    def _list(self, run_id: str, waiting: int, polled: PollRound) -> _Listed:
        """The live jobs of a run, all or one page; none without permission to list.

        A process that waits for a few of many jobs reads its own one by one instead.
        """
        if polled.is_over:
            return _Listed({})
        job_filter = filter_live_jobs(RUN_LABEL, run_id)
        try:
            listed = self.jobs.list(self.parent, job_filter, first_page_only=waiting <= _MOST_READS)
        except (PermissionDenied, RequestRejected) as error:
            # `customJobs.get` is enough to follow a job.
            polled.note_failure(error)
            self._outages.warn("list", error)
            return _Listed({})
        except VertexStepOperatorError as error:
            polled.note_failure(error)
            self._outages.warn("Vertex", error)
            return _Listed({}, error)
        polled.note_answer()
        elsewhere = len(listed.jobs) - waiting if listed.is_complete else _UNKNOWN_NUMBER_OF_JOBS
        return _Listed({job["name"]: job for job in listed.jobs}, elsewhere=max(0, elsewhere))

    def _see_listed(
        self, followers: Iterable[JobFollower], listed: Mapping[str, JobJson]
    ) -> list[JobFollower]:
        """Pass a run's jobs to their followers; the followers whose job is not among them."""
        followed = {follower.attempt.as_labelled: follower for follower in followers}
        for job in listed.values():
            attempt = Attempt.read(job.get("labels", {}))
            follower = followed.get(attempt) if attempt else None
            if (
                follower
                and str(follower.name) != job["name"]
                and is_job_of(job, follower.attempt, self.step_runs.server_id)
            ):
                self._canceller.cancel_duplicate(follower.step, job)
        unseen = []
        for follower in followers:
            job_json = listed.get(str(follower.name))
            if job_json is None:
                unseen.append(follower)
            else:
                self._see(follower, job_json)
        return unseen

    def _read_some(
        self, unseen: list[tuple[JobFollower, VertexStepOperatorError | None]], polled: PollRound
    ) -> None:
        """Read some of the jobs that no list has; those not read come first in the next poll.

        They have ended, were deleted, are not listed yet, or the list failed.

        Args:
            unseen: Who follows them, and why the list failed.
            polled: The poll.
        """
        for number, (follower, error) in enumerate(unseen):
            if number < _MOST_READS and not polled.is_over:
                with self._lock:
                    if self._followers.pop(follower.step_run_id, None):
                        self._followers[follower.step_run_id] = follower
                self._read(follower, polled)
                continue
            polled.is_behind = True
            if failure := polled.common_failure or error:
                follower.note_failure(failure)

    def _read(self, follower: JobFollower, polled: PollRound) -> None:
        try:
            job = polled.read(self.jobs, follower.name)
        except VertexStepOperatorError as error:
            is_about_job = isinstance(error, (JobNotFound, PermissionDenied))
            polled.is_behind |= not is_about_job
            self._outages.warn(follower.log if is_about_job else "Vertex", error)
            follower.note_failure(error)
        else:
            self._see(follower, job)

    def _see(self, follower: JobFollower, job: JobJson) -> None:
        try:
            follower.see_job(job)
        except (ServerUnreachable, StepRunNotFound) as error:
            self._outages.warn("ZenML", error)
            follower.note_failure(error)
