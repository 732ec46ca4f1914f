"""A step's persistent resource, read before its job is created."""

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from tests.steps.test_preflight import make_step
from tests.support.components import make_operator
from tests.support.emulators import call
from tests.support.fakes import SERVER, InMemoryStepRuns, ManualClock
from tests.support.warm import Warm, open_warm
from vertex_emulator.faults import ErrorAnswer, PermissionWithdrawn
from zenml_vertex.cloud.connection import Connection, connect
from zenml_vertex.errors import ConfigurationError, ServerUnreachable
from zenml_vertex.job.request import build_custom_job
from zenml_vertex.steps.connections import ConnectionPool
from zenml_vertex.steps.persistent_resources import place_step
from zenml_vertex.steps.preflight import StepFindings, inspect_step


@pytest.fixture
def warm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Warm]:
    """An emulator whose clock stands still, at which clients arrive by its variable."""
    with open_warm() as warm:
        monkeypatch.setenv("AIPLATFORM_EMULATOR_HOST", warm.emulator.url)
        yield warm


class Client:
    """A process whose steps run on persistent resources.

    Args:
        warm: The emulator.
    """

    def __init__(self, warm: Warm) -> None:
        self.warm = warm
        self.at_exit: list[Any] = []
        self.pool = ConnectionPool(ManualClock(), run_at_exit=self.at_exit.append)
        self.connection: Connection = connect(
            region="us-central1",
            project="my-project",
            key_file=None,
            api_endpoint=None,
            connector=None,
        )

    def place(self, **settings: Any) -> StepFindings:
        """Place the step `train` on the resource `warm`."""
        step = make_step(persistent_resource_id="warm", **settings)
        findings = inspect_step(make_operator(), step)
        assert findings.problems == ()
        step_run = SimpleNamespace(name="train", version=1, pipeline_run_id=uuid4())
        info = SimpleNamespace(step_run=step_run, step_run_id=uuid4(), pipeline_step_name="train")
        return place_step(cast("Any", info), findings, self.connection, self.pool)

    def submit(self, findings: StepFindings) -> str:
        """Create the job of a step that was placed, and return its name."""
        job = build_custom_job(
            findings.job,
            display_name="train",
            image="registry.example/image:1",
            command=["true"],
            environment={},
            labels={},
        )
        return str(self.connection.jobs.create(self.connection.parent, job)["name"])

    def count_reads(self) -> int:
        """How often the resource was read."""
        return sum(str(one.route).endswith("/{resource}") for one in self.warm.emulator.calls)


@pytest.fixture
def client(warm: Warm) -> Iterator[Client]:
    """Such a process."""
    client = Client(warm)
    yield client
    client.connection.jobs.close()


def test_a_job_that_differs_is_refused_before_it_is_created(client: Client) -> None:
    """Vertex AI would refuse it; the error comes first, and names the step and the settings."""
    client.warm.make()
    with pytest.raises(ConfigurationError) as raised:
        client.place(machine_type="n1-standard-8")
    assert "of step `train`: the job does not fit persistent resource `warm`" in str(raised.value)
    assert "machine_type  n1-standard-8  n1-standard-4" in str(raised.value)


