"""Ending a job: ask for it, and see that it happens."""

import logging

from zenml_vertex.clock import Clock
from zenml_vertex.errors import (
    CredentialsError,
    JobNotFound,
    PermissionDenied,
    QuotaExceeded,
    RequestRejected,
    ServiceUnavailable,
    VertexStepOperatorError,
)
from zenml_vertex.following.protocols import Jobs
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.states import interpret, short_name

logger = logging.getLogger(__name__)

# A cancelled job tears its machines down for about a minute (43 to 65 s were
# seen from a container's exit to the terminal state).
CANCEL_BUDGET_SECONDS = 120.0
CANCEL_POLL_SECONDS = 1.0
# How long a cancel that fails is asked for again, and how often.
CANCEL_PATIENCE_SECONDS = 120.0
_CANCEL_PAUSE_SECONDS = 3.0

# What may pass by itself: no answer, too many calls, a permission or a login on its way.
PASSING = (ServiceUnavailable, QuotaExceeded, PermissionDenied, CredentialsError)


def cancel_job(
    jobs: Jobs, name: JobName, clock: Clock, *, patience_seconds: float = CANCEL_PATIENCE_SECONDS
) -> None:
    """Ask for a job to be cancelled, again and again; a job that is over already is left alone.

    What Vertex AI answers to cancelling a finished job is not documented, so the
    job's own state decides.

    Args:
        jobs: Vertex AI.
        name: The job.
        clock: Where time comes from.
        patience_seconds: How long to ask again after failures that may pass.

    Raises:
        VertexApiError: If the job may still be running and cannot be cancelled.
        CredentialsError: If there is no token to do it with.
        BaseException: What interrupts it. The job has been asked once more then.
    """
    deadline = clock.monotonic() + patience_seconds
    try:
        _cancel_until(deadline, jobs, name, clock)
    except VertexStepOperatorError:
        raise
    except BaseException:
        try:
            _cancel_once(jobs, name)
        except VertexStepOperatorError as error:
            log_uncancelled(name, error)
        raise


def _cancel_until(deadline: float, jobs: Jobs, name: JobName, clock: Clock) -> None:
    trouble: type[Exception] | None = None
    while True:
        try:
            return _cancel_once(jobs, name)
        except PASSING as error:
            if clock.monotonic() >= deadline:
                raise
            if trouble is not type(error):
                trouble = type(error)
                logger.warning("%s Trying again to cancel the job.", error)
            clock.sleep(_CANCEL_PAUSE_SECONDS)


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
    """Cancel a job and wait until it is over; raises nothing but what interrupts it.

    Args:
        jobs: Vertex AI.
        name: The job.
        clock: Where time comes from.
        budget_seconds: How long to wait for the terminal state.

    Returns:
        The terminal state, or None if it was not reached in time or could not be
        read; the log says so, and how to look.
    """
    try:
        cancel_job(jobs, name, clock)
        deadline = clock.monotonic() + budget_seconds
        while True:
            state = _read_state(jobs, name, deadline, clock)
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


def _read_state(jobs: Jobs, name: JobName, deadline: float, clock: Clock) -> str:
    """The state of a job that is being cancelled; it is read again until the deadline."""
    while True:
        try:
            state: str = jobs.get(str(name))["state"]
        except PASSING:
            if clock.monotonic() >= deadline:
                raise
            clock.sleep(_CANCEL_PAUSE_SECONDS)
        else:
            return state


def cancel_quietly(
    jobs: Jobs, name: JobName, clock: Clock, *, patience_seconds: float = CANCEL_PATIENCE_SECONDS
) -> None:
    """Cancel a job; where that fails, the log says so, and how to do it."""
    try:
        cancel_job(jobs, name, clock, patience_seconds=patience_seconds)
    except VertexStepOperatorError as error:
        log_uncancelled(name, error)


def log_uncancelled(name: JobName, error: VertexStepOperatorError) -> None:
    """Say that a job goes on, and how to end it."""
    logger.error(
        "Could not cancel Vertex AI job %s; it may still be running and cost money: %s\n"
        "Cancel it with: gcloud ai custom-jobs cancel %s --region=%s --project=%s",
        name.job_id,
        error,
        name.job_id,
        name.location,
        name.project,
    )
