"""`webAccessUris`: where the interactive shells of a job's containers would be."""

import re

from tests.emulator.conftest import Simulation
from vertex_emulator.jobs.web_access import build_web_access_uris


def test_a_job_that_asks_for_it_has_shells_while_its_container_runs(
    simulation: Simulation,
) -> None:
    """Google's client sees an address for each replica, from the container's start to its end."""
    name = simulation.create(enableWebAccess=True)
    assert dict(simulation.get(name).web_access_uris) == {}
    simulation.clock.advance(100)
    assert dict(simulation.get(name).web_access_uris) == {}
    simulation.clock.advance(90)
    assert simulation.state(name) == "RUNNING"
    ((replica, uri),) = simulation.get(name).web_access_uris.items()
    assert replica == "workerpool0-0"
    form = r"[0-9a-f]{16}-dot-us-central1\.aiplatform-training\.googleusercontent\.com"
    assert re.fullmatch(form, uri)
    simulation.clock.advance(200)
    assert simulation.state(name) == "SUCCEEDED"
    assert dict(simulation.get(name).web_access_uris) == {}


def test_a_job_that_does_not_ask_for_it_has_none(simulation: Simulation) -> None:
    """Without `enableWebAccess`, no job has an address."""
    name = simulation.create()
    simulation.clock.advance(190)
    assert simulation.state(name) == "RUNNING"
    assert dict(simulation.get(name).web_access_uris) == {}


def test_each_replica_has_a_shell_of_its_own() -> None:
    """Pools that are left out have none."""
    pools = [{"replicaCount": "1"}, {}, {"replicaCount": "2"}]
    spec = {"enableWebAccess": True, "workerPoolSpecs": pools}
    uris = build_web_access_uris("123", "us-central1", spec)
    assert list(uris) == ["workerpool0-0", "workerpool2-0", "workerpool2-1"]
    assert len(set(uris.values())) == 3
