"""What Google's client sees of a job with a fault, and when the container runs."""

from typing import Any

import pytest
from google.api_core import exceptions

from vertex_emulator.faults import (
    Deleted,
    Expired,
    Fault,
    HangsAfterWork,
    Held,
    InternalErrors,
    ListLag,
    OutOfMemory,
    PartiallySucceeded,
    Paused,
    Preemption,
    Stockout,
    UnknownState,
    Updating,
)
from vertex_emulator.runtimes.scripted import Script

WHOLE_LIFE = 5 + 180 + 30 + 50
STOCKOUT = (
    "Resources are insufficient in region: us-central1. Please try a different region or use a "
    "different accelerator."
)


def lines_of(simulation: Any, name: str) -> list[str]:
    """Return the lines that a job has written."""
    lines: list[str] = simulation.emulator.log_lines(name)
    return lines


def test_a_job_without_faults(simulation: Any) -> None:
    """Without a fault, a job is queued, provisioned, run and torn down, each for its usual time."""
    name = simulation.create()
    for seconds, state in [
        (4, "QUEUED"), (1, "PENDING"), (180, "RUNNING"), (79, "RUNNING"), (1, "SUCCEEDED"),
    ]:  # fmt: skip
        simulation.clock.advance(seconds)
        assert simulation.state(name) == state
    assert len(simulation.starts) == 1


def test_a_stockout_that_stays(simulation: Any) -> None:
    """After three retries of the provisioning, a job FAILED with code 8; no container started."""
    simulation.emulator.faults.plan(Stockout(after=100))
    name = simulation.create()
    simulation.clock.advance(5 + 3 * 100)
    assert simulation.state(name) == "PENDING"
    simulation.clock.advance(100)
    job = simulation.get(name)
    assert job.state.name == "JOB_STATE_FAILED"
    assert (job.error.code, job.error.message) == (8, STOCKOUT)
    assert job.start_time is None
    assert lines_of(simulation, name).count(STOCKOUT) == 4
    assert simulation.starts == []


def test_a_stockout_that_passes(simulation: Any) -> None:
    """A job that finds no machine three times runs when it finds one the fourth time."""
    simulation.emulator.faults.plan(Stockout(times=3, after=100))
    name = simulation.create()
    simulation.clock.advance(WHOLE_LIFE + 300)
    assert simulation.state(name) == "SUCCEEDED"
    assert len(simulation.starts) == 1


@pytest.mark.parametrize(("times", "state"), [(1, "SUCCEEDED"), (6, "SUCCEEDED"), (7, "FAILED")])
def test_a_spot_machine_is_preempted(simulation: Any, times: int, state: str) -> None:
    """The container is restarted six times; the seventh preemption fails the job with code 8."""
    simulation.emulator.faults.plan(Preemption(times=times, after=10))
    name = simulation.create()
    simulation.clock.advance(5 + times * 190)
    if times < 7:
        assert simulation.state(name) == "PENDING"
    simulation.clock.advance(WHOLE_LIFE)
    job = simulation.get(name)
    assert job.state.name == f"JOB_STATE_{state}"
    assert len(simulation.starts) == min(times + 1, 7)
    assert [container.attempt for container in simulation.starts] == [
        *range(1, len(simulation.starts) + 1)
    ]
    if state == "FAILED":
        assert (job.error.code, job.error.message) == (8, STOCKOUT)


def test_a_container_has_ended_before_the_next_starts(simulation: Any) -> None:
    """A restart waits for the preempted container to exit, however long that takes."""
    simulation.script = lambda _: Script(30.0, grace=20.0)
    simulation.emulator.faults.plan(Preemption(after=10))
    name = simulation.create()
    simulation.clock.advance(5 + 180 + 10 + 19)
    assert simulation.state(name) == "RUNNING"
    simulation.clock.advance(1)
    assert simulation.state(name) == "PENDING"


