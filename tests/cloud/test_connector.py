"""ZenML's service connectors: its own GCP connector on the emulator, and failing ones."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from google.auth.exceptions import RefreshError
from zenml.exceptions import AuthorizationException, RunInterruptedException, RunStoppedException

from vertex_emulator import VertexEmulator
from zenml_vertex.cloud.credentials import ConnectorCredentials
from zenml_vertex.errors import CredentialsError
from zenml_vertex.installation import install_command
from zenml_vertex.steps.connector import access_connector

# ZenML requires git.
REAL_PATH = os.environ["PATH"]

# ZenML's client keeps its state in the process.
_PROGRAM = """
import json, logging, sys
from pathlib import Path
from zenml.client import Client
from zenml.stack import StackComponent
from zenml_vertex.cloud.connection import connect
from zenml_vertex.steps.connector import access_connector
from zenml_vertex.steps.preflight import check_connector
from zenml_vertex.errors import JobNotFound, VertexStepOperatorError

url, key_file = sys.argv[1:]
client = Client()
connector, _ = client.create_service_connector(
    name="gcp", connector_type="gcp", auth_method="service-account", resource_type="gcp-generic",
    configuration={"service_account_json": Path(key_file).read_text()}, verify=False,
)
client.create_stack_component(
    name="v", flavor="vertex", component_type="step_operator",
    configuration={"region": "us-central1", "project": "other-project"},
)
client.update_stack_component("v", "step_operator", connector_id=connector.id)

def load():
    return StackComponent.from_model(client.get_stack_component("step_operator", "v"))

def attempt(call):
    try:
        call()
    except (JobNotFound, VertexStepOperatorError) as error:
        return f"{type(error).__name__}: {error}"

operator = load()
connection = connect(
    region="us-central1", project=None, key_file=None, api_endpoint=url,
    connector=access_connector(operator),
)
name = connection.parent + "/customJobs/1"
answers = {
    "who": connection.identity.description,
    "project": connection.identity.project,
    "read": attempt(lambda: connection.jobs.get(name)),
    "mismatch": attempt(lambda: check_connector(operator, operator.config)),
}
# As after an hour: ZenML's client of the connector has ended, and the next cannot be had.
operator._connector_instance = None
connection.identity.credentials.token = None
client.update_stack_component("v", "step_operator", disconnect=True)
client.delete_service_connector("gcp")
answers["deleted, while following"] = attempt(lambda: connection.jobs.get(name))
answers["deleted, at the start"] = attempt(lambda: access_connector(operator))
print(json.dumps(answers))
"""


def test_the_connectors_identity_is_used(
    emulator: VertexEmulator, write_key: Callable[..., Path], tmp_path: Path
) -> None:
    """The log names the connector's account and project, and the emulator sees that account.

    A different project in the configuration is an error, and so is a deleted connector, at the
    start as well as hours later.
    """
    emulator.reset()
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM, "utf-8")
    done = subprocess.run(
        [
            sys.executable, "-W", "ignore", str(program),
            emulator.url, str(write_key(f"{emulator.url}/token")),
        ],
        env={
            **os.environ,
            "PATH": REAL_PATH,
            "ZENML_CONFIG_PATH": str(tmp_path / "zenml"),
            "ZENML_ANALYTICS_OPT_IN": "false",
            "ZENML_LOGGING_VERBOSITY": "ERROR",
        },
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    account = "local-stack@my-project.iam.gserviceaccount.com"
    assert answers["who"] == f"{account} (service connector `gcp`)"
    assert answers["project"] == "my-project"
    assert answers["read"].startswith("JobNotFound: ")
    assert "project `other-project`" in answers["mismatch"]
    assert "for project `my-project`" in answers["mismatch"]
    assert "could not be found" in answers["deleted, while following"]
    assert answers["deleted, while following"].startswith(
        "CredentialsError: Could not get an access token for"
    )
    assert "zenml service-connector verify" in answers["deleted, at the start"]
    reads = [call.identity for call in emulator.calls if call.path.endswith("/customJobs/1")]
    assert reads == [account]


class Linked:
    """A component, or its connector, that returns what it is told to.

    Args:
        given: The connector or the credentials to return, or an exception to raise.
    """

    name = "v"
    connector = "0000"

    def __init__(self, given: Any) -> None:
        self.given = given

    def get_connector(self) -> Any:
        """What a component has."""
        if isinstance(self.given, BaseException):
            raise self.given
        return self.given

    connect = get_connector


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            RuntimeError("it is gone."),
            "returned no credentials: it is gone. `zenml service-connector",
        ),
        (AuthorizationException("denied."), "returned no credentials: denied."),
        (NotImplementedError("no such type."), "returned no credentials: no such type."),
        (requests.ConnectionError("the server is away."), "credentials: the server is away."),
        (ModuleNotFoundError("x", name="google.cloud.storage"), install_command("connectors")),
        (ValueError("token ya29.hunter2"), "token ***"),
        (None, "`v` is not linked to a service connector."),
    ],
)
def test_a_failing_connector_is_named(error: Exception | None, text: str) -> None:
    """Whatever ZenML raises, at the start or for a later token, the error names the connector."""
    with pytest.raises(CredentialsError) as caught:
        access_connector(Linked(error))  # type: ignore[arg-type]
    assert text in str(caught.value)
    component = Linked(Linked("credentials"))
    access = access_connector(component)  # type: ignore[arg-type]
    component.given = error
    with pytest.raises(RefreshError) as refused:
        ConnectorCredentials(access.fetch).refresh(None)
    assert text in str(refused.value)


@pytest.mark.parametrize("interruption", [RunStoppedException(), RunInterruptedException()])
def test_the_exception_that_stops_a_run_is_not_caught(interruption: Exception) -> None:
    """The exception of ZenML's SIGTERM handler passes through the connector's code."""
    access = access_connector(Linked(Linked(interruption)))  # type: ignore[arg-type]
    with pytest.raises(type(interruption)):
        access.fetch()
    with pytest.raises(type(interruption)):
        access_connector(Linked(interruption))  # type: ignore[arg-type]
