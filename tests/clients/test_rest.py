"""Google's clients that speak REST, and name its hosts themselves."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.clients.conftest import PythonWith, Run
from vertex_emulator import JobState, VertexEmulator

_DISCOVERED = """
    from googleapiclient.discovery import build

    parent = "projects/my-project/locations/us-central1"
    options = {"api_endpoint": "https://us-central1-aiplatform.googleapis.com"}
    with build("aiplatform", "v1", client_options=options) as service:
        jobs = service.projects().locations().customJobs()
        pool = {
            "machineSpec": {"machineType": "n1-standard-4"},
            "replicaCount": "1",
            "containerSpec": {"imageUri": "registry.example/image:1", "command": ["true"]},
        }
        body = {"displayName": "discovered", "jobSpec": {"workerPoolSpecs": [pool]}}
        created = jobs.create(parent=parent, body=body).execute()
        (listed,) = jobs.list(parent=parent).execute()["customJobs"]
    assert listed["name"] == created["name"]
"""
_POOL = "--worker-pool-spec=machine-type=n1-standard-4,replica-count=1,container-image-uri=i:1"


def test_the_client_of_every_google_api(
    emulator: VertexEmulator, run_python: Run, python_with: PythonWith
) -> None:
    """google-api-python-client creates a job and lists it, once it has PySocks for a proxy."""
    python = python_with("google-api-python-client==2.202.0", "PySocks==1.7.1")
    run_python(_DISCOVERED, python=python)
    (job,) = emulator.jobs
    assert emulator.wait_for_state(job.name).state is JobState.SUCCEEDED


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
def test_gcloud(emulator: VertexEmulator, variables: Mapping[str, str], tmp_path: Path) -> None:
    """gcloud, with no configuration of its own, creates a job, describes it and reads its log."""
    environment = {**variables, "CLOUDSDK_CONFIG": str(tmp_path)}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            ["gcloud", *arguments, "--quiet"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    jobs = ("ai", "custom-jobs")
    region = "--region=us-central1"
    run(*jobs, "create", region, "--display-name=a job", _POOL, "--command=echo", "--args=hello")
    name = emulator.wait_for_state(emulator.jobs[0].name).name
    described = json.loads(run(*jobs, "describe", name, region, "--format=json"))
    assert described["state"] == "JOB_STATE_SUCCEEDED"
    assert "hello" in run("logging", "read", 'textPayload="hello"', "--format=value(textPayload)")
