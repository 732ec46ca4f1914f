"""Handwritten digits: load, train on Vertex AI, evaluate.

A pipeline as it would stand in anybody's project. Before it runs: a stack with a
step operator called `vertex`; `zenml-vertex demo` makes one on this machine.
"""

from typing import Annotated

import numpy as np
from sklearn.datasets import load_digits
from sklearn.svm import SVC
from sklearn.utils import shuffle
from zenml import log_metadata, pipeline, step

# The fields of `VertexStepOperatorSettings`; without its import, the file also runs
# with ZenML's own operator.
machine = {"machine_type": "n1-standard-4", "boot_disk_size_gb": 100}


# The digits that are trained with come first; the others are for the evaluation.
TRAINED = 1437


@step(enable_artifact_visualization=False)
def load() -> tuple[Annotated[np.ndarray, "images"], Annotated[np.ndarray, "labels"]]:
    """Load the 1,797 images of 8 by 8 pixels, and shuffle them."""
    images, labels = shuffle(*load_digits(return_X_y=True), random_state=0)
    return images, labels


@step(step_operator="vertex", settings={"step_operator": machine}, enable_cache=False)
def train(images: np.ndarray, labels: np.ndarray) -> SVC:
    """Fit a support vector machine; runs as a Vertex AI CustomJob."""
    return SVC(gamma=0.001).fit(images[:TRAINED], labels[:TRAINED])


@step
def evaluate(model: SVC, images: np.ndarray, labels: np.ndarray) -> float:
    """Measure the share of unseen digits that the model reads correctly."""
    accuracy = float(model.score(images[TRAINED:], labels[TRAINED:]))
    log_metadata({"accuracy": accuracy, "test_images": len(images) - TRAINED})
    return accuracy


@pipeline(enable_cache=False)
def digits() -> None:
    """Load, train on Vertex AI, evaluate."""
    images, labels = load()
    evaluate(train(images, labels), images, labels)


if __name__ == "__main__":
    digits()
