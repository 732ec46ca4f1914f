"""A step that fails without a word of its own, as one does whose memory is used up.

The run ends with a diagnosis from Vertex AI's side: what, why, and what to do next.
"""

import os
import signal

from zenml import pipeline, step


@step(step_operator="vertex", enable_cache=False)
def train() -> None:
    """Ends as the kernel ends a process that needs too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


@pipeline
def failing_pipeline() -> None:
    """One step that fails."""
    train()


if __name__ == "__main__":
    failing_pipeline()