@pytest.mark.parametrize("fault", [Stockout(times=1), Preemption(), InternalErrors()])
def test_disabled_retries_stop_restarts(simulation: Any, fault: Fault) -> None:
    """With `disableRetries`, the first stockout, preemption or internal error fails the job."""
    simulation.emulator.faults.plan(fault)
    name = simulation.create(scheduling={"disableRetries": True})
    simulation.clock.advance(WHOLE_LIFE)
    assert simulation.state(name) == "FAILED"
    assert len(simulation.starts) <= 1


@pytest.mark.parametrize(
    "fault",
    [Stockout(times=1, despite_disable_retries=True), Preemption(despite_disable_retries=True)],
)
def test_disabled_retries_can_be_ignored(simulation: Any, fault: Fault) -> None:
    """A fault can ignore `disableRetries`, because whether Vertex AI does is not documented."""
    simulation.emulator.faults.plan(fault)
    name = simulation.create(scheduling={"disableRetries": True})
    simulation.clock.advance(2 * WHOLE_LIFE)
    assert simulation.state(name) == "SUCCEEDED"


@pytest.mark.parametrize(("times", "state"), [(2, "SUCCEEDED"), (3, "FAILED")])
def test_the_platform_fails(simulation: Any, times: int, state: str) -> None:
    """A job survives two internal errors, and the third fails it with code 13."""
    simulation.emulator.faults.plan(InternalErrors(times=times, after=10))
    name = simulation.create()
    simulation.clock.advance(4 * WHOLE_LIFE)
    job = simulation.get(name)
    assert job.state.name == f"JOB_STATE_{state}"
    assert len(simulation.starts) == 3
    assert job.error.code == (13 if state == "FAILED" else 0)


@pytest.mark.parametrize(
    ("form", "code", "text"),
    [
        (
            "exit",
            3,
            "The replica workerpool0-0 ran out of memory and exited with a non-zero status of 137.",
        ),
        (
            "replicas",
            8,
            "Replicas low on memory: workerpool0. Specify a machine with larger memory and try "
            "again.",
        ),
    ],
)
def test_memory_runs_out(simulation: Any, form: Any, code: int, text: str) -> None:
    """The job FAILED with the recorded text and code 8, or with the documented one."""
    reported: list[str] = []
    simulation.script = lambda _: Script(
        30.0, actions=((20.0, lambda: reported.append("done")),), grace=1000
    )
    simulation.emulator.faults.plan(OutOfMemory(form=form, after=10))
    name = simulation.create()
    simulation.clock.advance(5 + 180 + 10 + 50)
    job = simulation.get(name)
    assert job.state.name == "JOB_STATE_FAILED"
    assert (job.error.code, job.error.message) == (code, text)
    simulation.clock.advance(1000)
    assert reported == []


@pytest.mark.parametrize(
    ("at", "seconds", "states"),
    [
        ("queued", 0, ["QUEUED", "EXPIRED"]),
        ("provisioning", 5, ["QUEUED", "PENDING", "EXPIRED"]),
        ("running", 235, ["QUEUED", "PENDING", "RUNNING", "EXPIRED"]),
    ],
)
def test_a_job_expires(simulation: Any, at: Any, seconds: float, states: list[str]) -> None:
    """EXPIRED is terminal, and the job has neither an error nor an end time."""
    simulation.emulator.faults.plan(Expired(at=at))
    name = simulation.create()
    simulation.clock.advance(seconds)
    job = simulation.get(name)
    assert simulation.states(name) == states
    assert job.state.name == "JOB_STATE_EXPIRED"
    assert "error" not in job
    assert job.end_time is None
    with pytest.raises(exceptions.BadRequest, match="cannot be canceled"):
        simulation.client.cancel_custom_job(name=name, timeout=10)


def test_a_job_succeeds_in_part(simulation: Any) -> None:
    """With the fault, a job ends PARTIALLY_SUCCEEDED instead of SUCCEEDED."""
    simulation.emulator.faults.plan(PartiallySucceeded())
    name = simulation.create()
    simulation.clock.advance(WHOLE_LIFE - 1)
    assert simulation.state(name) == "RUNNING"
    simulation.clock.advance(1)
    assert simulation.state(name) == "PARTIALLY_SUCCEEDED"


