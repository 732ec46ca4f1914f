"""The variables by which the processes of a job are known, wherever they have gone."""

from vertex_emulator.runtimes.contract import Container

JOB = "CLOUD_ML_JOB_ID"
"""Which job a process belongs to."""
REPLICA = "VERTEX_EMULATOR_REPLICA"
"""Which of the job's replicas. A job cannot set it."""


def mark_job(job_id: str) -> str:
    """`NAME=VALUE` of the environment that only the processes of this job have."""
    return f"{JOB}={job_id}"


def mark_replica(container: Container) -> str:
    """`NAME=VALUE` of the environment that only the processes of this replica have."""
    return f"{REPLICA}={container.job_id}/{container.replica}"
