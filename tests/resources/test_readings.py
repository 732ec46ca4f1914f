"""Reads of persistent resources: few for many steps, and none that keeps a step from its job."""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.fakes import ManualClock
from tests.support.resources import InMemoryResources, make_content
from zenml_vertex.errors import PermissionDenied, ServiceUnavailable
from zenml_vertex.resources.readings import (
    BUSY_SECONDS,
    FRESH_SECONDS,
    TEARDOWN_SECONDS,
    ResourceReadings,
)

NAME = "projects/my-project/locations/us-central1/persistentResources/warm"


def read(readings: ResourceReadings, resources: InMemoryResources, takes: int = 0) -> int:
    """Read the resource, and take machines of it; how many were taken before."""
    with readings.reading(resources, NAME) as reading:
        before = reading.taken["n1-standard-4"]
        reading.taken["n1-standard-4"] += takes
        return before


def test_a_crowd_reads_a_resource_once() -> None:
    """Forty steps that come at once cause one read, and count each other's machines."""
    resources = InMemoryResources({NAME: make_content(NAME, replicas=100)})
    readings = ResourceReadings(ManualClock())
    with ThreadPoolExecutor(10) as pool:
        counts = list(pool.map(lambda _: read(readings, resources, 1), range(40)))
    assert resources.reads == 1
    assert sorted(counts) == list(range(40))


@pytest.mark.parametrize(
    ("content", "seconds"),
    [
        ({"replicas": 2}, FRESH_SECONDS),
        ({"replicas": 2, "used": 2}, BUSY_SECONDS),
        ({"replicas": 2, "state": "PROVISIONING"}, BUSY_SECONDS),
        (None, BUSY_SECONDS),
    ],
)
def test_what_may_pass_soon_is_read_again_soon(
    content: dict[str, Any] | None, seconds: float
) -> None:
    """A resource counts as read for three minutes; one that takes no jobs now, for 20 s."""
    found = {} if content is None else {NAME: make_content(NAME, **content)}
    resources, clock = InMemoryResources(found), ManualClock()
    readings = ResourceReadings(clock)
    read(readings, resources)
    clock.now += seconds - 1
    read(readings, resources)
    assert resources.reads == 1
    clock.now += 1
    assert read(readings, resources) == 0
    assert resources.reads == 2


def test_a_failed_read_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Steps of the next three minutes do not wait for what does not answer, nor say it again."""
    resources = InMemoryResources({})
    resources.error = ServiceUnavailable("Vertex AI did not respond.")
    clock = ManualClock()
    readings = ResourceReadings(clock)
    for _ in range(3):
        with readings.reading(resources, NAME) as reading:
            assert reading.error is resources.error
    assert resources.reads == 1
    assert clock.sleeps == []
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.endswith("submitted without a check: Vertex AI did not respond.")


def _leave(resources: InMemoryResources, *, detaches: bool = False) -> None:
    readings = ResourceReadings(ManualClock())
    read(readings, resources)
    for step_run_id in ("a", "b"):
        readings.note_use(NAME, step_run_id, 1)
    if detaches:
        readings.note_detached("a")
    readings.warn_idle()


def test_a_resource_that_is_left_idle_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """At the end of a process, one line has the machines that are billed, and both commands.

    The jobs that have just ended hold their machines for a minute more.
    """
    with caplog.at_level(logging.WARNING):
        _leave(InMemoryResources({NAME: make_content(NAME, replicas=3, used=2)}))
    (record,) = caplog.records
    said = record.getMessage()
    assert said.startswith("Persistent resource `warm` (3 x n1-standard-4) stays, and is billed ")
    assert said.endswith(f"To end it: zenml-vertex persistent-resource delete {NAME}")


def test_jobs_that_ended_long_ago_hold_no_machines(caplog: pytest.LogCaptureFixture) -> None:
    """After many steps, machines in use are those of others."""
    clock = ManualClock()
    readings = ResourceReadings(clock)
    resources = InMemoryResources({NAME: make_content(NAME, replicas=3, used=1)})
    read(readings, resources)
    for number in range(9):
        readings.note_use(NAME, str(number), 1)
        readings.note_left(str(number))
    readings.warn_idle()
    assert "stays, and is billed" in caplog.messages[-1]
    caplog.clear()
    clock.now += TEARDOWN_SECONDS
    readings.warn_idle()
    assert caplog.messages == []


@pytest.mark.parametrize("case", ["others", "detached", "gone", "stopping"])
def test_a_resource_that_is_not_left_idle_is_not_named(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Others use it, a job of this process goes on, or it is gone or ends: nothing is said."""
    contents = {
        "others": make_content(NAME, replicas=3, used=3),
        "detached": make_content(NAME, replicas=3),
        "stopping": make_content(NAME, replicas=3, state="STOPPING"),
    }
    found = {NAME: contents[case]} if case in contents else {}
    _leave(InMemoryResources(found), detaches=case == "detached")
    assert caplog.records == []


def test_a_resource_that_cannot_be_read_at_the_end_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It may be idle and cost money: the line says what is not known."""
    resources = InMemoryResources({NAME: make_content(NAME)})
    readings = ResourceReadings(ManualClock())
    read(readings, resources)
    readings.note_use(NAME, "a", 1)
    resources.error = PermissionDenied("no", code=403)
    readings.warn_idle()
    assert "is on it any more, unless others use it." in caplog.records[-1].getMessage()
