"""What becomes of a step's secret when its submission is cleaned up."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from zenml.exceptions import RunStoppedException

from tests.support.components import make_operator
from tests.support.fakes import InMemoryStepRuns
from vertex_emulator import ManualClock, MemoryStore, ScriptedRuntime, VertexEmulator
from zenml_vertex.errors import CredentialsError
from zenml_vertex.following.progress import StepLog
from zenml_vertex.job.identity import Attempt, JobName
from zenml_vertex.job.secrets import SecretName
from zenml_vertex.steps.operator import VertexStepOperator

SECRET = {"replication": {"userManaged": {"replicas": [{"location": "europe-west4"}]}}}


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Iterator[VertexStepOperator]:
    """A component that uses secrets, on an emulator."""
    with VertexEmulator(
        clock=ManualClock(), runtime=ScriptedRuntime(), store=MemoryStore()
    ) as emulator:
        monkeypatch.setenv("AIPLATFORM_EMULATOR_HOST", emulator.host)
        operator = make_operator(
            project=f"p-{uuid4().hex[:8]}",
            environment_secrets="secret-manager",
            service_account="trainer@p.iam.gserviceaccount.com",
        )
        monkeypatch.setattr(operator, "get_settings", lambda _: operator.config)
        yield operator


def _store(operator: VertexStepOperator) -> Any:
    """Store a secret as a submission does, and return its step run."""
    config = SimpleNamespace(step_operator=operator.name)
    step_run = SimpleNamespace(
        id=uuid4(), pipeline_run_id=uuid4(), name="train", version=1, config=config
    )
    connection = operator.connect()
    name = SecretName.of(connection.identity.project, Attempt(str(step_run.id)))
    connection.secrets.store(str(name), SECRET, b"{}")
    return step_run


def _count(operator: VertexStepOperator) -> int:
    connection = operator.connect()
    return len(connection.secrets.list(connection.identity.project))


def test_the_secret_of_a_finished_step_is_destroyed(operator: VertexStepOperator) -> None:
    """Whoever may read secrets had the token of a run long after the run.

    The secret is destroyed once, also where this process has never followed the job.
    """
    step_run = _store(operator)
    assert _count(operator) == 1
    operator.cleanup_step_submission(step_run)
    assert _count(operator) == 0
    operator.cleanup_step_submission(step_run)


def test_the_secret_of_a_step_on_a_second_step_operator_is_destroyed(
    operator: VertexStepOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dynamic pipeline has its stack's step operator clean up for steps on any other one.

    The secret, with a token that is valid for the whole run, is in the project of the step's own.
    """
    asked = make_operator(project="another-project")
    monkeypatch.setattr(asked, "get_settings", lambda _: asked.config)
    monkeypatch.setattr("zenml_vertex.steps.running.find_owner", lambda *_: operator)
    step_run = _store(operator)
    asked.cleanup_step_submission(step_run)
    assert _count(operator) == 0


def test_a_secret_that_cannot_be_reached_is_named(
    operator: VertexStepOperator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A login that has expired when the step ends leaves a line with the command for later."""

    def refuse(*_: object) -> None:
        raise CredentialsError("The login has expired.")

    step_run = _store(operator)
    monkeypatch.setattr(operator._pool, "connect", refuse)
    operator.cleanup_step_submission(step_run)
    *_, line = caplog.messages
    assert "environment: The login has expired. The secret expires by itself. To destroy" in line
    assert line.endswith("zenml-vertex jobs cancel --orphans --step-operator vertex")


def test_the_secret_of_a_detached_job_stays(
    operator: VertexStepOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a Ctrl-C that detaches, a container that has not started yet still has its secret."""

    class Interrupted:
        def find(self, _: str) -> Any:
            return SimpleNamespace(log=StepLog("train").of(JobName("p", "europe-west4", "1")))

        def wait(self, _: str) -> str:
            raise KeyboardInterrupt

        def forget(self, _: str) -> None:
            """Nothing is followed."""

    step_run = _store(operator)
    detaching = operator.config.model_copy(update={"on_client_exit": "detach"})
    monkeypatch.setattr(operator, "get_settings", lambda _: detaching)
    monkeypatch.setattr(operator._running, "_watch", lambda _: Interrupted())
    monkeypatch.setattr(operator._running, "_step_runs", InMemoryStepRuns())
    with pytest.raises(RunStoppedException, match="Detached from the step"):
        operator.wait(step_run)
    operator.cleanup_step_submission(step_run)
    assert _count(operator) == 1
