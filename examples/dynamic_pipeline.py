"""A dynamic pipeline: two training steps run on Vertex AI at the same time.

`depends_on` names the steps whose image is built before the pipeline starts.
"""

from zenml import pipeline, step


@step(step_operator="vertex", enable_cache=False)
def train(degree: int) -> float:
    """Runs as a Vertex AI CustomJob; returns a made-up loss."""
    return 1 / degree


@step
def report(losses: list[float]) -> None:
    """Runs where the pipeline runs."""
    print(f"The best loss is {min(losses)}.")


@pipeline(dynamic=True, depends_on=[train], enable_cache=False)
def dynamic_pipeline() -> None:
    """Train twice at once, then report."""
    running = [train.submit(degree) for degree in (1, 2)]
    report([job.load() for job in running])


if __name__ == "__main__":
    dynamic_pipeline()
