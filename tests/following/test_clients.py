"""Who follows a job, as others can tell it: a signature, a lease, and what is seen of a process."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.support.fakes import InMemoryStepRuns
from tests.support.worlds import RUN, STEP, Submitted, Watched
from zenml_vertex import processes
from zenml_vertex.clock import read_time
from zenml_vertex.errors import ServerUnreachable, StepRunNotFound
from zenml_vertex.following.clients import (
    LEASE_PREFIX,
    Creation,
    Lease,
    LeaseKeeper,
    find_following,
    sign,
    sign_off,
)
from zenml_vertex.following.metadata import CLIENT_KEY, JOB_NAME_KEY
from zenml_vertex.following.orphans import explain_orphan
from zenml_vertex.following.protocols import StepRunRecord
from zenml_vertex.processes import Process, find_this_process

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
_FIRST = datetime.min.replace(tzinfo=timezone(timedelta(hours=23)))
_LAST = datetime.max.replace(tzinfo=timezone(timedelta(hours=-23)))
ELSEWHERE = Process("c0ffee", "build-7", 4711, "another boot", "99")


def _lease(process: Process = ELSEWHERE, *, seen: datetime = NOW, **how: bool) -> Lease:
    return Lease(process, seen, seen + timedelta(minutes=15), **how)


def _explain(lease: Lease, now: datetime, of_run: Mapping[str, Any] | None = None) -> str | None:
    record = StepRunRecord(
        "running", "running", None, RUN, {CLIENT_KEY: lease.to_metadata()}, dict(of_run or {})
    )
    return explain_orphan(record, now)


def test_a_client_on_this_machine_is_missed_at_once() -> None:
    """After a SIGKILL the step run stayed `running`, and its job was no orphan: 10 of 10.

    A process that has ended and that its parent has not asked for has ended too, and so has one
    whose number another process has by now.
    """
    here = find_this_process()
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    zombie = replace(here, pid=ended.pid, started="1")
    for process in (zombie, replace(here, started="1")):
        reason = _explain(_lease(process), NOW)
        assert reason == f"process {process.pid} on {here.host}, which followed it, has ended"
    ended.wait()
    assert _explain(_lease(zombie), NOW)
    assert _explain(_lease(here), NOW) is None


def test_a_client_elsewhere_is_missed_after_a_quarter_of_an_hour() -> None:
    """Another machine's process cannot be seen: it is believed until its lease has run out.

    Numbers of processes there mean nothing here. A clock that is a little ahead makes no orphan.
    """
    lease = _lease()
    assert _explain(lease, NOW + timedelta(minutes=14)) is None
    assert _explain(lease, NOW - timedelta(minutes=9)) is None
    assert _explain(lease, NOW + timedelta(minutes=16)) == (
        "process 4711 on build-7, which followed it, was last seen 16 min ago"
    )
    renewed = {f"{LEASE_PREFIX}c0ffee": _lease(seen=NOW + timedelta(minutes=10)).to_metadata()}
    assert _explain(lease, NOW + timedelta(minutes=16), renewed) is None
    of_another = _lease(replace(ELSEWHERE, client_id="decaf"), seen=NOW + timedelta(hours=1))
    written = {f"{LEASE_PREFIX}decaf": {**of_another.to_metadata(), "follows_all": True}}
    assert _explain(lease, NOW + timedelta(hours=1), written)


def test_a_detached_job_is_nobodys_orphan() -> None:
    """Who detached meant the job to go on: `cancel --orphans` does not end it."""
    step_runs = InMemoryStepRuns()
    sign_off(step_runs, STEP)
    following = find_following(step_runs.metadata[STEP], {}, NOW + timedelta(days=1))
    assert (following.is_detached, following.absence) == (True, None)
    host = find_this_process().host
    assert following.describe(NOW) == f"nobody: process {os.getpid()} on {host} detached"


def test_who_detaches_on_another_machine_is_not_taken_to_follow() -> None:
    """The lease on the run outlives a client that detaches, by a quarter of an hour."""
    signed = {CLIENT_KEY: _lease(is_detached=True).to_metadata()}
    of_run = {f"{LEASE_PREFIX}c0ffee": _lease().to_metadata()}
    following = find_following(signed, of_run, NOW)
    assert (following.is_detached, following.absence) == (True, None)


@pytest.mark.parametrize(
    "written",
    [None, "process 1", {}, {**_lease().to_metadata(), "pid": "many"},
     {**_lease().to_metadata(), "pid": 10**400}, {**_lease().to_metadata(), "pid": -5},
     {**_lease().to_metadata(), "seen": "yesterday"},
     {**_lease().to_metadata(), "until": "2026-03-01T12:00:00"}],
)  # fmt: skip
def test_what_cannot_be_read_is_no_sign_of_life(written: object) -> None:
    """A step's own code can write metadata: what is wrong there ends no command."""
    assert Lease.read(written) is None
    following = find_following({CLIENT_KEY: written}, {f"{LEASE_PREFIX}1": written}, NOW)
    assert following.absence == "the sign of life of its client cannot be read"
    assert (following.lease, following.describe(NOW)) == (None, "nobody")


