"""A step that outlasts its tokens: `python long_job.py OPERATOR SECONDS`."""

import json
import os
import sys
import time

from zenml import get_step_context, log_metadata, pipeline, step
from zenml.client import Client


@step(step_operator=sys.argv[1], enable_cache=False)
def train(seconds: int) -> None:
    """Sleep for the given seconds without an environment, and record how its claim has fared."""
    environment = dict(os.environ)
    os.environ.clear()
    time.sleep(seconds)
    os.environ.update(environment)
    store = Client().active_stack.artifact_store
    folder = f"{store.path}/zenml-vertex/claims"
    own = str(get_step_context().step_run.id)
    (name,) = [name for name in map(str, store.listdir(folder)) if own in name]
    with store.open(f"{folder}/{name}", "r") as file:
        log_metadata({"renewals": json.load(file)["renewals"]})


@pipeline(enable_cache=False, name=f"long_job_{sys.argv[1].replace('-', '_')}")
def long_job() -> None:
    """Run one step."""
    train(int(sys.argv[2]))


if __name__ == "__main__":
    long_job()
