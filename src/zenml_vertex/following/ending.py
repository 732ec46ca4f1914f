"""Cancelling a job, and verifying that it ends."""

import logging

from zenml_vertex.clock import Clock
from zenml_vertex.errors import JobNotFound, RequestRejected, VertexStepOperatorError
from zenml_vertex.following.patience import Retrying, Task
from zenml_vertex.following.progress import OutageLog
from zenml_vertex.following.protocols import Jobs
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.states import interpret, short_name

logger = logging.getLogger(__name__)

# Vertex AI takes about a minute to tear down the machines of a cancelled job (43 to
# 65 s were seen from a container's exit to the terminal state).
CANCEL_BUDGET_SECONDS = 120.0
CANCEL_POLL_SECONDS = 1.0


def cancel_job(
    jobs: Jobs,
    name: JobName,
    clock: Clock,
    *,
    patience_seconds: float | None = None,
    outages: OutageLog | None = None,
) -> None:
    """Ask for a job to be cancelled, again if that fails; a finished job is left alone.

    What Vertex AI answers to cancelling a finished job is not documented, so the
    job's own state decides.

    Args:
        jobs: Vertex AI.
        name: The job.
        clock: Where time comes from.
        patience_seconds: How long to try again after retryable errors; None for two
            minutes, 0 to try once.
        outages: Where failures are logged that are waited out.

    Raises:
        VertexApiError: If the job may still be running and cannot be cancelled.
        CredentialsError: If there is no access token to do it with.
        BaseException: What interrupts it. The cancel has been asked for once more then.
    """
    cancel = Retrying(Task.CANCEL, clock, seconds=patience_seconds, outages=outages)
    try:
        cancel(lambda: _cancel_once(jobs, name))
    except VertexStepOperatorError:
        raise
    except BaseException:
        try:
            _cancel_once(jobs, name)
        except VertexStepOperatorError as error:
            log_uncancelled(name, error)
        raise


def _cancel_once(jobs: Jobs, name: JobName) -> None:
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
    """Cancel a job and wait until it has ended; raises only what interrupts it.

    Args:
        jobs: Vertex AI.
        name: The job.
        clock: Where time comes from.
        budget_seconds: How long to wait for the terminal state; 0 or more.

    Returns:
        The terminal state, or None if it was not reached in time or could not be
        read; the log says so, and how to inspect the job.
    """
    outages = OutageLog()
    try:
        cancel_job(jobs, name, clock, outages=outages)
        deadline = clock.monotonic() + budget_seconds
        read = Retrying(Task.CANCEL, clock, seconds=budget_seconds, outages=outages)
        while True:
            state: str = read(lambda: jobs.get(str(name)))["state"]
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
        log_uncancelled(name, error)
        return None
    logger.warning(
        "Vertex AI job %s was asked to stop %.0f s ago but is still %s. Inspect it with: "
        "gcloud ai custom-jobs describe %s --region=%s --project=%s",
        name.job_id,
        budget_seconds,
        short_name(state),
        name.job_id,
        name.location,
        name.project,
    )
    return None


def cancel_quietly(
    jobs: Jobs, name: JobName, clock: Clock, *, patience_seconds: float | None = None
) -> None:
    """Cancel a job; if that fails, log it, with the command that cancels the job."""
    try:
        cancel_job(jobs, name, clock, patience_seconds=patience_seconds)
    except VertexStepOperatorError as error:
        log_uncancelled(name, error)


def log_uncancelled(name: JobName, error: VertexStepOperatorError) -> None:
    """Log that a job may still be running, and the command that cancels it."""
    logger.error(
        "Could not cancel Vertex AI job %s; it may still be running and cost money: %s\n"
        "Cancel it with: gcloud ai custom-jobs cancel %s --region=%s --project=%s",
        name.job_id,
        error,
        name.job_id,
        name.location,
        name.project,
    )
