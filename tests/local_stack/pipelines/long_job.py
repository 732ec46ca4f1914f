"""A step that outlasts its tokens: `python long_job.py OPERATOR SECONDS`."""

import sys
import time

from zenml import pipeline, step


@step(step_operator=sys.argv[1], enable_cache=False)
def train(seconds: int) -> None:
    """Sleep for the given seconds."""
    time.sleep(seconds)


@pipeline(enable_cache=False, name=f"long_job_{sys.argv[1].replace('-', '_')}")
def long_job() -> None:
    """Run one step."""
    train(int(sys.argv[2]))


if __name__ == "__main__":
    long_job()
