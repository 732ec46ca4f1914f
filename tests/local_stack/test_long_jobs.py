"""Jobs that outlast their tokens, with every source of credentials, as the emulator sees them."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from vertex_emulator import write_key_file
from zenml_vertex.local_stack.processes.loopback import send_request
from zenml_vertex.local_stack.stack import LocalStack
from zenml_vertex.local_stack.start import start_local_stack
from zenml_vertex.local_stack.views.vertex import read_time

if TYPE_CHECKING:
    from zenml_vertex.local_stack.views.pipelines import PipelineProcess

TOKEN_SECONDS = 5
# On Google Cloud, a token lasts an hour and a job up to seven days.
JOB_SECONDS = 60
SOURCES = ("key-file", "connector", "gcloud", "adc")
_SCRIPT = Path(__file__).with_name("pipelines") / "long_job.py"

# One operator for each source, all in one stack; the connector is linked below, by the
# command that a user types.
_REGISTER = """
    import json, sys
    from zenml.client import Client
    from zenml.enums import StackComponentType

    url, key_file = sys.argv[1:]
    client = Client()
    here = {"region": "europe-west4", "api_endpoint": url}
    kind = StackComponentType.STEP_OPERATOR
    for name, more in {
        "key-file": {"project": "key-project", "service_account_path": key_file},
        "connector": {},
        "gcloud": {"project": "gcloud-project"},
        "adc": {"project": "adc-project"},
    }.items():
        client.create_stack_component(name, "vertex", kind, {**here, **more})
    client.update_stack(client.active_stack_model.id, component_updates={
        kind: ["vertex", "key-file", "connector", "gcloud", "adc"]
    })
"""

# google-auth calls a token expired 225 s before it is, and ZenML's connector refuses
# one that it has just got. Where an hour is five seconds, the margin is small, too.
_SHORT_MARGIN = """
    from datetime import timedelta
    import google.auth._helpers

    google.auth._helpers.REFRESH_THRESHOLD = timedelta(seconds=0.3)
"""


def run_command(stack: LocalStack, *command: str, **environment: str) -> None:
    """Run a command on the stack, and show its output if it fails."""
    done = subprocess.run(
        command, env={**stack.environment, **environment}, cwd=stack.make_project("commands"),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def write_key(stack: LocalStack, source: str) -> Path:
    """Write a key with its own project, whose tokens come from the emulator."""
    file = stack.folder / f"{source}.json"
    write_key_file(file, project=f"{source}-project", token_url=f"{stack.emulator_url}/token")
    return file


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack whose tokens last five seconds, with an operator for each source of credentials."""
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed: its login is a source of credentials")
    folder = tmp_path_factory.mktemp("long") / "stack"
    margin = tmp_path_factory.mktemp("margin")
    (margin / "sitecustomize.py").write_text(dedent(_SHORT_MARGIN), "utf-8")
    options = ["--token-lifetime", str(TOKEN_SECONDS)]
    variables = {"PYTHONPATH": str(margin)}
    with start_local_stack(folder, emulator_options=options, variables=variables) as stack:
        register = stack.folder / "register.py"
        register.write_text(dedent(_REGISTER), "utf-8")
        key = write_key(stack, "key")
        run_command(stack, sys.executable, str(register), stack.emulator_url, str(key))
        zenml = str(Path(sys.executable).with_name("zenml"))
        connector_key = write_key(stack, "connector")
        run_command(
            stack, zenml, "service-connector", "register", "google", "--type=gcp",
            "--auth-method=service-account", f"--service_account_json=@{connector_key}",
            "--project_id=connector-project", "--resource-type=gcp-generic",
            # ZenML itself treats credentials that last five minutes as expired.
            "--expires-skew-tolerance=0",
        )  # fmt: skip
        run_command(stack, zenml, "step-operator", "connect", "connector", "--connector=google")
        run_command(
            stack, "gcloud", "auth", "activate-refresh-token", "ada@example.com", "refresh-ada",
            CLOUDSDK_AUTH_TOKEN_HOST=f"{stack.emulator_url}/token",
        )  # fmt: skip
        yield stack


def environment_of(stack: LocalStack, source: str) -> Mapping[str, str]:
    """Return the variables for a source, so that no other source's credentials are found."""
    # An emulator that this variable names gets no credentials.
    changes = {"AIPLATFORM_EMULATOR_HOST": ""}
    if source == "gcloud":
        changes |= {
            "GOOGLE_APPLICATION_CREDENTIALS": "",
            "CLOUDSDK_AUTH_TOKEN_HOST": f"{stack.emulator_url}/token",
            "NO_GCE_CHECK": "true",
        }
    if source == "adc":
        changes["GOOGLE_APPLICATION_CREDENTIALS"] = str(write_key(stack, "adc"))
    return changes


@pytest.fixture(scope="module")
def finished(stack: LocalStack) -> dict[str, "PipelineProcess"]:
    """A job for each source, all at the same time, run to their end."""
    with ExitStack() as running:
        processes = {}
        for source in SOURCES:
            project = stack.make_project(source, _SCRIPT)
            processes[source] = running.enter_context(
                stack.start_pipeline(
                    project / _SCRIPT.name, source, str(JOB_SECONDS),
                    environment=environment_of(stack, source),
                )
            )  # fmt: skip
        for process in processes.values():
            process.wait(240)
    return processes


EMAIL = "local-stack@{}-project.iam.gserviceaccount.com"
# The OAuth client of the gcloud CLI itself. A person's token has no identity here; it is
# gcloud that knows whose refresh token it is.
GCLOUD_CLIENT = "32555940559.apps.googleusercontent.com"


@pytest.mark.timeout(420)
@pytest.mark.parametrize(
    ("source", "identity"),
    [
        ("key-file", EMAIL.format("key")),
        ("connector", EMAIL.format("connector")),
        ("gcloud", GCLOUD_CLIENT),
        ("adc", EMAIL.format("adc")),
    ],
)
def test_a_job_is_followed_beyond_its_tokens(
    stack: LocalStack, finished: dict[str, "PipelineProcess"], source: str, identity: str
) -> None:
    """A step succeeds after twelve token lifetimes, with its own identity in every call.

    Vertex AI is polled throughout and answers with the job.
    """
    process = finished[source]
    completed = process.wait(1)
    assert completed.returncode == 0, completed.output
    name = completed.run.step("train").job_name
    assert name is not None
    job = stack.jobs.wait_until_terminal(name, 30)
    lasted = read_time(job["endTime"]) - read_time(job["startTime"])
    assert lasted.total_seconds() >= JOB_SECONDS
    calls = send_request(f"{stack.emulator_url}/emulator/requests").content["requests"]
    # Each source has a project of its own. Calls of the test itself have no token.
    place = f"/v1/{name.rpartition('/customJobs/')[0]}/"
    mine = [
        call for call in calls if call["path"].startswith(place) and call["identity"] != "anonymous"
    ]
    times = [read_time(call["time"]) for call in mine if call["status"] == 200]
    assert (times[-1] - times[0]).total_seconds() > 8 * TOKEN_SECONDS
    assert {call["identity"] for call in mine} == {identity}
    assert ("gcloud login" in completed.output) is (source == "gcloud")
