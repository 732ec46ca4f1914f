"""`zenml-vertex jobs` after a client was killed."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pipelines import StartPipeline
from zenml_vertex.local_stack.processes.loopback import send_request
from zenml_vertex.local_stack.stack import LocalStack, make_project

COMMAND = str(Path(sys.executable).with_name("zenml-vertex"))

SLEEPER = """
    import threading
    from zenml import pipeline, step
    from zenml_vertex import VertexStepOperatorSettings

    settings = VertexStepOperatorSettings(
        environment_secrets="secret-manager",
        service_account="trainer@demo-project.iam.gserviceaccount.com",
    )

    @step(step_operator="vertex", settings={"step_operator": settings}, enable_cache=False)
    def sleeps() -> None:
        threading.Event().wait()

    @pipeline
    def sleeper():
        sleeps()

    if __name__ == "__main__":
        sleeper()
"""
STOP = """
import sys
from uuid import UUID
from zenml.enums import ExecutionStatus
from zenml.orchestrators.publish_utils import publish_step_run_status_update
publish_step_run_status_update(UUID(sys.argv[1]), ExecutionStatus.STOPPED)
"""


def _run(stack: LocalStack, folder: Path, *arguments: str, typed: str = "") -> tuple[int, str]:
    done = subprocess.run(
        [COMMAND, "jobs", *arguments],
        cwd=folder,
        env=dict(stack.environment),
        input=typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder in which the commands are run."""
    return make_project(tmp_path, "work")


@pytest.fixture
def orphaned(
    local_stack: LocalStack, start_pipeline: StartPipeline, folder: Path
) -> dict[str, str]:
    """The job of a step whose client was killed, and which was then stopped on the server."""
    process = start_pipeline(SLEEPER)
    process.wait_for_line("RUNNING")
    name = process.wait_for_line(r"submitted as (projects/\S+)\.")[1]
    assert process.run_id
    process.send_signal(signal.SIGKILL)
    process.wait()
    step = local_stack.records.fetch_run(process.run_id).step("sleeps")
    assert step.status == "running"
    code, output = _run(local_stack, folder, "list")
    assert code == 0, output
    job_id = name.rsplit("/", 1)[-1]
    assert re.search(
        rf"{job_id}  RUNNING +step `sleeps` of pipeline `sleeper`, run {process.run_id}, created "
        r"\d.* ago  orphan: process \d+ on \S+, which followed it, has ended\n",
        output,
    ), output
    subprocess.run(
        [sys.executable, "-c", STOP, step.id],
        cwd=folder,
        env=dict(local_stack.environment),
        check=True,
        capture_output=True,
    )
    return {"name": name, "id": job_id, "secret": f"zenml-vertex-{step.id}-1"}


def _has_secret(stack: LocalStack, secret_id: str) -> bool:
    url = f"{stack.emulator_url}/v1/projects/demo-project/secrets/{secret_id}"
    return send_request(url).status == 200


def test_orphans_are_listed_and_cancelled(
    local_stack: LocalStack, orphaned: dict[str, str], folder: Path
) -> None:
    """Orphans are listed with a reason, and cancelled only when the user confirms.

    The secret of an orphan, with a token that whoever may read secrets could use, is destroyed
    with it. The name of a job in another project is not taken for the job of the same number here.
    """
    code, output = _run(local_stack, folder, "list", "--orphans")
    assert code == 0, output
    assert f"{orphaned['id']}  RUNNING" in output
    assert "orphan: its step run is stopped" in output
    assert f"{orphaned['secret']}  secret of step `sleeps`  orphan: its step run is" in output
    assert "`zenml-vertex jobs cancel --orphans`" in output

    elsewhere = f"projects/another/locations/europe-west4/customJobs/{orphaned['id']}"
    code, output = _run(local_stack, folder, "cancel", elsewhere, orphaned["name"], "--yes")
    assert code == 1
    assert f"There is no job {orphaned['id']} in projects/another/locations/" in output

    code, output = _run(local_stack, folder, "cancel", "--orphans", typed="n\n")
    assert code == 1
    assert re.search(r"Cancel \d+ jobs? and destroy \d+ secrets?\?", output)
    assert _has_secret(local_stack, orphaned["secret"])
    assert local_stack.jobs.fetch(orphaned["name"])["state"] == "JOB_STATE_RUNNING"

    code, output = _run(local_stack, folder, "cancel", "--orphans", typed="y\n")
    assert code == 0, output
    assert f"{orphaned['id']}  CANCELLED" in output
    assert f"{orphaned['secret']}  destroyed" in output
    assert not _has_secret(local_stack, orphaned["secret"])
    assert local_stack.jobs.fetch(orphaned["name"])["state"] == "JOB_STATE_CANCELLED"

    # Jobs are found without Secret Manager, too.
    fault = {"fault": "ErrorAnswer", "method": "list_secrets", "status": 403}
    faults = f"{local_stack.emulator_url}/emulator/faults"
    assert send_request(faults, method="POST", body={"faults": [fault]}).status == 200
    code, output = _run(local_stack, folder, "list", "--orphans")
    assert (code, "No orphans in projects/" in output) == (0, True)
    assert "Secrets could not be listed: Secret Manager answered 403 while listing" in output
    code, output = _run(local_stack, folder, "cancel", orphaned["id"], "404", "my-job")
    assert code == 1
    place = r"in projects/\S+/europe-west4"
    assert re.search(
        rf"Job {orphaned['id']} {place} has ended as CANCELLED \d.* ago, at 20.* UTC\.", output
    ), output
    for job_id in ("404", "my-job"):
        assert re.search(rf"There is no job {job_id} {place}[.,]", output), output


def test_cancel_requires_jobs_to_be_named(local_stack: LocalStack, folder: Path) -> None:
    """`jobs cancel` without jobs, or with jobs and `--orphans`, is an error."""
    for arguments in (["cancel"], ["cancel", "1", "--orphans"]):
        code, output = _run(local_stack, folder, *arguments)
        assert code == 2
        assert "Name jobs by their IDs, or all of them with --orphans." in output


def test_a_zenml_server_that_is_down_is_named(local_stack: LocalStack, folder: Path) -> None:
    """Without its server, `jobs list` says in one line what cannot be reached and what to do."""
    environment = {**local_stack.environment, "ZENML_STORE_URL": "http://127.0.0.1:9"}
    done = subprocess.run(
        [COMMAND, "jobs", "list"], cwd=folder, env=environment, capture_output=True, timeout=120
    )
    assert done.returncode == 1
    assert b"Error: The ZenML server cannot be reached" in done.stderr
    assert b"`zenml status`" in done.stderr
    assert b"Traceback" not in done.stderr
