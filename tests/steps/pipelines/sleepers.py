"""A step that would run for an hour and has three retries: `sleepers.py [COMMAND]`."""

import sys

from zenml import CommandStep, pipeline
from zenml.config.retry_config import StepRetryConfig

COMMANDS = {
    "sleep": ["sleep", "3600"],
    # The command ends on SIGKILL only, five seconds after the cancel.
    "stubborn": ["sh", "-c", "trap '' TERM; echo stubborn; while :; do sleep 1; done"],
}

sleeps = CommandStep(
    COMMANDS[sys.argv[1]],
    name="sleeps",
    step_operator="vertex",
    retry=StepRetryConfig(max_retries=3),
)


@pipeline
def sleepers() -> None:
    """Run one step."""
    sleeps()


if __name__ == "__main__":
    sleepers()
