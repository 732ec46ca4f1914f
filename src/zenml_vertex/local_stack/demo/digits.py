"""Handwritten digits: load, train on Vertex AI, evaluate.

A pipeline as it would stand in anybody's project. Before it runs: a stack with a
step operator called `vertex`; `zenml-vertex demo` makes one on this machine.
"""

from typing import Annotated

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from zenml import log_metadata, pipeline, step

# The fields of `VertexStepOperatorSettings`; without its import, the file also runs
# with ZenML's own operator.
machine = {"machine_type": "n1-standard-4", "boot_disk_size_gb": 100}


@step(enable_artifact_visualization=False)
def load() -> tuple[
    Annotated[np.ndarray, "train_images"],
    Annotated[np.ndarray, "test_images"],
    Annotated[np.ndarray, "train_labels"],
    Annotated[np.ndarray, "test_labels"],
]:
    """Load the 1,797 images of 8 by 8 pixels, and keep a fifth for the evaluation."""
    images, labels = load_digits(return_X_y=True)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=0.2, random_state=0
    )
    return train_images, test_images, train_labels, test_labels


@step(step_operator="vertex", settings={"step_operator": machine}, enable_cache=False)
def train(images: np.ndarray, labels: np.ndarray) -> SVC:
    """Fit a support vector machine; runs as a Vertex AI CustomJob."""
    return SVC(gamma=0.001).fit(images, labels)


@step
def evaluate(model: SVC, images: np.ndarray, labels: np.ndarray) -> float:
    """Measure the share of unseen digits that the model reads correctly."""
    accuracy = float(model.score(images, labels))
    log_metadata({"accuracy": accuracy, "test_images": len(images)})
    return accuracy


@pipeline(enable_cache=False)
def digits() -> None:
    """Load, train on Vertex AI, evaluate."""
    train_images, test_images, train_labels, test_labels = load()
    evaluate(train(train_images, train_labels), test_images, test_labels)


if __name__ == "__main__":
    digits()
