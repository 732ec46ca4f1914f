"""A dynamic pipeline: a step on Vertex AI that waits for a file, and what comes after it.

A second step follows it in the pipeline's own process, and the pipeline function waits for its
result meanwhile. Each says when it went on.
"""

import os
import sys
import time
from pathlib import Path

import sklearn
from zenml import pipeline, step

PASSED_ON = ("PYTHONPATH", "STORAGE_EMULATOR_HOST", "ZENML_VERTEX_DISABLE")


@step(
    step_operator="vertex",
    enable_cache=False,
    environment={name: os.environ[name] for name in PASSED_ON if name in os.environ},
    settings={"step_operator": {"machine_type": "n1-standard-4", "boot_disk_size_gb": 100}},
)
def timed(gate: str) -> None:
    """Print that user code runs, then wait for a file."""
    print("first line of user code", flush=True)
    while not Path(gate).exists():
        time.sleep(0.01)


@step(enable_cache=False)
def following() -> None:
    """Print when it runs."""
    print(f"next step at {time.time()}", flush=True)


@pipeline(dynamic=True, depends_on=[timed], enable_cache=False)
def bench(gate: str) -> None:
    """One step, and what comes after it."""
    future = timed.submit(gate)
    following.submit(after=[future])
    future.result()
    print(f"result at {time.time()}", flush=True)


if __name__ == "__main__":
    print(f"scikit-learn {sklearn.__version__} is loaded", flush=True)
    bench(sys.argv[1])
