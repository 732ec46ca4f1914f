"""Steps that run at the same time, one of which fails when told: `siblings.py OTHER FILE`.

The failing step waits until a line is written to FILE, a FIFO. OTHER is the name of a second
step operator of the stack, in another region.
"""

import os
import sys
import threading

from zenml import CommandStep, pipeline, step
from zenml.client import Client
from zenml.enums import ExecutionMode, StackComponentType

# The container, where this module is imported too, does not need them.
OTHER, FILE = sys.argv[1:3]

fails = CommandStep(
    ["sh", "-c", f"read line <{FILE}; exit 1"],
    name="fails",
    step_operator="vertex",
)
sleeps = CommandStep(["sleep", "infinity"], name="sleeps", step_operator="vertex")
sleeps_elsewhere = CommandStep(["sleep", "infinity"], name="sleeps_elsewhere", step_operator=OTHER)


@step(step_operator="vertex", enable_cache=False)
def sleeps_in_python() -> None:
    """Wait in Python code, so that ZenML reports the step as running."""
    threading.Event().wait()


STEPS = (fails, sleeps, sleeps_elsewhere, sleeps_in_python)


@pipeline(
    dynamic=True,
    depends_on=list(STEPS),
    execution_mode=ExecutionMode(os.environ.get("EXECUTION_MODE", "fail_fast")),
)
def siblings() -> None:
    """Run all steps at once."""
    for each in STEPS:
        each.submit()


def register() -> str:
    """Register a stack with two step operators, and return its ID."""
    client, kind = Client(), StackComponentType.STEP_OPERATOR
    configuration = {"project": "demo-project", "region": "us-central1"}
    client.create_stack_component(OTHER, "vertex", kind, configuration)
    components: dict[StackComponentType, str | list[str]] = {
        other: str(found[0].id) for other, found in client.active_stack_model.components.items()
    }
    return str(client.create_stack(OTHER, {**components, kind: ["vertex", OTHER]}).id)


if __name__ == "__main__":
    os.environ["ZENML_ACTIVE_STACK_ID"] = register()
    siblings()
