"""Faults of persistent resources by plan."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.emulators import error_of
from tests.support.warm import POOL, SECONDS, Warm, open_warm
from vertex_emulator.faults import (
    ErrorAnswer,
    FaultError,
    PermissionWithdrawn,
    ResourceBroken,
    ResourcePreempted,
    ResourceStockout,
    UnconsumedFaultError,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[Warm]:
    """One emulator for the module."""
    with open_warm() as warm:
        yield warm


@pytest.fixture
def warm(shared: Warm) -> Warm:
    """An emulator without persistent resources and faults."""
    shared.emulator.reset()
    return shared


def test_a_stockout_fails_the_create(warm: Warm) -> None:
    """The operation fails with code 8, and the resource is in ERROR until it is deleted."""
    with warm.emulator.faults.planned(ResourceStockout(after=200)):
        operation = warm.create()
        warm.clock.advance(199)
        assert "done" not in warm.operation(operation)
        warm.clock.advance(1)
    ended = warm.operation(operation)
    assert (ended["done"], ended["error"]["code"]) == (True, 8)
    assert ended["error"]["message"].startswith("Resources are insufficient in region: us-central1")
    shown = warm.call("GET", "/warm")
    assert (shown["state"], shown["error"]) == ("ERROR", ended["error"])
    assert "startTime" not in shown
    assert error_of(warm.try_job())["status"] == "FAILED_PRECONDITION"
    warm.clock.advance(SECONDS.provisioning)
    assert warm.state() == "ERROR"
    assert warm.call("DELETE", "/warm")["done"] is True
    warm.make()


def test_a_stockout_comes_before_the_end_of_the_create(warm: Warm) -> None:
    """Where both are due at the same moment, the create fails."""
    with warm.emulator.faults.planned(ResourceStockout(after=SECONDS.provisioning)):
        operation = warm.create()
        warm.clock.advance(SECONDS.provisioning)
    assert warm.operation(operation)["error"]["code"] == 8
    assert warm.state() == "ERROR"


def test_a_broken_resource_fails_its_jobs(warm: Warm) -> None:
    """It is in ERROR, its jobs are FAILED, those that wait too, and a reboot mends it."""
    with warm.emulator.faults.planned(ResourceBroken(after=30)):
        warm.make()
        jobs = [warm.submit(), warm.submit()]
        warm.clock.advance(30 + 10)
    assert warm.states(*jobs) == ["FAILED", "FAILED"]
    shown = warm.call("GET", "/warm")
    assert (shown["state"], shown["error"]["code"]) == ("ERROR", 13)
    assert warm.emulator.job(jobs[0]).error == shown["error"]
    warm.call("POST", "/warm:reboot", json={})
    warm.clock.advance(SECONDS.rebooting)
    shown = warm.call("GET", "/warm")
    assert (shown["state"], shown["error"]) == ("RUNNING", {})


def test_a_preemption_restarts_its_jobs(warm: Warm) -> None:
    """Jobs that run are restarted on other machines, and the resource stays RUNNING."""
    with warm.emulator.faults.planned(ResourcePreempted(after=30)):
        warm.make()
        jobs = [warm.submit(), warm.submit()]
        warm.clock.advance(30)
    assert warm.states(*jobs) == ["RUNNING", "QUEUED"]
    assert [warm.emulator.job(job).attempt for job in jobs] == [2, 0]
    assert dict(warm.emulator.job(jobs[0]).restarts) == {"preemption": 1}
    assert warm.state() == "RUNNING"


def test_a_fault_says_which_resource(warm: Warm) -> None:
    """Labels, display name, ID and position choose; one that is not hit fails the test."""
    faults = (
        ResourceStockout(labels={"team": "a"}),
        ResourceStockout(display_name="named"),
        ResourceStockout(resource_id="third"),
    )
    with warm.emulator.faults.planned(*faults, ResourceStockout(resource_id="no", nth=2)) as (
        *_, fourth,
    ):  # fmt: skip
        warm.create("no", labels={"team": "b"})
        warm.create("first", labels={"team": "a"})
        warm.create("second", displayName="named")
        warm.create("third")
        warm.clock.advance(SECONDS.provisioning)
        states = [warm.state(one) for one in ("no", "first", "second", "third")]
        warm.emulator.faults.withdraw(fourth.id)
        assert states == ["RUNNING", "ERROR", "ERROR", "ERROR"]
        fourth.hits = 1
    with (
        pytest.raises(UnconsumedFaultError, match="ResourceBroken"),
        warm.emulator.faults.planned(ResourceBroken(resource_id="never")),
    ):
        pass


def test_a_fault_hits_one_that_exists(warm: Warm) -> None:
    """With its ID, a resource that runs already is hit, over HTTP too."""
    warm.make()
    url = f"{warm.emulator.url}/emulator/faults"
    body: Any = {"faults": [{"fault": "ResourceBroken", "resource_id": "warm"}]}
    (planned,) = requests.post(url, json=body, timeout=10).json()["faults"]
    warm.clock.settle()
    assert warm.state() == "ERROR"
    (seen,) = requests.get(url, timeout=10).json()["faults"]
    assert (seen["id"], seen["hits"], seen["isConsumed"]) == (planned["id"], 1, True)


def test_what_is_planned_outlives_a_crash(tmp_path: Path) -> None:
    """What is still to happen to a resource is kept with it."""
    with open_warm(tmp_path) as first:
        first.emulator.faults.plan(ResourceBroken(after=30))
        first.make()
        first.emulator.crash()
        with open_warm(tmp_path, first.clock) as second:
            assert second.state() == "RUNNING"
            second.clock.advance(30)
            assert second.state() == "ERROR"


def test_a_kill_amid_a_fault_leaves_no_job(tmp_path: Path) -> None:
    """Jobs that a killed emulator had still to fail with their resource are failed by the next one.

    One that waited for machines stayed QUEUED for ever, and the others ran on.
    """
    with open_warm(tmp_path) as first:
        first.emulator.faults.plan(ResourceBroken(after=10))
        first.make()
        jobs = [first.submit(), first.submit()]
        first.clock.settle()
        files = [tmp_path / job / "document.json" for job in jobs]
        kept = [file.read_bytes() for file in files]
        first.clock.advance(10)
        first.emulator.crash()
        # As after a kill before either was.
        for file, content in zip(files, kept, strict=True):
            file.write_bytes(content)
        with open_warm(tmp_path, first.clock) as second:
            second.clock.advance(10)
            assert second.state() == "ERROR"
            assert second.states(*jobs) == ["FAILED", "FAILED"]


def test_faults_of_calls_know_the_methods(warm: Warm) -> None:
    """A call can be hit by its method and display name, and a 403 names its permission."""
    with warm.emulator.faults.planned(
        ErrorAnswer("create_persistent_resource", 503, display_name="warm"),
        PermissionWithdrawn("reboot_persistent_resource"),
    ):
        assert (
            warm.refused("POST", "?persistentResourceId=warm", json={"resourcePools": [POOL]})[
                "code"
            ]
            == 503
        )
        warm.make()
        error = warm.refused("POST", "/warm:reboot", json={})
    assert error["message"] == (
        "Permission 'aiplatform.persistentResources.update' denied on resource "
        "'//aiplatform.googleapis.com/projects/my-project/locations/us-central1/"
        "persistentResources/warm' (or it may not exist)."
    )


@pytest.mark.parametrize("wrong", [{"nth": 0}, {"count": -1}, {"after": -1.0}])
def test_an_invalid_fault_is_refused(wrong: Any) -> None:
    """A fault that cannot be is a FaultError that names the field."""
    with pytest.raises(FaultError, match=next(iter(wrong))):
        ResourceBroken(**wrong)
