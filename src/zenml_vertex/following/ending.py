"""Ending a job: ask for it, and see that it happens."""

import logging

from zenml_vertex.errors import JobNotFound, RequestRejected, VertexStepOperatorError
from zenml_vertex.following.protocols import Clock, Jobs
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.states import interpret, short_name

logger = logging.getLogger(__name__)

# A cancelled job tears its machines down for about a minute (43 to 65 s were
# seen from a container's exit to the terminal state).
CANCEL_BUDGET_SECONDS = 120.0
CANCEL_POLL_SECONDS = 1.0


def cancel_job(jobs: Jobs, name: JobName) -> None:
    """Ask for a job to be cancelled; a job that is over already is left alone.

    What Vertex AI answers to cancelling a finished job is not documented, so the
    job's own state decides.

    Raises:
        VertexApiError: If the job may still be running and cannot be cancelled.
        CredentialsError: If there is no token to do it with.
    """
    try:
        jobs.cancel(str(name))
    except JobNotFound:
        return
    except RequestRejected:
        if not interpret(jobs.get(str(name))["state"]).is_terminal:
            raise


def cancel_and_verify(
    jobs: Jobs, name: JobName, clock: Clock, *, budget_seconds: float = CANCEL_BUDGET_SECONDS
) -> str | None:
    """Cancel a job and wait until it is over.

    Args:
        jobs: Vertex AI.
        name: The job.
        clock: Where time comes from.
        budget_seconds: How long to wait for the terminal state.

    Returns:
        The terminal state, or None if it was not reached in time or could not be
        read; the log says so, and how to look.
    """
    deadline = clock.monotonic() + budget_seconds
    try:
        cancel_job(jobs, name)
        while True:
            state: str = jobs.get(str(name))["state"]
            if interpret(state).is_terminal:
                logger.info("Vertex AI job %s is %s.", name.job_id, short_name(state))
                return state
            if clock.monotonic() >= deadline:
                break
            clock.sleep(CANCEL_POLL_SECONDS)
    except JobNotFound:
        logger.info("Vertex AI job %s does not exist any more.", name.job_id)
        return None
    except VertexStepOperatorError as error:
        logger.error(  # noqa: TRY400 - the message is written for people
            "Could not cancel Vertex AI job %s; it may still be running and cost money: %s\n"
            "Cancel it with: gcloud ai custom-jobs cancel %s --region=%s --project=%s",
            name.job_id,
            error,
            name.job_id,
            name.location,
            name.project,
        )
        return None
    logger.warning(
        "Vertex AI job %s was asked to cancel %.0f s ago and is still %s. Look at it with: "
        "gcloud ai custom-jobs describe %s --region=%s --project=%s",
        name.job_id,
        budget_seconds,
        short_name(state),
        name.job_id,
        name.location,
        name.project,
    )
    return None


def cancel_quietly(jobs: Jobs, name: str) -> None:
    """Cancel a job on the way out of another error, which must not be hidden by this one."""
    try:
        cancel_job(jobs, JobName.parse(name))
    except VertexStepOperatorError as error:
        logger.error(  # noqa: TRY400 - the message is written for people
            "Could not cancel Vertex AI job %s; it may still be running and cost money: %s",
            name,
            error,
        )
