"""The fault campaign finds no failure, and would find each failure that a client could have."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from campaign.campaign import TRIALS_PER_CROWD, Run, Runner, run_campaign, run_crowds, shrink
from campaign.drawing import draw_trial
from campaign.oracle import Verdict, judge
from campaign.tally import render_failure, render_summary
from campaign.trial import Cut, Hazard, Sequel, ServerOutage, Step, Trial, VertexHazard
from vertex_emulator.faults import (
    AnswerLost,
    Deleted,
    Fault,
    ListLag,
    RequestLost,
    Updating,
)
from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.following import submission, watcher
from zenml_vertex.following.follower import JobFollower
from zenml_vertex.following.poll_round import PollRound
from zenml_vertex.following.submission import Submission
from zenml_vertex.steps import attaching, running, settling

_ROOT = Path(__file__).resolve().parents[2]
# The clients of killed processes never close their connections.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def _vertex(*faults: Fault) -> VertexHazard:
    return VertexHazard(faults)


def _trial(*hazards: Hazard, step: Step | None = None, **fields: Any) -> Trial:
    fields.setdefault("mode", "static")
    return Trial(
        index=0, seed="test", step=step or Step("reports", 600.0), hazards=hazards, **fields
    )


def test_sixty_trials_succeed(run: Run) -> None:
    """Each step run gets one job and the right status, every wait ends, and no job is left."""
    failures = []

    def note(trial: Trial, verdict: Verdict) -> None:
        failures.append(render_failure(trial, verdict))

    tally = run_campaign(run, (draw_trial(7, number) for number in range(60)), note)
    assert failures == []
    assert re.fullmatch(
        r"faults: trials=60 jobs=\d\d duplicates=0 leaked=0 wrong=0 endless=0 late_.*",
        render_summary(tally),
    )
    assert len(tally.hits) > 20
    assert tally.killed.total() > 10
    assert tally.unlisted == []


def test_the_same_seed_is_the_same_campaign(run: Run) -> None:
    """One seed gives the same trials, events and times, so that a failure can be reproduced."""
    assert draw_trial(7, 12) == draw_trial(7, 12)
    assert draw_trial(7, 12) != draw_trial(8, 12)
    first, second = (run(draw_trial(7, 12)) for _ in range(2))
    first_states, second_states = (
        [[state for state, _ in job.states] for job in record.jobs] for record in (first, second)
    )
    assert first_states == second_states
    assert first.hits == second.hits
    assert first.crossed == second.crossed


LOST = _vertex(AnswerLost("create"))


def test_a_client_that_retries_creates_blindly_is_caught(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that creates again after a lost answer, without a search, is reported."""
    assert judge(run(_trial(LOST))).is_right
    monkeypatch.setattr(Submission, "_search", lambda *_, **__: None)
    verdict = judge(run(_trial(LOST)))
    assert (verdict.jobs, verdict.duplicates) == (2, 1)


