"""Submits a training to Vertex AI and follows it: code as it could be in any project."""

import time
from collections.abc import Callable

from google.cloud import aiplatform
from google.cloud.aiplatform_v1 import JobState

ENDS = {JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED}


def submit_training(epochs: int) -> aiplatform.CustomJob:
    """Start a training; returns when Vertex AI has taken the job."""
    code = f"print('trained for {epochs} epochs')"
    job = aiplatform.CustomJob(
        display_name="train",
        labels={"epochs": str(epochs)},
        worker_pool_specs=[
            {
                "machine_spec": {"machine_type": "n1-standard-8"},
                "replica_count": 1,
                "container_spec": {
                    "image_uri": "europe-docker.pkg.dev/my-project/images/train:1",
                    "command": ["python", "-c", code],
                },
            }
        ],
    )
    job.submit()
    return job


def follow(
    job: aiplatform.CustomJob,
    *,
    patience: float = 3600,
    sleep: Callable[[float], object] = time.sleep,
) -> str:
    """Wait for the end of a job, which is cancelled if it takes longer than `patience` seconds."""
    waited = 0
    while (state := job.state) not in ENDS:
        if waited == patience:
            job.cancel()
        sleep(60)
        waited += 60
    return str(state.name)


if __name__ == "__main__":
    aiplatform.init(location="europe-west4", staging_bucket="gs://my-bucket")
    submit_training(epochs=3)
