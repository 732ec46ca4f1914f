"""A new fault is one class: no table, list or handler elsewhere has to know of it."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import requests
from google.api_core import exceptions

from vertex_emulator.faults import ErrorAnswer, FaultKind, JobFault
from vertex_emulator.faults.as_json import fault_from_json
from vertex_emulator.jobs.events import Incident, Restart, Stage
from vertex_emulator.jobs.job import Job


@pytest.fixture
def fresh_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test adds to the registry is gone after it."""
    monkeypatch.setattr(FaultKind, "registry", dict(FaultKind.registry))


@pytest.mark.parametrize("is_json", [False, True], ids=["Python", "JSON"])
@pytest.mark.usefixtures("fresh_registry")
def test_a_new_job_fault_is_one_class(simulation: Any, is_json: bool) -> None:
    """It is planned, happens with its own numbers and texts, and is counted."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Overheated(JobFault):
        """The machine gets too hot: another start on another one, then FAILED with code 9."""

        stages: ClassVar[tuple[Stage, ...]] = ("running", "provisioning")

        degrees: int = 90

        @property
        def repeats(self) -> int:
            return 2

        def build_incident(self, job: Job) -> Incident:
            message = f"Too hot in {job.location}: {self.degrees} degrees."
            return Restart("heat", 1, {"code": 9, "message": message})

    if is_json:
        fault = {"fault": "Overheated", "degrees": 99, "after": 10}
        url = f"{simulation.emulator.url}/emulator/faults"
        answer = requests.post(url, json={"faults": [fault]}, timeout=10)
        assert answer.json()["faults"][0]["fault"] == fault | {"after": 10.0}
    else:
        simulation.emulator.faults.plan(Overheated(degrees=99, after=10))
    name = simulation.create()
    simulation.clock.advance(5 + 2 * (180 + 10) + 50)
    tried = ["PENDING", "RUNNING"]
    assert simulation.states(name) == ["QUEUED", *tried, *tried, "FAILED"]
    error = simulation.get(name).error
    assert (error.code, error.message) == (9, "Too hot in us-central1: 99 degrees.")
    (planned,) = simulation.emulator.faults.all()
    assert (planned.hits, planned.is_consumed) == (2, True)


@pytest.mark.usefixtures("fresh_registry")
def test_a_new_call_fault_is_one_class(simulation: Any) -> None:
    """What derives from a fault of calls is planned over HTTP by its own name."""

    @dataclass(frozen=True, slots=True)
    class Overloaded(ErrorAnswer):
        """The service has no time for the call."""

        status: int = field(default=503, kw_only=True)

    fault = fault_from_json({"fault": "Overloaded", "method": "list"})
    assert isinstance(fault, Overloaded)
    with (
        simulation.emulator.faults.planned(fault),
        pytest.raises(exceptions.ServiceUnavailable),
    ):
        simulation.listed()