def test_a_job_is_paused_for_a_while(simulation: Any) -> None:
    """PAUSED ends the container; later the job is PENDING and runs a new container."""
    simulation.emulator.faults.plan(Paused(seconds=600, after=10))
    name = simulation.create()
    simulation.clock.advance(5 + 180 + 10)
    assert simulation.state(name) == "PAUSED"
    simulation.clock.advance(599)
    assert simulation.state(name) == "PAUSED"
    simulation.clock.advance(1)
    assert simulation.state(name) == "PENDING"
    simulation.clock.advance(WHOLE_LIFE)
    assert simulation.state(name) == "SUCCEEDED"
    assert len(simulation.starts) == 2


@pytest.mark.parametrize("at", ["queued", "provisioning", "running"])
def test_a_job_is_paused_forever(simulation: Any, at: Any) -> None:
    """PAUSED lasts for a week, and the job can be cancelled."""
    simulation.emulator.faults.plan(Paused(at=at))
    name = simulation.create()
    simulation.clock.advance(7 * 24 * 3600)
    assert simulation.state(name) == "PAUSED"
    simulation.client.cancel_custom_job(name=name, timeout=10)
    simulation.clock.settle()
    assert simulation.state(name) == "CANCELLED"


def test_a_job_is_updated(simulation: Any) -> None:
    """A job goes from RUNNING to UPDATING and back; its container and startTime do not change."""
    simulation.emulator.faults.plan(Updating(seconds=10, after=5))
    name = simulation.create()
    simulation.clock.advance(5 + 180 + 5)
    assert simulation.state(name) == "UPDATING"
    simulation.clock.advance(10)
    assert simulation.state(name) == "RUNNING"
    simulation.clock.advance(15 + 50)
    assert simulation.state(name) == "SUCCEEDED"
    assert len(simulation.starts) == 1


@pytest.mark.parametrize("seconds", [None, 1000.0])
def test_an_update_ends_with_the_container(simulation: Any, seconds: float | None) -> None:
    """If the container exits during an update, the job is RUNNING and then terminal."""
    simulation.emulator.faults.plan(Updating(seconds=seconds))
    name = simulation.create()
    simulation.clock.advance(2000)
    assert simulation.states(name)[-3:] == ["UPDATING", "RUNNING", "SUCCEEDED"]


def test_a_state_without_a_name(simulation: Any) -> None:
    """Clients see an unnamed state's number, in lists too, and the job continues afterwards."""
    simulation.emulator.faults.plan(UnknownState(number=99, seconds=10, after=5))
    name = simulation.create()
    simulation.clock.advance(5 + 180 + 5)
    assert simulation.state(name) == "99"
    asked = {"parent": name.rsplit("/", 2)[0], "filter": 'state="JOB_STATE_RUNNING"'}
    assert list(simulation.client.list_custom_jobs(request=asked, timeout=10)) == []
    simulation.clock.advance(10)
    assert simulation.state(name) == "RUNNING"
    simulation.clock.advance(15 + 50)
    assert simulation.state(name) == "SUCCEEDED"


def test_a_terminal_state_without_a_name(simulation: Any) -> None:
    """Without `seconds`, the number remains as the terminal state, with an end time."""
    simulation.emulator.faults.plan(UnknownState(at="over"))
    name = simulation.create()
    simulation.clock.advance(7 * 24 * 3600)
    job = simulation.get(name)
    assert simulation.state(name) == "99"
    assert job.end_time is not None


@pytest.mark.parametrize(
    ("at", "seconds", "starts"),
    [("queued", 0, 0), ("provisioning", 5, 0), ("running", 185, 1), ("tearing_down", 215, 1),
     ("over", 265, 1)],
)  # fmt: skip
def test_a_job_is_deleted_by_another_user(
    simulation: Any, at: Any, seconds: float, starts: int
) -> None:
    """A deleted job is 404 and in no list, and its container is ended."""
    reported: list[str] = []
    simulation.script = lambda _: Script(30.0, actions=((29.0, lambda: reported.append("done")),))
    simulation.emulator.faults.plan(Deleted(at=at))
    name = simulation.create()
    simulation.clock.advance(seconds)
    with pytest.raises(exceptions.NotFound):
        simulation.get(name)
    assert simulation.listed() == []
    simulation.clock.advance(WHOLE_LIFE)
    assert len(simulation.starts) == starts
    assert reported == (["done"] if at in {"tearing_down", "over"} else [])


