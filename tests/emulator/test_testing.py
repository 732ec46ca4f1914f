"""The fixtures for pytest, and what they tell of jobs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.support.emulators import PARENT, JobOf
from vertex_emulator import JobState, ManualClock, Script
from vertex_emulator.faults import ErrorAnswer, UnconsumedFaultError
from vertex_emulator.pytest_plugin import StartVertexEmulator
from vertex_emulator.testing import EmulatedJob, EmulatedVertex, SimulatedVertex, simulated_vertex

JOBS = f"/v1/{PARENT}/customJobs"


def create(vertex: EmulatedVertex, job: dict[str, object]) -> EmulatedJob:
    """Create a job and return it."""
    answer = requests.post(f"{vertex.url}{JOBS}", json=job, timeout=10)
    return vertex.job(answer.json()["name"])


def post(vertex: EmulatedVertex, job: EmulatedJob, verb: str) -> int:
    """Call a method of a job; the HTTP status."""
    return requests.post(f"{vertex.url}/v1/{job.name}:{verb}", timeout=10).status_code


def test_a_job_runs(vertex_emulator: EmulatedVertex, job_of: JobOf) -> None:
    """A job is what it is now: its state, its lines and those of the service."""
    first = create(vertex_emulator, job_of("echo", "hello", displayName="one"))
    second = create(vertex_emulator, job_of("false", labels={"a": "b"}))
    assert [job.name for job in vertex_emulator.jobs()] == [first.name, second.name]
    assert first.wait().state is JobState.SUCCEEDED
    assert first.state == "JOB_STATE_SUCCEEDED"
    assert first.states[-2:] == (JobState.RUNNING, JobState.SUCCEEDED)
    assert first.logs() == first.logs("workerpool0-0") == ["hello"]
    assert first.logs("workerpool0-1") == []
    assert "hello" not in first.service_logs()
    assert first.service_logs()
    assert (first.display_name, first.error, first.cancelled) == ("one", None, False)
    assert second.wait().state is JobState.FAILED
    assert "non-zero status of 1" in (second.error or "")
    assert second.labels == second.request["labels"] == {"a": "b"}


def test_a_job_is_cancelled_by_a_client_only(
    vertex_emulator: EmulatedVertex, job_of: JobOf
) -> None:
    """`cancelled` says what a client did: a job that ran into its timeout is CANCELLED too."""
    job = create(vertex_emulator, job_of("sleep", "600"))
    slow = create(vertex_emulator, job_of("sleep", "600", scheduling={"timeout": "1s"}))
    job.wait(JobState.RUNNING)
    assert not job.cancelled
    assert post(vertex_emulator, job, "cancel") == 200
    assert job.cancelled
    assert job.wait().state is JobState.CANCELLED
    assert slow.wait().state is JobState.CANCELLED
    assert not slow.cancelled


def test_a_deleted_job_says_so(vertex_emulator: EmulatedVertex, job_of: JobOf) -> None:
    """What is asked of a job that is gone is an error that says so, in its repr too."""
    job = create(vertex_emulator, job_of("true")).wait()
    assert repr(job) == f"<EmulatedJob {job.job_id} SUCCEEDED>"
    assert requests.delete(f"{vertex_emulator.url}/v1/{job.name}", timeout=10).ok
    assert vertex_emulator.jobs() == []
    for ask in (job.logs, job.wait, job.to_json, lambda: vertex_emulator.job(job.name)):
        with pytest.raises(LookupError):
            ask()
    assert repr(job) == f"<EmulatedJob {job.job_id} deleted>"


def test_a_simulation_passes_time(vertex_simulation: SimulatedVertex, job_of: JobOf) -> None:
    """Nothing happens by itself, and everything in its order."""
    vertex_simulation.play(Script(seconds=None, lines=("started",)))
    job = create(vertex_simulation, job_of("true"))
    assert job.state is JobState.QUEUED
    vertex_simulation.advance(200)
    assert (job.state, job.logs()) == (JobState.RUNNING, ["started"])
    assert [one.job_id for one in vertex_simulation.containers] == [job.job_id]
    assert post(vertex_simulation, job, "cancel") == 200
    vertex_simulation.advance(60)
    assert job.state is JobState.CANCELLED
    vertex_simulation.play(lambda container: Script(status=len(container.command)))
    failed = create(vertex_simulation, job_of("false"))
    vertex_simulation.advance(600)
    assert failed.state is JobState.FAILED


@pytest.mark.parametrize("_", range(2))
def test_a_simulation_is_the_same_each_time(
    vertex_simulation: SimulatedVertex, job_of: JobOf, _: int, record: list[str]
) -> None:
    """IDs and times do not depend on the tests before."""
    record.append(create(vertex_simulation, job_of("true")).job_id)
    assert len(set(record)) == 1


@pytest.fixture(scope="module")
def record() -> list[str]:
    """What the runs of a test have seen."""
    return []


def test_emulators_with_options(start_vertex_emulator: StartVertexEmulator, job_of: JobOf) -> None:
    """Several emulators with options of their own are there until the end of the test."""
    clock = ManualClock()
    first, second = start_vertex_emulator(clock=clock), start_vertex_emulator(token_lifetime=60)
    create(first, job_of("true"))
    assert (len(first.jobs()), second.jobs()) == (1, [])
    assert first.emulator.clock is clock


def test_one_emulator_for_all_tests(
    vertex_emulator_session: EmulatedVertex, vertex_emulator: EmulatedVertex, job_of: JobOf
) -> None:
    """The emulator of the session is another one than a test's own; `reset` empties it."""
    create(vertex_emulator_session, job_of("true"))
    assert vertex_emulator.jobs() == []
    assert vertex_emulator_session.calls
    vertex_emulator_session.reset()
    assert vertex_emulator_session.jobs() == []
    assert vertex_emulator_session.calls == ()


