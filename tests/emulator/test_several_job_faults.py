"""Faults that meet: with each other, with a cancel, with a job that exists already."""

from typing import Any

import pytest

from vertex_emulator.faults import (
    Expired,
    Fault,
    HangsAfterWork,
    PartiallySucceeded,
    Preemption,
    Stockout,
    Updating,
)
from vertex_emulator.runtimes.scripted import Script

WHOLE_LIFE = 5 + 180 + 30 + 50


def test_a_fault_hits_an_existing_job(simulation: Any) -> None:
    """A fault with a job ID hits an existing job, at once if its time has passed."""
    name = simulation.create()
    simulation.clock.advance(200)
    simulation.emulator.faults.plan(Preemption(job_id=name.rsplit("/", 1)[1]))
    simulation.clock.settle()
    assert simulation.state(name) == "PENDING"


def test_several_faults_hit_one_job(simulation: Any) -> None:
    """A stockout, a preemption and a hang hit the job with a label, one after the other."""
    for fault in (
        Stockout(times=1, labels={"a": "b"}),
        Preemption(after=5, labels={"a": "b"}),
        HangsAfterWork(seconds=100, labels={"a": "b"}),
    ):
        simulation.emulator.faults.plan(fault)
    other, name = simulation.create(), simulation.create(labels={"a": "b", "c": "d"})
    simulation.clock.advance(3 * WHOLE_LIFE)
    assert simulation.states(other) == ["QUEUED", "PENDING", "RUNNING", "SUCCEEDED"]
    assert simulation.states(name) == [
        "QUEUED", "PENDING", "RUNNING", "PENDING", "RUNNING", "SUCCEEDED",
    ]  # fmt: skip


def test_a_cancel_beats_a_restart(simulation: Any) -> None:
    """A job cancelled while its preempted container is ending is CANCELLED."""
    simulation.script = lambda _: Script(30.0, grace=20.0)
    simulation.emulator.faults.plan(Preemption(after=10))
    name = simulation.create()
    simulation.clock.advance(5 + 180 + 11)
    simulation.client.cancel_custom_job(name=name, timeout=10)
    simulation.clock.advance(20 + 50)
    assert simulation.state(name) == "CANCELLED"
    assert len(simulation.starts) == 1


def test_a_job_is_preempted_while_it_is_updated(simulation: Any) -> None:
    """A job preempted during an update is RUNNING, then PENDING.

    Its next update takes full time.
    """
    for fault in (Updating(seconds=500), Preemption(after=10), Updating(seconds=1000, after=15)):
        simulation.emulator.faults.plan(fault)
    simulation.script = lambda _: Script(2000.0)
    name = simulation.create()
    simulation.clock.advance(5 + 180 + 10)
    assert simulation.states(name)[-3:] == ["UPDATING", "RUNNING", "PENDING"]
    simulation.clock.advance(180 + 15 + 999)
    assert simulation.state(name) == "UPDATING"
    simulation.clock.advance(1)
    assert simulation.state(name) == "RUNNING"


def test_a_job_that_is_cancelled_does_not_succeed_in_part(simulation: Any) -> None:
    """From CANCELLING, a job goes to SUCCEEDED, FAILED or CANCELLED only."""
    planned = simulation.emulator.faults.plan(PartiallySucceeded(after=10))
    name = simulation.create()
    simulation.clock.advance(5 + 180 + 30 + 5)
    simulation.client.cancel_custom_job(name=name, timeout=10)
    simulation.clock.advance(50)
    assert simulation.states(name)[-2:] == ["CANCELLING", "SUCCEEDED"]
    planned.withdraw()


@pytest.mark.parametrize(
    ("fault", "state"),
    [(Expired(), "EXPIRED"), (PartiallySucceeded(), "PARTIALLY_SUCCEEDED")],
)
def test_a_cancel_during_the_teardown_changes_nothing(
    simulation: Any, fault: Fault, state: str
) -> None:
    """A job in the teardown before EXPIRED or PARTIALLY_SUCCEEDED stays RUNNING until that end."""
    simulation.emulator.faults.plan(fault)
    name = simulation.create()
    simulation.clock.advance(5 + 180 + 30 + 1)
    simulation.client.cancel_custom_job(name=name, timeout=10)
    assert simulation.state(name) == "RUNNING"
    simulation.clock.advance(50)
    assert simulation.states(name)[-2:] == ["RUNNING", state]
