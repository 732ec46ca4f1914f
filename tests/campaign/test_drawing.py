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
    RequestFault,
    TokensExpired,
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
    """A new kind of fault is not left out of the campaign in silence."""
    kinds = set(FaultKind.registry.values())
    # It kills Vertex AI in the trials that have a crash.
    assert kinds - {type(fault) for fault in FAULTS} == {Interruption}


def test_a_new_fault_of_jobs_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind without variants is drawn with its defaults, and the step is allowed to fail."""
    monkeypatch.setattr(FaultKind, "registry", dict(FaultKind.registry))

    class Overheated(JobFault):
        """The machine gets too hot."""

    hazards = [
        hazard
        for number in range(300)
        for hazard in draw_trial(1, number).hazards
        if isinstance(hazard, VertexHazard) and type(hazard.faults[0]) is Overheated
    ]
    assert hazards
    assert all(hazard.exceeds_patience for hazard in hazards)


def test_every_boundary_is_drawn() -> None:
    """A SIGKILL at each in each mode, and an interruption wherever one is possible."""
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


def test_an_effect_that_comes_later_than_is_waited_for_is_not_drawn() -> None:
    """It is documented as impossible: nothing distinguishes it from a create without effect."""
    late = max(fault.late for fault in FAULTS if isinstance(fault, AnswerLost))
    lag = max(fault.seconds or 0 for fault in FAULTS if isinstance(fault, ListLag))
    assert late > 15
    assert lag > 15
    assert late + lag < sum(SETTLE_SECONDS)


def test_one_create_is_left_of_those_that_are_tried() -> None:
    """With more failures than creates that the operator tries, the step would fail rightly."""
    for trial in TRIALS:
        failing = [
            fault.limit or 1
            for hazard in trial.hazards
            if isinstance(hazard, VertexHazard) and not hazard.exceeds_patience
            for fault in hazard.faults
            if isinstance(fault, RequestFault) and fault.method in {"create", "*"}
            # Google's client gets another token by itself.
            if not isinstance(fault, Delay | TokensExpired)
        ]
        assert sum(failing) < MAX_CREATES
