"""A command step: any command of an image as a Vertex AI CustomJob.

Nothing of ZenML runs in the container. The step is completed if the job succeeds.
"""

from zenml import CommandStep, pipeline

train = CommandStep(
    ["python", "-c", "print('trained without ZenML')"],
    name="train",
    step_operator="vertex",
)


@pipeline
def command_pipeline() -> None:
    """One command on Vertex AI."""
    train()


if __name__ == "__main__":
    command_pipeline()
