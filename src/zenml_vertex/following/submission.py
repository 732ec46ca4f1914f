"""One job for one step run: create it, and leave no job behind that nobody knows of."""

import logging

from zenml_vertex.following.ending import cancel_quietly
from zenml_vertex.following.protocols import Jobs, StepRuns
from zenml_vertex.following.reporting import build_job_metadata
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.request import JobJson

logger = logging.getLogger(__name__)


def submit_job(
    jobs: Jobs, step_runs: StepRuns, *, parent: str, job: JobJson, step_run_id: str
) -> JobName:
    """Create the job and record its name on the step run.

    If the name cannot be recorded, or anything else interrupts here, the job is
    cancelled: a job that its step run does not name would run and cost unseen.

    Returns:
        The name of the job.

    Raises:
        VertexApiError: If Vertex AI does not take the job.
        BaseException: Whatever kept the name from being recorded.
    """
    created = jobs.create(parent, job)
    try:
        name = JobName.parse(created["name"])
        step_runs.record(step_run_id, build_job_metadata(name))
    except BaseException as error:
        logger.error(  # noqa: TRY400 - the error itself goes on; this names the job
            "Could not record Vertex AI job %s on its step run (%s); cancelling the job.",
            created.get("name"),
            type(error).__name__,
        )
        cancel_quietly(jobs, created["name"])
        raise
    return name
