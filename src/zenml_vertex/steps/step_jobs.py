"""A step run of ZenML, as submitting and following a job need it."""

from functools import partial
from typing import TYPE_CHECKING

from zenml_vertex.clock import Clock
from zenml_vertex.following.clients import sign
from zenml_vertex.following.follower import JobFollower
from zenml_vertex.following.progress import StepLog
from zenml_vertex.following.submission import Submission
from zenml_vertex.job.identity import Attempt, JobName
from zenml_vertex.job.step_status import interpret_status
from zenml_vertex.steps.records import ZenMLStepRuns

if TYPE_CHECKING:
    from zenml.models import StepRunResponse

    from zenml_vertex.cloud.connection import Connection


def open_log(step_run: "StepRunResponse") -> StepLog:
    """The lines about a step run."""
    # The versions of a step run count from 1; each retry is the next.
    run_id = str(step_run.pipeline_run_id)
    return StepLog(step_run.name, retry=step_run.version - 1, run_id=run_id)


def open_submission(
    step_run: "StepRunResponse", connection: "Connection", step_runs: ZenMLStepRuns, clock: Clock
) -> Submission:
    """The one job of a step run.

    Args:
        step_run: The step run.
        connection: Where its settings say that its job is.
        step_runs: The ZenML server.
        clock: Where time comes from.
    """
    return Submission(
        connection.jobs,
        step_runs,
        clock,
        connection.parent,
        Attempt(str(step_run.id)),
        open_log(step_run),
        partial(step_runs.read_run_name, step_run.pipeline_run_id),
        sign,
        connection.has_console,
        str(step_run.project_id),
    )


def open_follower(
    step_run: "StepRunResponse",
    name: JobName,
    connection: "Connection",
    step_runs: ZenMLStepRuns,
    clock: Clock,
) -> JobFollower:
    """What follows the job of a step run.

    Args:
        step_run: The step run.
        name: Its job.
        connection: Where the job is.
        step_runs: The ZenML server.
        clock: Where time comes from.
    """
    return JobFollower(
        step=open_log(step_run),
        name=name,
        attempt=Attempt(str(step_run.id)),
        run_id=str(step_run.pipeline_run_id),
        reports_itself=step_run.config.command is None,
        step_runs=step_runs,
        clock=clock,
        logs=connection.logs,
    )


def fail_without_job(step_run: "StepRunResponse", step_runs: ZenMLStepRuns) -> str:
    """Fail a step run that has no job; the status that results."""
    log = open_log(step_run)
    message = (
        f"{log} has no Vertex AI job where its settings say: the process that should have "
        "submitted it ended before it did, the job was deleted, or `project` or `region` "
        "were changed. Run the step again."
    )
    log.log_without_job(message)
    result = step_runs.fail(str(step_run.id), message)
    return interpret_status(result).outcome or "failed"