def test_a_job_that_takes_over_is_accepted(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """With `adopt`, the same step's job is created and runs on the resource at once."""
    client.warm.make()
    with caplog.at_level(logging.INFO, "zenml_vertex"):
        findings = client.place(machine_type="n1-standard-8", persistent_resource_match="adopt")
    name = client.submit(findings)
    assert client.warm.used() == ["1"]
    assert client.warm.states(name) != ["QUEUED"]
    (line,) = [text for text in caplog.messages if "taking over" in text]
    assert line.startswith("Step `train`: taking over from persistent resource `warm`: `machine_t")


def test_a_step_falls_back_when_the_machines_are_taken(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Of two steps that come at once for one machine, the second runs cold: one read tells both."""
    client.warm.make()
    first, second = (client.place(persistent_resource_fallback=True) for _ in range(2))
    assert client.count_reads() == 1 + 1  # one of the tests' own
    assert first.job.persistent_resource_id == "warm"
    assert second.job.persistent_resource_id is None
    assert "has no free replicas now, of 1. The job runs cold" in caplog.messages[-1]
    names = [client.submit(first), client.submit(second)]
    assert "QUEUED" not in client.warm.states(*names)[:1]


def test_a_step_waits_for_a_machine_without_a_fallback(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The job is created all the same, and a warning says that it waits."""
    client.warm.make()
    client.warm.submit()
    findings = client.place()
    assert "the job waits for one" in caplog.messages[-1]
    assert client.warm.states(client.submit(findings)) == ["QUEUED"]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_resource_that_is_not_ready_is_said(
    client: Client, caplog: pytest.LogCaptureFixture, is_there: bool
) -> None:
    """One that is gone, or not ready yet, fails the step with the next command, or it runs cold."""
    if is_there:
        client.warm.create()
    words = "is in state PROVISIONING" if is_there else "there is no persistent resource `warm`"
    with pytest.raises(ConfigurationError, match=words):
        client.place()
    findings = client.place(persistent_resource_fallback=True)
    assert findings.job.persistent_resource_id is None
    assert words in caplog.messages[-1]
    client.submit(findings)


@pytest.mark.parametrize(
    "fault",
    [
        PermissionWithdrawn("get_persistent_resource"),
        ErrorAnswer("get_persistent_resource", 503),
    ],
    ids=["permission", "outage"],
)
def test_what_cannot_be_read_keeps_no_step_from_its_job(
    client: Client, caplog: pytest.LogCaptureFixture, fault: Any
) -> None:
    """One warning for all steps, with the permission; and the job is submitted as it is."""
    client.warm.make()
    with client.warm.emulator.faults.planned(fault):
        found = [client.place(machine_type="n1-standard-8") for _ in range(3)]
    assert {one.job.persistent_resource_id for one in found} == {"warm"}
    (line,) = [text for text in caplog.messages if "could not be read" in text]
    if isinstance(fault, PermissionWithdrawn):
        assert "aiplatform.persistentResources.get" in line


def test_a_step_without_a_resource_asks_nothing(client: Client) -> None:
    """Who uses no persistent resource needs no permission for them."""
    step = inspect_step(make_operator(), make_step())
    assert place_step(cast("Any", None), step, client.connection, client.pool) is step
    assert client.at_exit == []
    assert list(client.warm.emulator.calls) == []


def test_a_process_says_at_its_end_what_it_leaves_idle(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning names the machines and the command; nothing is said of a resource in use."""
    client.warm.make()
    name = client.submit(client.place())
    (warn,) = client.at_exit
    client.warm.clock.advance(60 + 10 + 300)
    assert client.warm.states(name) == ["SUCCEEDED"]
    warn()
    assert caplog.messages[-1].startswith("Persistent resource `warm` (1 x n1-standard-4) stays")
    assert call(client.warm.emulator, "GET", "/v1/projects/my-project/locations/us-central1/"
                "persistentResources/warm").ok  # fmt: skip
    caplog.clear()
    client.warm.call("DELETE", "/warm")
    warn()
    assert caplog.messages == []


class Restarting(InMemoryStepRuns):
    """A ZenML server that is down when it is first asked which one it is."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    @property
    def server_id(self) -> str:  # type: ignore[override]
        self.asked += 1
        if self.asked == 1:
            raise ServerUnreachable("The ZenML server restarts.")
        return SERVER

    def read_run_name(self, run_id: object) -> str:
        """The name of the pipeline run."""
        return f"run {run_id}"


def test_a_create_that_is_tried_again_sends_the_same_job(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a job runs is decided once: not again when the server restarts or a create fails.

    Meanwhile the resource, which was busy, counts as unread, and could lead to another job.
    """
    client.warm.make()
    client.warm.submit()
    before = client.count_reads()
    clock = ManualClock()
    pool = ConnectionPool(clock, run_at_exit=lambda _: None)
    operator = make_operator(pool=pool, project="my-project", region="us-central1")
    monkeypatch.setattr(operator, "_clock", clock)
    monkeypatch.setattr(operator, "_step_runs", Restarting())
    step = make_step(
        persistent_resource_id="warm",
        machine_type="n1-standard-8",
        persistent_resource_match="adopt",
    )
    config = step.config
    # What ZenML has built for the pipeline.
    image = "registry.example/image:1"
    monkeypatch.setattr("zenml_vertex.steps.job_builder.find_image", lambda _: image)
    run_id, step_run_id = uuid4(), uuid4()
    step_run = SimpleNamespace(
        id=step_run_id,
        name="train",
        version=1,
        pipeline_run_id=run_id,
        project_id=uuid4(),
        run_metadata={},
        config=config,
    )
    info = SimpleNamespace(
        config=config,
        pipeline_configuration=SimpleNamespace(settings=config.settings),
        step_run=step_run,
        step_run_id=step_run_id,
        run_id=run_id,
        run_name="run",
        pipeline=SimpleNamespace(name="training"),
        pipeline_step_name="train",
        force_write_logs=lambda: None,
    )
    with client.warm.emulator.faults.planned(ErrorAnswer("create", 503)):
        operator.submit(cast("Any", info), ["python", "-m", "train"], {})
    assert sum(clock.sleeps) > 60
    assert client.count_reads() == before + 1
    assert len([text for text in caplog.messages if "the job waits for one" in text]) == 1
    (created,) = [
        job
        for job in client.connection.jobs.list(client.connection.parent, "").jobs
        if job.get("labels")
    ]
    whole = client.connection.jobs.get(created["name"])
    (worker,) = whole["jobSpec"]["workerPoolSpecs"]
    assert worker["machineSpec"] == {"machineType": "n1-standard-4"}
    assert whole["jobSpec"]["persistentResourceId"] == "warm"