@pytest.mark.parametrize(
    ("at", "before", "state"),
    [("queued", 5, "QUEUED"), ("provisioning", 185, "PENDING"), ("tearing_down", 265, "RUNNING")],
)
def test_a_job_is_held(simulation: Any, at: Any, before: float, state: str) -> None:
    """A held stage lasts as long as planned instead of its usual time."""
    simulation.emulator.faults.plan(Held(at=at, seconds=1000))
    name = simulation.create()
    usual = {"queued": 5, "provisioning": 180, "tearing_down": 50}[at]
    simulation.clock.advance(before - usual + 999)
    assert simulation.state(name) == state
    simulation.clock.advance(1)
    assert simulation.state(name) != state
    simulation.clock.advance(WHOLE_LIFE)
    assert simulation.state(name) == "SUCCEEDED"


@pytest.mark.parametrize("at", ["queued", "provisioning", "tearing_down"])
def test_a_job_is_stuck(simulation: Any, at: Any) -> None:
    """A stage held without `seconds` never ends, but the job can be cancelled before it runs."""
    simulation.emulator.faults.plan(Held(at=at))
    name = simulation.create()
    simulation.clock.advance(7 * 24 * 3600)
    stuck = {"queued": "QUEUED", "provisioning": "PENDING", "tearing_down": "RUNNING"}[at]
    assert simulation.state(name) == stuck
    simulation.client.cancel_custom_job(name=name, timeout=10)
    simulation.clock.settle()
    assert simulation.state(name) == ("CANCELLING" if at == "tearing_down" else "CANCELLED")


@pytest.mark.parametrize("seconds", [1000.0, None])
def test_a_container_hangs_after_its_work(simulation: Any, seconds: float | None) -> None:
    """A hanging container keeps the job RUNNING longer, and the job ends as its program did."""
    reported: list[str] = []
    simulation.script = lambda _: Script(30.0, actions=((30.0, lambda: reported.append("done")),))
    simulation.emulator.faults.plan(HangsAfterWork(seconds=seconds))
    name = simulation.create()
    simulation.clock.advance(5 + 180 + 30)
    assert reported == ["done"]
    simulation.clock.advance(999)
    assert simulation.state(name) == "RUNNING"
    if seconds is None:
        simulation.clock.advance(6 * 24 * 3600)
        assert simulation.state(name) == "RUNNING"
        simulation.client.cancel_custom_job(name=name, timeout=10)
        assert simulation.state(name) == "CANCELLING"
        simulation.clock.advance(50)
        assert simulation.state(name) == "CANCELLED"
    else:
        simulation.clock.advance(1 + 50)
        assert simulation.state(name) == "SUCCEEDED"


def test_lists_lag_behind(simulation: Any) -> None:
    """A new job can be read at once, and appears in lists when its lag has passed."""
    simulation.emulator.faults.plan(ListLag(seconds=60))
    late, other = simulation.create(), simulation.create()
    assert simulation.state(late) == "QUEUED"
    assert simulation.listed() == [other]
    simulation.clock.advance(59)
    assert simulation.listed() == [other]
    simulation.clock.advance(1)
    assert set(simulation.listed()) == {late, other}


def test_lists_lag_for_a_number_of_lists(simulation: Any) -> None:
    """A lag in lists counts only lists that would include the job."""
    simulation.emulator.faults.plan(ListLag(lists=2, labels={"run": "r1"}))
    name = simulation.create(labels={"run": "r1"})
    parent = name.rsplit("/", 2)[0]
    other = {"parent": parent, "filter": 'labels.run="r2"'}
    assert list(simulation.client.list_custom_jobs(request=other, timeout=10)) == []
    assert simulation.listed() == []
    mine = {"parent": parent, "filter": 'labels.run="r1"'}
    assert list(simulation.client.list_custom_jobs(request=mine, timeout=10)) == []
    assert simulation.listed() == [name]