def test_a_client_that_waits_too_briefly_is_caught(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that does not wait for late effects and lagging lists is reported for duplicates."""
    late = _trial(_vertex(AnswerLost("create", late=20.0)), _vertex(ListLag(seconds=20.0)))
    assert judge(run(late)).is_right
    monkeypatch.setattr(submission, "SETTLE_SECONDS", (0.0, 1.0, 3.0))
    monkeypatch.setattr(submission, "LISTED_AFTER_SECONDS", 4.0)
    assert judge(run(late)).duplicates == 1


def test_a_client_that_does_not_cancel_is_caught(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job left running after Ctrl-C, in the wait or in the submission, is reported."""
    trials = [
        _trial(Cut("Ctrl-C", boundary))
        for boundary in ("wait: clock.sleep before", "submit: jobs.create after")
    ]
    assert all(judge(run(trial)).is_right for trial in trials)
    for module in (running, submission):
        monkeypatch.setattr(module, "cancel_and_verify", lambda *_, **__: None)
    assert [judge(run(trial)).leaked for trial in trials] == [1, 1]


def test_a_client_that_was_killed_leaves_its_job_to_the_sweep(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed client's job is found by its labels, however little the client recorded."""
    killed = _trial(
        Cut("SIGKILL", "submit: jobs.create after"),
        step=Step("reports", 3600.0),
        sequel="sweep step",
        delay=300.0,
    )
    assert judge(run(killed)).is_right
    monkeypatch.setattr("campaign.operators.find_orphans", lambda *_: [])
    assert judge(run(killed)).leaked == 1


def test_a_client_that_reports_a_wrong_status_is_caught(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed step that is reported as completed is caught, and so is the opposite."""
    dies = _trial(step=Step("dies", 60.0))
    assert judge(run(dies)).is_right
    with monkeypatch.context() as broken:
        broken.setattr(JobFollower, "_settle", lambda *_: "completed")
        assert judge(run(dies)).wrong
    updated = _trial(_vertex(Updating(seconds=60.0)))
    assert judge(run(updated)).is_right
    monkeypatch.setattr(JobFollower, "see_job", lambda self, _: self._fail(_NONSENSE))
    assert judge(run(updated)).wrong


class _Nonsense:
    """A meaningless diagnosis."""

    what = "nothing"

    def describe(self, _: object) -> str:
        return self.what


_NONSENSE = _Nonsense()


def test_a_client_that_waits_forever_is_caught(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that never ends the step of a deleted job is reported."""
    deleted = _trial(_vertex(Deleted(after=30.0)), step=Step("reports", 3600.0))
    assert judge(run(deleted)).is_right
    monkeypatch.setattr(JobFollower, "note_failure", lambda *_: None)
    assert judge(run(deleted)).endless


@pytest.mark.parametrize("sequel", ["attach", "settle"])
def test_a_step_that_is_never_ended_for_its_dead_client_is_caught(
    run: Run, monkeypatch: pytest.MonkeyPatch, sequel: Sequel
) -> None:
    """A killed client's command step is ended by whoever attaches or settles, or is reported."""
    killed = _trial(
        Cut("SIGKILL", "wait: clock.sleep after"), step=Step("command", 900.0), sequel=sequel
    )
    record = run(killed)
    assert judge(record).is_right
    assert (record.was_killed, record.status) == (True, "completed")
    for module in (attaching, settling):
        monkeypatch.setattr(module, "close", lambda _, __, status: status)
    assert judge(run(killed)).wrong == "the step run is still running"


def test_a_client_that_looks_seldom_is_caught(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that notices the end of a job minutes later is reported; outages do not count."""
    command = _trial(ServerOutage(30.0, 900.0), step=Step("command", 60.0))
    verdict = judge(run(command))
    assert verdict.is_right
    assert verdict.lateness is not None
    monkeypatch.setattr(watcher, "choose_interval", lambda _: 600.0)
    assert judge(run(_trial(step=Step("command", 1300.0)))).is_late


def test_a_crowd_whose_reads_fail_ends_in_time(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty steps end in time while 35 % of reads fail, unless a failed read ends a poll."""
    tally = run_crowds(run, seed=7, trials=TRIALS_PER_CROWD)
    assert (tally.trials, len(tally.lateness)) == (50, 50)
    assert tally.is_clean, render_summary(tally)
    note_failure = PollRound.note_failure

    def end_poll(polled: PollRound, error: VertexStepOperatorError) -> None:
        note_failure(polled, error)
        polled.is_over, polled.has_answer = True, False

    monkeypatch.setattr(PollRound, "note_failure", end_poll)
    tally = run_crowds(run, seed=7, trials=TRIALS_PER_CROWD)
    assert not tally.is_clean


def test_a_failing_trial_is_shrunk(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hazards that do not matter for the failure are removed one by one."""
    monkeypatch.setattr(Submission, "_search", lambda *_, **__: None)
    lost = AnswerLost("create", late=0.0)
    trial = _trial(
        _vertex(RequestLost("get")),
        ServerOutage(300.0, 60.0),
        _vertex(lost, RequestLost("list")),
        Cut("SIGKILL", "submit: never before"),
        detaches=True,
        delay=60.0,
    )
    small = shrink(trial, lambda one: judge(run(one)).duplicates > 0)
    assert small == _trial(_vertex(lost), delay=0.0)


def test_a_hazard_that_did_not_happen_does_not_count(run: Run) -> None:
    """The tally counts the hazards that happened, not those that were planned."""
    record = run(_trial(_vertex(RequestLost("cancel")), LOST))
    assert record.hits == {"AnswerLost create": 1}


def test_the_command_prints_both_operators_and_a_last_line() -> None:
    """The command of `make faults` reports both operators, and a program can read its last line."""
    command = [sys.executable, "-m", "campaign", "--trials", "8", "--seed", "7"]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert re.fullmatch(
        r"faults: trials=8 jobs=\d+ duplicates=0 leaked=0 wrong=0 endless=0 "
        r"late_median=[\d.]+ late_p99=[\d.]+ late_worst=[\d.]+",
        lines[-1],
    )
    own, builtin = (re.split(r" *\| *", line)[1:-1] for line in lines[-3:-1])
    assert own[0] == "zenml-vertex"
    assert builtin[0] == "ZenML's built-in"
    assert own[1] == builtin[1] == "8"
    assert int(builtin[2]) > 0
    assert sum(map(int, builtin[3:7])) > 0
