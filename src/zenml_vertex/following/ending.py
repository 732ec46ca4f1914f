"""Cancelling a job, and verifying that it ends."""

from collections.abc import Callable
from functools import partial

from zenml_vertex.clock import Clock
from zenml_vertex.errors import (
    JobNotFound,
    RequestRejected,
    ServiceUnavailable,
    VertexStepOperatorError,
)
from zenml_vertex.following.brief import TooSlow, call_briefly
from zenml_vertex.following.outages import OutageLog
from zenml_vertex.following.patience import Retrying, Task
from zenml_vertex.following.progress import JobLog
from zenml_vertex.following.protocols import Jobs
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.states import interpret

# Vertex AI takes about a minute to tear down the machines of a cancelled job (43 to
# 65 s were seen from a container's exit to the terminal state).
CANCEL_BUDGET_SECONDS = 120.0
CANCEL_POLL_SECONDS = 1.0
# Whoever presses Ctrl-C again does not wait for a Vertex AI that hangs.
HURRY_SECONDS = 3.0


def cancel_job(
    jobs: Jobs,
    log: JobLog,
    clock: Clock,
    *,
    patience_seconds: float | None = None,
    outages: OutageLog | None = None,
    announce: Callable[[], None] | None = None,
) -> None:
    """Ask for a job to be cancelled, again if that fails; a finished job is left alone.

    What Vertex AI answers to cancelling a finished job is not documented, so the
    job's own state decides.

    Args:
        jobs: Vertex AI.
        log: The lines about the job.
        clock: Where time comes from.
        patience_seconds: How long to try again after retryable errors; None for two
            minutes, 0 to try once.
        outages: Where failures are logged that are waited out.
        announce: Writes a line first. An interruption of the line still cancels the job.

    Raises:
        VertexApiError: If the job may still be running and cannot be cancelled.
        CredentialsError: If no access token is available.
        BaseException: What interrupts it. The cancel has been asked for once more then,
            and the log says whether it was accepted.
    """
    outages = outages or OutageLog(log)
    cancel = Retrying(Task.CANCEL, clock, seconds=patience_seconds, outages=outages)
    try:
        if announce:
            announce()
        cancel(lambda: cancel_once(jobs, log.name))
    except VertexStepOperatorError:
        raise
    except BaseException as interruption:
        try:
            cancel_briefly(jobs, log.name)
        except BaseException as error:  # noqa: BLE001 - the interruption is raised
            log.log_uncancelled(error)
        else:
            log.warn_left(interruption)
        raise


def cancel_once(jobs: Jobs, name: JobName) -> None:
    """Ask once for a job to be cancelled; a finished job is left alone.

    Raises:
        VertexApiError: If the job may still be running and was not cancelled.
        CredentialsError: If no access token is available.
    """
    try:
        jobs.cancel(str(name))
    except JobNotFound:
        return
    except RequestRejected:
        if not interpret(jobs.get(str(name))["state"]).is_terminal:
            raise


def cancel_briefly(jobs: Jobs, name: JobName) -> None:
    """Ask once for a job to be cancelled, and wait for the answer for a moment only.

    Raises:
        VertexApiError: If the job may still be running and was not cancelled.
        CredentialsError: If no access token is available.
    """
    try:
        call_briefly(lambda: cancel_once(jobs, name), HURRY_SECONDS)
    except TooSlow as error:
        raise ServiceUnavailable(f"Vertex AI gave {error}.") from None


def cancel_and_verify(
    jobs: Jobs,
    log: JobLog,
    clock: Clock,
    *,
    after: BaseException | None = None,
    budget_seconds: float = CANCEL_BUDGET_SECONDS,
    on_accepted: Callable[[], None] | None = None,
) -> str | None:
    """Cancel a job and wait until it has ended; raises only what interrupts it.

    Args:
        jobs: Vertex AI.
        log: The lines about the job.
        clock: Where time comes from.
        after: What the job is cancelled for, which a line says first.
        budget_seconds: How long to wait for the terminal state; 0 or more.
        on_accepted: Called as soon as Vertex AI has accepted the cancel. An error of this
            package that it raises is logged: the job is seen to its end all the same.

    Returns:
        The terminal state, or None if it was not reached in time or could not be
        read; the log says so, and how to inspect the job.
    """
    outages = OutageLog(log)
    announce = (
        partial(log.log_cancelling_after, after, budget_seconds) if after is not None else None
    )
    try:
        cancel_job(jobs, log, clock, outages=outages, announce=announce)
    except VertexStepOperatorError as error:
        log.log_uncancelled(error)
        return None
    if on_accepted:
        try:
            on_accepted()
        except VertexStepOperatorError as error:
            outages.warn("ZenML", error, "The job is followed to its end.")
    try:
        deadline = clock.monotonic() + budget_seconds
        read = Retrying(Task.CANCEL, clock, seconds=budget_seconds, outages=outages)
        while True:
            state: str = read(lambda: jobs.get(str(log.name)))["state"]
            if interpret(state).is_terminal:
                log.log_ended(state)
                return state
            if clock.monotonic() >= deadline:
                break
            clock.sleep(CANCEL_POLL_SECONDS)
    except JobNotFound:
        log.log_gone()
        return None
    except VertexStepOperatorError as error:
        log.warn_end_unread(error)
        return None
    except BaseException as interruption:
        log.warn_left(interruption)
        raise
    log.warn_not_ended(state, budget_seconds)
    return None


def cancel_quietly(
    jobs: Jobs,
    log: JobLog,
    clock: Clock,
    *,
    patience_seconds: float | None = None,
    is_leaving: bool = False,
) -> None:
    """Cancel a job; if that fails, log it, with the command that cancels the job.

    Args:
        jobs: Vertex AI.
        log: The lines about the job.
        clock: Where time comes from.
        patience_seconds: As for `cancel_job`.
        is_leaving: Whether the process waits no longer: it asks once, for a moment.
    """
    try:
        if is_leaving:
            cancel_briefly(jobs, log.name)
        else:
            cancel_job(jobs, log, clock, patience_seconds=patience_seconds)
    except VertexStepOperatorError as error:
        log.log_uncancelled(error)
