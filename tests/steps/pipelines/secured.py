"""A pipeline whose steps have their environment in Secret Manager."""

import os
import sys

from zenml import pipeline, step

from zenml_vertex import VertexStepOperatorSettings

SETTINGS = VertexStepOperatorSettings(
    environment_secrets="secret-manager",
    service_account="trainer@demo-project.iam.gserviceaccount.com",
    additional_training_job_args={
        "env": [{"name": "OWN_SECRET", "value": os.environ.get("OWN_SECRET", "")}]
    },
)


def _check() -> None:
    # Not the value: it would be in the log.
    has_own = os.environ.get("OWN_SECRET", "").startswith("hidden-")
    has_token = "ZENML_STORE_API_TOKEN" in os.environ
    sys.stdout.write(f"the step has its environment: {has_own} {has_token}\n")
    assert sys.argv[1:2] == ["--entrypoint_config_source"], sys.argv


@step(step_operator="vertex", settings={"step_operator": SETTINGS}, enable_cache=False)
def reads() -> None:
    """Check the environment."""
    _check()


@step(step_operator="vertex", settings={"step_operator": SETTINGS}, enable_cache=False)
def fails() -> None:
    """Check the environment, and fail."""
    _check()
    raise RuntimeError("on purpose")


@pipeline
def secured() -> None:
    """Run both."""
    reads()
    fails(after="reads")


if __name__ == "__main__":
    secured()
