"""Tests of pipeline.py on a ZenML stack of their own, which needs no Google Cloud and no Docker."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zenml_vertex.local_stack.stack import LocalStack

PIPELINE = Path(__file__).with_name("pipeline.py")


def test_the_training_is_a_job(vertex_stack: "LocalStack") -> None:
    """The pipeline completes, and its training step was a job on the machine that it asked for."""
    completed = vertex_stack.run_pipeline(PIPELINE, "4")
    assert completed.returncode == 0, completed.output
    train = completed.run.step("train")
    assert train.status == "completed"
    job = vertex_stack.jobs.fetch(train.job_name or "")
    (pool,) = job["jobSpec"]["workerPoolSpecs"]
    assert pool["machineSpec"] == {"machineType": "n1-standard-4"}


def test_no_data_is_an_error(vertex_stack: "LocalStack") -> None:
    """The run fails, and says what the step has raised in its container."""
    completed = vertex_stack.run_pipeline(PIPELINE, "0")
    assert completed.run.status == "failed"
    assert completed.run.step("train").error == "division by zero"
