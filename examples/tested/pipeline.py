"""A pipeline with one step on Vertex AI."""

import sys

from zenml import pipeline, step


@step(enable_cache=False)
def load(size: int) -> list[float]:
    """Runs where the pipeline runs."""
    return [float(number) for number in range(size)]


@step(step_operator="vertex", enable_cache=False)
def train(data: list[float]) -> float:
    """Runs as a Vertex AI CustomJob."""
    return sum(data) / len(data)


@pipeline
def training(size: int) -> None:
    """Load, and train on Vertex AI."""
    train(load(size))


if __name__ == "__main__":
    training(int(sys.argv[1]))
