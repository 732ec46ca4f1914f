"""Trials in which an earlier version of the operator failed, shrunk as far as possible."""

from typing import Any

import pytest

from campaign.campaign import Run
from campaign.oracle import judge
from campaign.trial import (
    Cut,
    Hazard,
    RunStops,
    ServerHazard,
    ServerOutage,
    Step,
    Trial,
    VertexHazard,
)
from vertex_emulator.faults import (
    AnswerCut,
    AnswerLost,
    ErrorAnswer,
    Fault,
    ListLag,
    PermissionWithdrawn,
    RequestLost,
    UnknownState,
)

# The clients of killed processes never close their connections.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def _trial(*hazards: Hazard | Fault, step: Step | None = None, **fields: Any) -> Trial:
    fields = {"mode": "static", "delay": 0.0, **fields}
    wrapped = tuple(VertexHazard((one,)) if isinstance(one, Fault) else one for one in hazards)
    return Trial(
        index=0, seed="test", step=step or Step("reports", 600.0), hazards=wrapped, **fields
    )


KILLED = Cut("SIGKILL", "submit: jobs.create after")
IN_THE_WAIT = Cut("Ctrl-C", "wait: clock.sleep before", 5)
UNRECORDED = Cut("Ctrl-C", "submit: create_run_metadata after", 2)
TRIALS = {
    "lists fail for minutes after a lost answer": _trial(
        AnswerCut("create", share=0.04), AnswerCut("list", lasts=270.0)
    ),
    "lists are refused for minutes after a lost answer": _trial(
        AnswerLost("create"), PermissionWithdrawn("list", lasts=200.0)
    ),
    "a late effect that is listed late": _trial(
        AnswerLost("create", late=20.0), ListLag(seconds=20.0)
    ),
    "the next process starts before lists show the job": _trial(
        KILLED, ListLag(seconds=20.0), mode="dynamic", sequel="resume"
    ),
    "the server does not answer when the intent is recorded": _trial(
        ServerHazard("create_run_metadata", 1, "answer lost")
    ),
    "the server is restarted while a job is submitted": _trial(ServerOutage(0.0, 45.0, "proxy")),
    "a step run is submitted again while the server is down": _trial(
        Cut("SIGKILL", "wait: clock.sleep after"),
        ServerOutage(1.0, 900.0),
        step=Step("reports", 1800.0),
        sequel="submit",
    ),
    "a step fails while its run is stopped": _trial(
        RunStops(30.0, ends_step=False), step=Step("silent", 25.0), mode="dynamic"
    ),
    "a run is stopped before its step has a job": _trial(
        Cut("SIGKILL", "submit: jobs.create before"),
        RunStops(30.0, ends_step=False),
        mode="dynamic",
        sequel="resume",
    ),
    "a stuck container ignores that its run was stopped": _trial(
        RunStops(40.0, ends_step=False), step=Step("stuck", 5.0), mode="dynamic"
    ),
    "a run that no client follows is stopped": _trial(
        RunStops(25.0, ends_step=False),
        Cut("Ctrl-C", "wait: get_run_step before"),
        step=Step("reports", 5.0, ending=50.0),
        detaches=True,
    ),
    "a run is stopped whose client is gone, and its command succeeds": _trial(
        KILLED,
        RunStops(60.0, ends_step=False),
        step=Step("command", 100.0),
        sequel="settle",
    ),
    "the cancel after Ctrl-C gets a bad gateway": _trial(
        IN_THE_WAIT, ErrorAnswer("cancel", 502, body="html", count=4)
    ),
    "the cancel after Ctrl-C is refused for a moment": _trial(
        IN_THE_WAIT, PermissionWithdrawn("cancel", lasts=30.0)
    ),
    "a second Ctrl-C while the step run is being stopped": _trial(
        IN_THE_WAIT, Cut("Ctrl-C", "wait: update_run_step before")
    ),
    "a second Ctrl-C while the job of a submission is cancelled": _trial(
        UNRECORDED, Cut("stop", "submit: jobs.cancel before")
    ),
    "a second Ctrl-C while the job of a submission is searched for": _trial(
        AnswerLost("create"),
        Cut("Ctrl-C", "submit: jobs.list after"),
        Cut("Ctrl-C", "submit: jobs.list before"),
    ),
    "a job is not found once, after an outage": _trial(
        RequestLost("list", lasts=100.0),
        ErrorAnswer("get", 404),
        step=Step("command", 5.0, ending=0.0),
    ),
    "an unknown state, forever": _trial(UnknownState(), step=Step("dies", 5.0)),
}


@pytest.mark.parametrize("name", TRIALS)
def test_a_trial_that_once_failed_succeeds(run: Run, name: str) -> None:
    """There is one job with the right status, no job is left, and every hazard happened."""
    record = run(TRIALS[name])
    verdict = judge(record)
    assert verdict.is_right, verdict
    assert {one.kind for one in TRIALS[name].hazards} == set(record.hits)
