"""The attack on a step's environment: whoever may read jobs reads it from the job.

On ZenML's debug level, real containers of the emulator read their secrets.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.pipelines import StartShared
from zenml_vertex.local_stack.processes.loopback import send_request
from zenml_vertex.local_stack.stack import LocalStack
from zenml_vertex.local_stack.views.pipelines import Completed

OWN_SECRET = "hidden-3f1c"
ACCOUNT = "trainer@demo-project.iam.gserviceaccount.com"


@dataclass
class Secured:
    """The run of `pipelines/secured.py`."""

    completed: Completed
    stack: LocalStack

    def read_job(self, step: str) -> dict[str, Any]:
        """Return what everybody reads who may read jobs."""
        name = self.completed.run.step(step).job_name
        assert name
        return self.stack.jobs.fetch(name)

    def read_log(self, step: str) -> str:
        """Return the log of a step's container."""
        name = self.completed.run.step(step).job_name
        assert name
        return "\n".join(self.stack.jobs.fetch_lines(name, "workerpool0-0"))

    def list_secrets(self) -> list[dict[str, Any]]:
        """Return the secrets of the run."""
        answer = send_request(f"{self.stack.emulator_url}/v1/projects/demo-project/secrets")
        assert answer.status == 200, answer
        run_id = self.completed.run.id
        secrets = answer.content["secrets"]
        return [one for one in secrets if one["labels"]["zenml-run-id"] == run_id]


@pytest.fixture(scope="module")
def secured(local_stack: LocalStack, start_shared: StartShared) -> Secured:
    """The run of `pipelines/secured.py`, whose last step fails."""
    process = start_shared("secured", OWN_SECRET=OWN_SECRET, ZENML_LOGGING_VERBOSITY="DEBUG")
    return Secured(process.wait(), local_stack)


def test_who_may_read_jobs_cannot_act_as_the_run(secured: Secured) -> None:
    """A reader of jobs got the run's API token, and with it could change the run and its steps.

    The job has no value that ZenML or the step has set, in plain text or in base64, and the
    secret that it names is not given to readers of jobs.
    """
    job = secured.read_job("reads")
    container = job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]
    shown = {variable["name"]: variable["value"] for variable in container["env"]}
    assert not {name for name in shown if "TOKEN" in name or name.startswith("ZENML_STORE")}
    everything = json.dumps(job)
    assert OWN_SECRET not in everything
    assert base64.b64encode(OWN_SECRET.encode()).decode().rstrip("=")[:-1] not in everything
    # A JWT, as ZenML's tokens are.
    assert "eyJ" not in everything
    reference = shown["ZENML_VERTEX_SECRET"]
    answer = send_request(f"{secured.stack.emulator_url}/v1/{reference}:access")
    assert answer.status == 403


def test_the_step_has_its_environment(secured: Secured) -> None:
    """A step whose environment is in a secret runs with all of it, and reports its result."""
    assert secured.completed.run.step("reads").status == "completed", secured.completed.output
    # The step's own check: it has the variable, and ZenML's, when ZenML is imported.
    assert "the step has its environment: True True" in secured.read_log("reads")


def test_no_secret_is_left_when_a_step_has_finished(secured: Secured) -> None:
    """A secret that outlived its step gave its readers a token that may still be valid.

    Neither the step that completed nor the one that failed leaves one.
    """
    assert secured.completed.run.step("fails").status == "failed"
    assert "the step has its environment: True True" in secured.read_log("fails")
    assert secured.list_secrets() == []


def test_the_token_is_in_no_line_of_the_client(secured: Secured) -> None:
    """Whoever could read the log of a client at debug level got the run's API token.

    What a step's settings say, ZenML itself writes there.
    """
    assert "eyJ" not in secured.completed.output
