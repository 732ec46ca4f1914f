"""Scripts of incidents as a pure function: any script, among any other events."""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from vertex_emulator.jobs import events
from vertex_emulator.jobs.events import (
    Act,
    CancelRequested,
    Due,
    EndReplicas,
    FaultHappened,
    ForgetJob,
    InternalError,
    Later,
    ReplicaEnded,
    StartReplicas,
)
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.kept import job_from_json, job_to_json
from vertex_emulator.jobs.lifecycle import advance, begin
from vertex_emulator.jobs.states import TERMINAL_STATES, JobState
from vertex_emulator.jobs.timings import Timings
from vertex_emulator.runtimes.contract import Exit

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
TIMINGS = Timings(queueing=10, provisioning=180, teardown=60, cleanup=30)
STAGES = ("queued", "provisioning", "running", "tearing_down", "over")
MAY_FOLLOW = {
    "QUEUED": {"PENDING", "CANCELLING", "PAUSED", "EXPIRED", "FAILED"},
    "PENDING": {"RUNNING", "CANCELLING", "PAUSED", "EXPIRED", "FAILED"},
    "RUNNING": {
        "PENDING", "CANCELLING", "PAUSED", "EXPIRED", "FAILED", "UPDATING", "SUCCEEDED",
        "PARTIALLY_SUCCEEDED",
    },
    "PAUSED": {"PENDING", "CANCELLING"},
    "UPDATING": {"RUNNING", "CANCELLING"},
    "CANCELLING": {"CANCELLED", "SUCCEEDED", "FAILED"},
}  # fmt: skip

seconds = st.none() | st.sampled_from([0.0, 1.0, 20.0, 500.0])
statuses: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict, code=st.just(13), message=st.just("It is gone.")
)
incidents = st.one_of(
    st.builds(
        events.Restart,
        st.sampled_from(["stockout", "preemption", "internal error", "exit"]),
        st.integers(0, 7),
        statuses,
        st.booleans(),
        st.booleans(),
        st.none() | st.just("It stays away."),
    ),
    st.builds(events.End, st.just(JobState.FAILED), statuses, st.booleans()),
    st.builds(
        events.End,
        st.sampled_from(sorted(TERMINAL_STATES - {JobState.FAILED})),
        st.none(),
        st.booleans(),
        st.none() | st.sampled_from(sorted(TERMINAL_STATES)),
    ),
    st.builds(events.Pause, seconds),
    st.builds(events.Update, seconds),
    st.builds(events.ShowNumber, st.integers(12, 2**31 - 1), seconds),
    st.builds(events.Delete),
    st.builds(events.Hold, seconds),
    st.builds(events.HideExit, seconds),
    st.builds(events.StartAgain, st.sampled_from([0.0, 20.0, 100.0]), st.sampled_from([0.0, 50.0])),
)
acts = st.builds(
    Act,
    st.sampled_from(["running", *STAGES]),
    st.sampled_from([0.0, 0.0, 1.0, 5.0, 30.0, 300.0]),
    incidents,
    st.integers(1, 8),
    st.just("1"),
)
stories = st.lists(
    st.one_of(
        st.sampled_from([0.0, 1.0, 10.0, 60.0, 190.0, 1000.0]).map(lambda value: ("wait", value)),
        st.sampled_from([0, 1, 137, 139]).map(lambda status: ("end", status)),
        st.just(("cancel", 0)),
        st.just(("crash", 0)),
    ),
    max_size=40,
)


