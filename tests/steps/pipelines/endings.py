"""Steps that end in every way, each as a job of its own: `endings.py static|deleted|dynamic`."""

import os
import signal
import sys

from zenml import CommandStep, get_step_context, log_metadata, pipeline, step
from zenml.config.retry_config import StepRetryConfig
from zenml.enums import ExecutionMode


@step(step_operator="vertex", enable_cache=False)
def vanishes() -> None:
    """Its process ends well, and says nothing of the step."""
    os._exit(0)


@step(step_operator="vertex", enable_cache=False)
def is_killed() -> None:
    """As it is when the machine has no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)


@step(step_operator="vertex", enable_cache=False)
def overwrites() -> int:
    """It takes the built-in operator's key for itself."""
    log_metadata({"job_name": "mine"})
    return 1


@step(step_operator="vertex", enable_cache=False, retry=StepRetryConfig(max_retries=2))
def fails_once() -> int:
    """It succeeds when it is tried again."""
    version: int = get_step_context().step_run.version
    if version == 1:
        raise ValueError("not at the first attempt")
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
    """One step after the other, whatever becomes of them."""
    for each in STEPS:
        each()


@pipeline
def deleted_ending() -> None:
    """A pipeline of its own, because it takes a minute."""
    is_deleted()


@pipeline(
    dynamic=True,
    depends_on=[*STEPS, is_deleted],
    execution_mode=ExecutionMode.CONTINUE_ON_FAILURE,
)
def dynamic_endings() -> None:
    """All at once."""
    for each in (is_deleted, *STEPS):
        each.submit()


PIPELINES = {"static": static_endings, "deleted": deleted_ending, "dynamic": dynamic_endings}

if __name__ == "__main__":
    PIPELINES[sys.argv[1]]()