@pytest.mark.parametrize(
    ("seen", "until", "reason"),
    [(NOW, _LAST, "process 4711 on build-7, which followed it, was last seen 45 min ago"),
     (_LAST, _LAST, "the sign of life of process 4711 on build-7, which followed it, is dated "),
     (_FIRST, _LAST, "process 4711 on build-7, which followed it, was last seen "),
     (_LAST, _FIRST, "the sign of life of process 4711 on build-7, which followed it, is dated ")],
)  # fmt: skip
def test_a_lease_hides_a_job_for_45_minutes_at_most(
    seen: datetime, until: datetime, reason: str
) -> None:
    """One line in a step hid its job from every clean-up for good: `until` the year 9999."""
    written = _explain(Lease(ELSEWHERE, seen, until), NOW + timedelta(minutes=45))
    assert written is not None
    assert written.startswith(reason)


def test_a_process_is_asked_only_where_its_table_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc, a living client on another machine of the same name was an orphan at once."""
    monkeypatch.setattr(processes, "_PROC", Path("/nonexistent"))
    monkeypatch.setattr(processes, "_find", processes._find.__wrapped__)
    ended = subprocess.Popen(["true"])
    ended.wait()
    lease = _lease(Process("c0ffee", find_this_process().host, ended.pid))
    assert _explain(lease, NOW) is None
    assert _explain(lease, NOW + timedelta(minutes=16))


def test_a_job_is_signed_with_its_intent() -> None:
    """The sign of life costs no request of its own: it is written with the intent."""
    world = Submitted()
    submission = world.open()
    submission.sign = sign
    submission.submit(lambda: {"labels": {}}, {})
    lease = Lease.read(world.recorded[CLIENT_KEY])
    assert lease is not None
    assert (lease.process, lease.process.has_ended()) == (find_this_process(), False)


@pytest.mark.parametrize("is_named", [True, False])
def test_who_submits_a_step_run_again_signs_its_job(is_named: bool) -> None:
    """A job that another process takes over was an orphan as soon as the first process was gone."""
    world = Submitted()
    world.submit()
    dead = _lease(replace(find_this_process(), client_id="first", started="1")).to_metadata()
    recorded = {**world.recorded, CLIENT_KEY: dead}
    world.step_runs.metadata["6a1f"][CLIENT_KEY] = dead
    if not is_named:
        del recorded[JOB_NAME_KEY]
    submission = world.open()
    submission.sign = sign
    submission.submit(dict, recorded)
    assert find_following(world.recorded, {}, read_time()).absence is None


def test_polls_renew_the_lease_seldom() -> None:
    """A lease, not a heartbeat: none in the first five minutes, and 4 an hour after an hour.

    A write that fails is tried again a minute later, and the poll goes on.
    """
    world = Watched()
    written: list[datetime] = []
    failing = [ServerUnreachable("down")]

    def record(run_id: str, metadata: Mapping[str, Any]) -> None:
        assert run_id == RUN
        if failing:
            raise failing.pop()
        (value,) = metadata.values()
        lease = Lease.read(value)
        assert lease
        written.append(lease.seen)

    def tell_time() -> datetime:
        return NOW + timedelta(seconds=world.clock.now)

    world.watcher.renew_leases = LeaseKeeper(InMemoryStepRuns().record, record, tell_time).renew
    world.follow("JOB_STATE_RUNNING")
    began = tell_time()
    world.report(at=world.clock.now + 3 * 3600)
    world.watcher.wait(STEP)
    minutes = [(time - began).total_seconds() / 60 for time in written]
    # The write of the fifth minute failed.
    assert [5 < minute < 8 for minute in minutes[:3]] == [True, False, False]
    assert len([minute for minute in minutes if minute < 60]) in {10, 11}
    assert len([minute for minute in minutes if minute >= 60]) in {8, 9}


def test_who_resumes_a_step_follows_that_step_and_no_other() -> None:
    """While somebody attached to one step of a run, all others looked as if they were followed.

    Only a poll signs, and a failed write is tried again a minute later.
    """
    now = [NOW]
    step_runs = InMemoryStepRuns()
    keeper = LeaseKeeper(step_runs.record, step_runs.record_on_run, lambda: now[0])
    keeper.note_resumed(RUN, STEP)
    keeper.note_resumed("another run", "another step")
    keeper.note_resumed(RUN, "deleted")
    assert not step_runs.metadata
    step_runs.record_errors = [ServerUnreachable("down"), None, StepRunNotFound("deleted")]
    for _ in range(3):
        keeper.renew([RUN])
        assert not step_runs.metadata
    now[0] += timedelta(minutes=1)
    for _ in range(3):
        keeper.renew([RUN])
    assert {*step_runs.metadata} == {STEP}
    assert find_following(step_runs.metadata[STEP], {}, now[0]).lease == Lease.sign(now[0])
    now[0] += timedelta(minutes=6)
    keeper.renew([RUN])
    of_other = {CLIENT_KEY: _lease(seen=NOW - timedelta(hours=1)).to_metadata()}
    assert find_following(of_other, step_runs.metadata[RUN], NOW).absence


def _look(client: Lease, written: object, of_run: Lease | None = None, minutes: int = 20) -> bool:
    """Whether a job looks like an orphan if its step has written something."""
    creation = Creation(client.process.fingerprint, NOW - timedelta(minutes=minutes))
    key = f"{LEASE_PREFIX}{client.process.client_id}"
    renewed = {key: of_run.to_metadata()} if of_run else {}
    return bool(find_following({CLIENT_KEY: written}, renewed, NOW, creation).absence)


@pytest.mark.parametrize("process", [ELSEWHERE, find_this_process()], ids=["elsewhere", "here"])
def test_no_step_has_its_living_client_taken_for_dead(process: Process) -> None:
    """A step changed `pid` in its metadata: `cancel --orphans` of a colleague cancelled its job."""
    here = find_this_process()
    client = Lease(process, NOW - timedelta(minutes=20), NOW - timedelta(minutes=5))
    of_run = _lease(process, seen=NOW - timedelta(minutes=10))
    dead = replace(here, client_id=process.client_id, started="1")
    for forged in (_lease(dead).to_metadata(), client.to_metadata(), "x", {},
                   _lease(replace(dead, client_id="other")).to_metadata()):  # fmt: skip
        assert not _look(client, forged, of_run)
        # It has not renewed its lease yet.
        assert not _look(client, forged, minutes=4)
    # Without a lease of the client's own, a forged one counts for its time.
    assert not _look(client, _lease(dead).to_metadata())
    assert _look(client, _lease(dead, seen=NOW - timedelta(minutes=16)).to_metadata())
    assert _look(client, "x")


def test_the_process_that_created_a_job_is_missed_at_once() -> None:
    """What a job says of its client proves that it has ended, whatever its lease is."""
    dead = _lease(replace(find_this_process(), started="1"))
    for minutes in (0, 20):
        assert _look(dead, dead.to_metadata(), dead, minutes=minutes)
        assert _look(dead, "x", dead, minutes=minutes)
        assert not _look(dead, _lease().to_metadata(), dead, minutes=minutes)


def test_who_started_nothing_for_three_quarters_of_an_hour_has_left() -> None:
    """The run of a client that died elsewhere between two steps was never ended."""
    old = _lease(seen=NOW - timedelta(hours=1))
    for quiet, has_left in ((None, False), (1, False), (44, False), (45, True)):
        since = None if quiet is None else NOW - timedelta(minutes=quiet)
        assert old.has_left(NOW, since) is has_left
    assert not _lease().has_left(NOW, NOW - timedelta(hours=9))
    assert _lease(replace(find_this_process(), started="1")).has_left(NOW, None)


def test_who_followed_before_this_machine_was_started_again_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the same machine proves that, outside of containers: many have one name or one ID."""
    machine_id = tmp_path / "machine-id"
    boot_id = tmp_path / "sys/kernel/random/boot_id"
    namespace = tmp_path / "self/ns/pid"
    for parent in (boot_id.parent, namespace.parent):
        parent.mkdir(parents=True)
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    monkeypatch.setattr(processes, "_MACHINE_ID", machine_id)
    monkeypatch.setattr(processes, "_find", processes._find.__wrapped__)

    def boot(name: str, machine: str, table: str = processes._OUTSIDE) -> Process:
        boot_id.write_text(f"{name}\n")
        machine_id.write_text(f"{machine}\n")
        namespace.unlink(missing_ok=True)
        namespace.symlink_to(table)
        return find_this_process()

    first = _lease(boot("first", "1"), seen=NOW - timedelta(hours=1))
    assert not first.has_left(NOW, None)
    assert first.process.machine not in {"", "1"}
    for name, machine, table in (("second", "2", processes._OUTSIDE), ("second", "1", "pid:[2]")):
        boot(name, machine, table)
        assert not first.has_left(NOW, None)
    in_container = _lease(boot("first", "1", "pid:[2]"), seen=NOW - timedelta(hours=1))
    nameless = _lease(boot("first", ""), seen=NOW - timedelta(hours=1))
    boot("second", "")
    assert not nameless.has_left(NOW, None)
    boot("second", "1")
    read = Lease.read(first.to_metadata())
    assert read
    assert read.has_left(NOW, None)
    assert not in_container.has_left(NOW, None)
