"""Tests of submit.py, which need no Google Cloud."""

import os
import subprocess
import sys

import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform

import submit
from submit import follow, submit_training
from vertex_emulator import Script
from vertex_emulator.faults import ErrorAnswer, Preemption
from vertex_emulator.pytest_plugin import StartVertexEmulator
from vertex_emulator.testing import EmulatedVertex, SimulatedVertex


def lead_to(vertex: EmulatedVertex) -> None:
    """Lead Google's SDK to an emulator."""
    aiplatform.init(
        project="my-project",
        location="europe-west4",
        staging_bucket="gs://my-bucket",
        credentials=AnonymousCredentials(),
        api_transport="rest",
        api_endpoint=vertex.url,
    )


def test_a_training_runs(vertex_emulator: EmulatedVertex) -> None:
    """The job is what was asked for, and what its container prints is in its log."""
    lead_to(vertex_emulator)
    submit_training(epochs=3)
    (job,) = vertex_emulator.jobs()
    (pool,) = job.request["jobSpec"]["workerPoolSpecs"]
    assert pool["machineSpec"] == {"machineType": "n1-standard-8"}
    assert job.labels == {"epochs": "3"}
    assert job.wait().state == "JOB_STATE_SUCCEEDED"
    assert job.logs() == ["trained for 3 epochs"]


def test_a_training_that_hangs_is_cancelled(vertex_simulation: SimulatedVertex) -> None:
    """An hour passes at once, since the emulator's clock is the code's own way to sleep."""
    lead_to(vertex_simulation)
    vertex_simulation.play(Script(seconds=None))
    training = submit_training(epochs=3)
    assert follow(training, sleep=vertex_simulation.advance) == "JOB_STATE_CANCELLED"
    (job,) = vertex_simulation.jobs()
    assert job.cancelled


def test_a_preemption_is_survived(vertex_simulation: SimulatedVertex) -> None:
    """Vertex AI starts the container again; the test fails if the preemption never happened."""
    lead_to(vertex_simulation)
    with vertex_simulation.faults.planned(Preemption(after=30)):
        training = submit_training(epochs=3)
        assert follow(training, sleep=vertex_simulation.advance) == "JOB_STATE_SUCCEEDED"
    assert len(vertex_simulation.containers) == 2


def test_an_outage_leaves_no_job(vertex_simulation: SimulatedVertex) -> None:
    """What the code does with an error of Vertex AI's; here, it passes it on."""
    lead_to(vertex_simulation)
    with (
        vertex_simulation.faults.planned(ErrorAnswer("create", 503)),
        pytest.raises(ServiceUnavailable),
    ):
        submit_training(epochs=3)
    assert vertex_simulation.jobs() == []


def test_a_program_runs_as_it_is(start_vertex_emulator: StartVertexEmulator) -> None:
    """A program that knows nothing of the emulator has its job run there."""
    vertex = start_vertex_emulator(as_google=True)
    environment = {**os.environ, **vertex.google_environment}
    subprocess.run([sys.executable, submit.__file__], env=environment, check=True)
    (job,) = vertex.jobs()
    assert job.wait().state == "JOB_STATE_SUCCEEDED"