def test_a_fault_that_did_not_happen_is_an_error() -> None:
    """A test whose fault never happened has tested nothing."""
    with pytest.raises(UnconsumedFaultError), simulated_vertex() as vertex:
        vertex.faults.plan(ErrorAnswer("create", 503))


def test_an_outage_that_nobody_met_is_none() -> None:
    """`go_down` is not a fault that has to happen."""
    with simulated_vertex() as vertex:
        vertex.emulator.go_down()


_TEST = """
def test_nothing(request):
    pass

def test_a_fixture(vertex_simulation):
    assert vertex_simulation.jobs() == []
"""
_CONFTEST = """
import sys

# `google` alone is a namespace that packages of Google's make at each start of Python.
HEAVY = {"google.api_core", "google.auth", "google.cloud.aiplatform", "google.protobuf", "grpc",
         "requests", "starlette", "uvicorn", "zenml"}
LIGHT = {"vertex_emulator", "vertex_emulator.extras", "vertex_emulator.pytest_plugin",
         "zenml_vertex", "zenml_vertex.local_stack", "zenml_vertex.local_stack.pytest_plugin"}

def find_heavy():
    packages = {"vertex_emulator", "zenml_vertex"}
    own = {name for name in sys.modules if name.split(".")[0] in packages}
    return sorted(own - LIGHT) + sorted(HEAVY & set(sys.modules))

def pytest_collection_finish(session):
    has = session.config.pluginmanager.has_plugin
    print("PLUGINS", *(name for name in ("vertex_emulator", "zenml_vertex") if has(name)))
    print("LOADED", *find_heavy())

def pytest_runtest_teardown(item):
    print("AFTER", item.name, *find_heavy())
"""


def run_pytest(folder: Path, *options: str) -> str:
    """Run pytest in a project of its own, as its user does."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYTEST")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with tests, and this package installed beside it."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    (tmp_path / "test_it.py").write_text(_TEST)
    return tmp_path


def test_the_plugin_costs_nothing_where_it_is_not_used(project: Path) -> None:
    """Every project that has this package installed loads the plugin, and nothing more.

    The emulator is loaded by the test that asks for it, and ZenML and Google by none of these.
    """
    collected = run_pytest(project, "--co", "-q")
    assert "PLUGINS vertex_emulator zenml_vertex" in collected.splitlines()
    assert "LOADED" in collected.splitlines()
    ran = run_pytest(project, "-q")
    after = {
        words[1]: words[2:]
        for line in ran.splitlines()
        if "AFTER" in line and (words := line[line.index("AFTER") :].split())
    }
    assert after["test_nothing"] == []
    assert "vertex_emulator.server" in after["test_a_fixture"]
    assert not {"zenml", "google.auth", "google.api_core", "grpc"} & set(after["test_a_fixture"])


def test_the_plugin_can_be_turned_off(project: Path) -> None:
    """`-p no:` leaves each of the two out."""
    options = ("--co", "-q", "-p", "no:vertex_emulator", "-p", "no:zenml_vertex")
    assert "PLUGINS" in run_pytest(project, *options).splitlines()


def test_persistent_resources_take_their_time_in_a_simulation_only(
    vertex_emulator: EmulatedVertex, vertex_simulation: SimulatedVertex
) -> None:
    """One is there at once where jobs run, and after 251 s where the test moves the clock."""
    pool = {"machineSpec": {"machineType": "n1-standard-4"}, "replicaCount": "1"}
    resources = f"/v1/{PARENT}/persistentResources"

    def state_of(vertex: EmulatedVertex) -> str:
        return str(requests.get(f"{vertex.url}{resources}/warm", timeout=10).json()["state"])

    def create_at(vertex: EmulatedVertex) -> str:
        url = f"{vertex.url}{resources}?persistentResourceId=warm"
        created = requests.post(url, json={"resourcePools": [pool]}, timeout=10)
        return f"{vertex.url}/v1/{created.json()['name']}"

    operation = create_at(vertex_emulator)
    assert requests.post(f"{operation}:wait", timeout=70).json()["done"] is True
    assert state_of(vertex_emulator) == "RUNNING"
    create_at(vertex_simulation)
    vertex_simulation.advance(250)
    assert state_of(vertex_simulation) == "PROVISIONING"
    vertex_simulation.advance(1)
    assert state_of(vertex_simulation) == "RUNNING"
