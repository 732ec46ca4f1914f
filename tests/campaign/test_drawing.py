"""Trials stay within the operator's patience, and every fault and boundary is drawn."""

from collections import Counter

import pytest

from campaign.boundaries import INTERRUPTIBLE, KILLABLE
from campaign.drawing import draw_trial
from campaign.trial import Cut, VertexHazard
from vertex_emulator.faults import (
    AnswerLost,
    Delay,
    FaultKind,
    Interruption,
    JobFault,
    ListLag,
    NoAnswer,
    RequestFault,
    TokensExpired,
    find_kinds,
)
from zenml_vertex.following.submission import MAX_CREATES, SETTLE_SECONDS

TRIALS = [draw_trial(1, number) for number in range(1000)]
FAULTS = [
    fault
    for trial in TRIALS
    for hazard in trial.hazards
    if isinstance(hazard, VertexHazard)
    for fault in hazard.faults
]


def test_every_fault_of_the_emulator_is_drawn() -> None:
    """The campaign draws every kind of fault of calls and jobs: no new one is forgotten."""
    kinds = {*find_kinds(RequestFault), *find_kinds(JobFault)}
    # The first kills the emulator in the trials that have a crash; the second lasts until the
    # client gives up, by the machine's clock.
    assert kinds - {type(fault) for fault in FAULTS} == {Interruption, NoAnswer}


def test_a_new_job_fault_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job fault without variants is drawn with its defaults, and the step may then fail."""
    monkeypatch.setattr(FaultKind, "registry", dict(FaultKind.registry))

    class Overheated(JobFault):
        """The machine overheats."""

    hazards = [
        hazard
        for number in range(300)
        for hazard in draw_trial(1, number).hazards
        if isinstance(hazard, VertexHazard) and type(hazard.faults[0]) is Overheated
    ]
    assert hazards
    assert all(hazard.exceeds_patience for hazard in hazards)


def test_every_boundary_is_drawn() -> None:
    """A SIGKILL is drawn at each boundary in each mode, and an interruption where possible."""
    killed: Counter[tuple[str, str]] = Counter()
    interrupted: Counter[str] = Counter()
    for trial in TRIALS:
        for cut in trial.hazards:
            if isinstance(cut, Cut) and cut.how == "SIGKILL":
                killed[trial.mode, cut.boundary] += 1
            elif isinstance(cut, Cut):
                interrupted[cut.boundary] += 1
    assert set(killed) == {(mode, name) for mode, names in KILLABLE.items() for name in names}
    assert set(interrupted) == set(INTERRUPTIBLE)


def test_an_effect_after_the_wait_is_not_drawn() -> None:
    """A create whose effect comes after the wait is not drawn, as no client could handle it."""
    late = max(fault.late for fault in FAULTS if isinstance(fault, AnswerLost))
    lag = max(fault.seconds or 0 for fault in FAULTS if isinstance(fault, ListLag))
    assert late > 15
    assert lag > 15
    assert late + lag < sum(SETTLE_SECONDS)


def test_one_create_is_left_to_succeed() -> None:
    """A trial has fewer failing creates than the operator tries, or its step would rightly fail."""
    for trial in TRIALS:
        failing = [
            fault.limit or 1
            for hazard in trial.hazards
            if isinstance(hazard, VertexHazard) and not hazard.exceeds_patience
            for fault in hazard.faults
            if isinstance(fault, RequestFault) and fault.method in {"create", "*"}
            # Google's client gets a new token by itself.
            if not isinstance(fault, Delay | TokensExpired)
        ]
        assert sum(failing) < MAX_CREATES
