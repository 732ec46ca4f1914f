"""Steps that end in every way, each in its own job: `endings.py static|deleted|dynamic`."""

import os
import signal
import sys

from zenml import CommandStep, get_step_context, log_metadata, pipeline, step
from zenml.config.retry_config import StepRetryConfig
from zenml.enums import ExecutionMode


@step(step_operator="vertex", enable_cache=False)
def vanishes() -> None:
    """Exit with status 0 without reporting a result."""
    os._exit(0)


@step(step_operator="vertex", enable_cache=False)
def is_killed() -> None:
    """Die as a process does when the machine runs out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


@step(step_operator="vertex", enable_cache=False)
def overwrites() -> int:
    """Log metadata under the built-in operator's key."""
    log_metadata({"job_name": "mine"})
    return 1


@step(step_operator="vertex", enable_cache=False, retry=StepRetryConfig(max_retries=2))
def fails_once() -> int:
    """Fail at the first attempt and succeed at the second."""
    version: int = get_step_context().step_run.version
    if version == 1:
        raise ValueError("not at the first attempt, nor with GOCSPX-token")
    return version


exits = CommandStep(
    ["sh", "-c", "exit 3"],
    name="exits",
    step_operator="vertex",
    retry=StepRetryConfig(max_retries=1),
)
works = CommandStep(["echo", "nothing of ZenML"], name="works", step_operator="vertex")
is_deleted = CommandStep(["sleep", "3600"], name="is_deleted", step_operator="vertex")

STEPS = (vanishes, is_killed, overwrites, fails_once, exits, works)


@pipeline(execution_mode=ExecutionMode.CONTINUE_ON_FAILURE)
def static_endings() -> None:
    """Run the steps one after the other, whether or not they succeed."""
    for each in STEPS:
        each()


@pipeline
def deleted_ending() -> None:
    """Run the slow step, which takes a minute, in a pipeline of its own."""
    is_deleted()


@pipeline(
    dynamic=True,
    depends_on=[*STEPS, is_deleted],
    execution_mode=ExecutionMode.CONTINUE_ON_FAILURE,
)
def dynamic_endings() -> None:
    """Run all steps at once."""
    for each in (is_deleted, *STEPS):
        each.submit()


PIPELINES = {"static": static_endings, "deleted": deleted_ending, "dynamic": dynamic_endings}

if __name__ == "__main__":
    PIPELINES[sys.argv[1]]()
