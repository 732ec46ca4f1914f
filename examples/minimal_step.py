"""One step of a pipeline on Vertex AI, the others where the pipeline runs.

Before: a stack with a step operator called `vertex`, see docs/tutorial/first-step.md.
"""

from zenml import pipeline, step


@step
def load() -> list[float]:
    """Runs where the pipeline runs."""
    return [1.0, 2.0, 3.0, 4.0]


@step(step_operator="vertex", enable_cache=False)
def train(data: list[float]) -> float:
    """Runs as a Vertex AI CustomJob."""
    return sum(data) / len(data)


@step
def report(model: float) -> None:
    """Runs where the pipeline runs."""
    print(f"The model says {model}.")


@pipeline
def minimal_pipeline() -> None:
    """Load, train on Vertex AI, report."""
    report(train(load()))


if __name__ == "__main__":
    minimal_pipeline()