class Life:
    """A job with a script and the one container that it may have at a time."""

    def __init__(self, script: list[Act], *, no_retries: bool) -> None:
        spec: dict[str, Any] = {"workerPoolSpecs": [{}]}
        if no_retries:
            spec["scheduling"] = {"disableRetries": True}
        job = Job(
            project="p",
            number="1",
            location="us-central1",
            job_id="2",
            request={"displayName": "a job", "jobSpec": spec},
            create_time=START,
            update_time=START,
            script=tuple(script),
        )
        self.now = START
        self.is_deleted = False
        self.container: int | None = None
        self.must_end = False
        self.is_again = False
        self.starts: list[int] = []
        self.happened = 0
        self.job, effects = begin(job, TIMINGS)
        self.do(effects)

    def tell(self, event: events.Event) -> None:
        if self.is_deleted:
            return
        before = self.job
        self.job, effects = advance(before, event, self.now, TIMINGS)
        new = self.job.history[len(before.history) - 1 :]
        for (state, _), (after, _) in pairwise(new):
            assert after.name in MAY_FOLLOW[state.name], (state, after)
        assert self.job.update_time >= before.update_time
        assert job_from_json(job_to_json(self.job)) == self.job
        self.do(effects)

    def do(self, effects: tuple[events.Effect, ...]) -> None:
        for effect in effects:
            if isinstance(effect, StartReplicas) and effect.start > 1:
                assert self.container is None, "two containers at once"
                assert effect.attempt == self.starts[-1]
                self.is_again = True
            elif isinstance(effect, StartReplicas):
                assert self.container is None, "two containers at once"
                assert not self.is_again, "the second start of another attempt runs"
                self.container, self.must_end = effect.attempt, False
                self.starts.append(effect.attempt)
            elif isinstance(effect, EndReplicas):
                self.must_end = True
                if self.is_again:
                    self.is_again = False
                    self.tell(ReplicaEnded(self.job.attempt, Exit(143), start=2))
            elif isinstance(effect, ForgetJob):
                self.is_deleted = True
            elif isinstance(effect, FaultHappened):
                self.happened += 1

    def end(self, status: int) -> None:
        if self.container is not None:
            attempt, self.container = self.container, None
            self.tell(ReplicaEnded(attempt, Exit(status)))

    def crash(self) -> None:
        """Lose the emulator and its container, and let another emulator resume the job."""
        self.container = None
        self.job = job_from_json(job_to_json(self.job))
        if self.is_again:
            self.is_again = False
            self.tell(ReplicaEnded(self.job.attempt, Exit(137), start=2))
        if not self.job.is_terminal:
            self.tell(InternalError())

    def wait(self, length: float) -> None:
        """Process each due time in turn, as the timer does."""
        target = self.now + timedelta(seconds=length)
        for _ in range(1000):
            moment = self.job.next_time
            if moment is None or moment > target or self.is_deleted:
                self.now = target
                return
            self.now = max(self.now, moment)
            self.tell(Due())
        raise AssertionError("there is always something due")


@settings(max_examples=500)
@given(st.lists(acts, max_size=4), stories, st.booleans())
def test_any_script_gives_a_valid_job(
    script: list[Act], story: list[tuple[str, float]], no_retries: bool
) -> None:
    """States follow allowed transitions, containers never overlap, and time is bounded."""
    life = Life(script, no_retries=no_retries)
    for kind, value in story:
        terminal = life.job if life.job.is_terminal else None
        if kind == "wait":
            life.wait(value)
        elif kind == "end":
            life.end(int(value))
        elif kind == "cancel":
            life.tell(CancelRequested())
        else:
            life.crash()
        if terminal:
            assert (life.job.state, life.job.error) == (terminal.state, terminal.error)
            assert life.job.history == terminal.history
    assert life.starts == list(range(1, len(life.starts) + 1))
    assert life.happened <= sum(act.times for act in script)
    job = life.job
    ended = {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}
    assert (job.end_time is not None) is (job.state in ended)
    assert ("error" in job.to_json()) is (job.state in {JobState.FAILED, JobState.CANCELLED})


@settings(max_examples=200)
@given(st.lists(acts, max_size=4), stories, st.booleans())
def test_any_job_can_be_ended(
    script: list[Act], story: list[tuple[str, float]], no_retries: bool
) -> None:
    """After a cancel and its container's exit, a job becomes terminal unless it is held forever."""
    life = Life([act for act in script if act.incident != events.Hold(None)], no_retries=no_retries)
    for kind, value in story:
        life.wait(value) if kind == "wait" else life.end(int(value)) if kind == "end" else None
    life.tell(CancelRequested())
    life.end(143)
    life.wait(10_000)
    assert life.is_deleted or life.job.is_terminal, life.job


def test_every_event_can_be_stored() -> None:
    """A job with every kind of event in its script is read back as it was written."""
    error = {"code": 13, "message": "m"}
    script = [
        Act("running", 2.5, incident, 3, "7")
        for incident in (
            events.Restart("stockout", 3, error, last_line="l"),
            events.End(JobState.FAILED, error, instead_of=JobState.SUCCEEDED),
            events.Pause(1.5),
            events.Update(1.5),
            events.ShowNumber(99, 1.5),
            events.Delete(),
            events.Hold(1.5),
            events.HideExit(None),
            events.StartAgain(1.5, 2.5),
        )
    ]
    assert {type(act.incident) for act in script} == set(get_args(events.Incident))
    job = Life(script, no_retries=False).job
    later_events = (
        events.UpdateOver("t"),
        events.ShowState(),
        events.LineDue("l"),
        events.RunningSeen(1),
        events.SecondStartDue(1, 2.5),
        events.SecondEndDue(1),
    )
    assert {type(event) for event in later_events} == set(get_args(events.LaterEvent))
    later = tuple(Later(START, event) for event in later_events)
    job = replace(job, eviction=events.Pause(3.0), stage="evicting", later=later)
    assert job_from_json(json.loads(json.dumps(job_to_json(job)))) == job
