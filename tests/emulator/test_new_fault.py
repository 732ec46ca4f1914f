"""A new fault is one class; no table, list or handler elsewhere has to be edited."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import requests
from google.api_core import exceptions

from vertex_emulator.core.errors import ApiError
from vertex_emulator.faults import FaultKind, JobFault, RequestFault
from vertex_emulator.faults.call_faults import ErrorReply, Reply
from vertex_emulator.http.routes import FaultTarget
from vertex_emulator.jobs.events import Incident, Restart, Stage
from vertex_emulator.jobs.job import Job


@pytest.fixture
def fresh_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove what a test adds to the registry."""
    monkeypatch.setattr(FaultKind, "registry", dict(FaultKind.registry))


@pytest.mark.parametrize("is_json", [False, True], ids=["Python", "JSON"])
@pytest.mark.usefixtures("fresh_registry")
def test_a_new_job_fault_is_one_class(simulation: Any, is_json: bool) -> None:
    """A new job fault is planned, happens with its own numbers and texts, and is counted."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Overheated(JobFault):
        """The machine overheats: the job starts once more elsewhere, then FAILED with code 9."""

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


@pytest.mark.parametrize("is_json", [False, True], ids=["Python", "JSON"])
@pytest.mark.usefixtures("fresh_registry")
def test_a_new_call_fault_is_one_class(simulation: Any, is_json: bool) -> None:
    """A new call fault is planned, prevents the call's effect, and returns its own error."""

    @dataclass(frozen=True, slots=True)
    class UnderMaintenance(RequestFault):
        """The service is under maintenance."""

        hours: int = field(default=1, kw_only=True)

        @property
        def effect_after(self) -> None:
            return None

        def build_reply(self, target: FaultTarget) -> Reply:
            text = f"{target.method}: back in {self.hours} hours."
            return ErrorReply(ApiError("UNAVAILABLE", text, http_status=503), retry_after=7)

    if is_json:
        fault = {"fault": "UnderMaintenance", "method": "create", "hours": 2}
        url = f"{simulation.emulator.url}/emulator/faults"
        requests.post(url, json={"faults": [fault]}, timeout=10).raise_for_status()
    else:
        simulation.emulator.faults.plan(UnderMaintenance("create", hours=2))
    with pytest.raises(exceptions.ServiceUnavailable, match="create: back in 2 hours"):
        simulation.create()
    assert simulation.listed() == []
